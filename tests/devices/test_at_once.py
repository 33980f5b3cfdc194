"""Several connections at once, on committed rows of a database of their own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections

from ferriage.core.actors import CUSTOMER
from ferriage.devices import actions
from ferriage.devices.keys import new_keypair
from ferriage.devices.models import Device
from ferriage.fleet.models import PoolCurrent
from ferriage.plans.models import Period
from ferriage.plans.queries import subscription_end

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ferriage.config import Config
    from shop import Shop

WRITERS = 4


@pytest.fixture
def shop(
    own_database: Config,  # noqa: ARG001 -- rows go there
    make_shop: Callable[[datetime], Shop],
    now: datetime,
) -> Shop:
    return make_shop(now)


def at_once(act: Callable[[int], Any]) -> list[str]:
    """Run an act in threads that start together, each on a connection of its own.

    Returns:
        What each came to: `done`, or the name of its refusal; sorted.
    """
    mine = connections["default"]
    together = Barrier(WRITERS)

    def run(number: int) -> str:
        connections["default"] = mine.copy()
        try:
            connections["default"].ensure_connection()
            together.wait(timeout=30)
            act(number)
        except Exception as error:  # noqa: BLE001 -- the test compares them all
            return type(error).__name__
        else:
            return "done"
        finally:
            connections["default"].close()

    with ThreadPoolExecutor(WRITERS) as threads:
        return sorted(threads.map(run, range(WRITERS)))


def add(subscription: Any, now: datetime, key: str = "") -> Device:
    return actions.add_device(
        subscription=subscription, public_key=key or new_keypair().public, now=now, actor=CUSTOMER
    )


def test_last_place_goes_to_one(shop: Shop, now: datetime) -> None:
    subscription = shop.holder()
    for _ in range(4):
        add(subscription, now)

    outcomes = at_once(lambda _number: add(subscription, now))

    assert outcomes == ["DeviceLimitReached"] * (WRITERS - 1) + ["done"]
    assert Device.objects.count() == PoolCurrent.objects.filter(kind="put").count() == 5


def test_one_key_goes_to_one(shop: Shop, now: datetime) -> None:
    customers = [shop.holder() for _ in range(WRITERS)]
    key = new_keypair().public

    outcomes = at_once(lambda number: add(customers[number], now, key))

    assert outcomes == ["KeyInUse"] * (WRITERS - 1) + ["done"]


def test_devices_added_at_once_get_different_addresses(shop: Shop, now: datetime) -> None:
    customers = [shop.holder() for _ in range(WRITERS)]

    outcomes = at_once(lambda number: add(customers[number], now))

    assert outcomes == ["done"] * WRITERS
    assert sorted(Device.objects.values_list("slot", flat=True)) == [2, 3, 4, 5]


def test_terms_bought_at_once_follow_each_other(shop: Shop) -> None:
    account = shop.account()

    outcomes = at_once(lambda _number: shop.extend(account))

    assert outcomes == ["done"] * WRITERS
    periods = list(Period.objects.order_by("starts_at"))
    assert [period.starts_at for period in periods[1:]] == [
        period.ends_at for period in periods[:-1]
    ]
    assert subscription_end(periods[0].subscription).at == periods[-1].ends_at
    assert [period.starts_at.month for period in periods] == [3, 4, 5, 6]
