"""A plan's speed and quota: they grow for everybody at once, and never become less once sold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage import wire
from ferriage.devices.limits import change_limits
from ferriage.fleet.models import PoolCurrent
from ferriage.plans import actions as plans
from ferriage.plans.models import Plan
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from shop import Shop

MEGABIT = 10**6
GB = 10**9


def record(code: str) -> wire.Device:
    return wire.decode(PoolCurrent.objects.get(subject=code).payload, wire.Put).device


def set_to(
    shop: Shop, *, down: int, quota: int | None, plan: Plan | None = None, up: int = 100
) -> Plan:
    return change_limits(
        plan=plan or shop.plan,
        rate_down_bps=down * MEGABIT,
        rate_up_bps=up * MEGABIT,
        quota_bytes=None if quota is None else quota * GB,
        now=shop.now,
        actor=OWNER,
    )


def test_faster_plan_changes_one_record_of_each_device_and_nothing_else(shop: Shop) -> None:
    device = shop.device(shop.holder())
    shop.pool.refresh_from_db()
    before, revision = record(device.code), shop.pool.revision

    set_to(shop, down=250, quota=None)

    shop.pool.refresh_from_db()
    after = record(device.code)
    assert (before.rate_down_bps, after.rate_down_bps) == (100 * MEGABIT, 250 * MEGABIT)
    assert (after.public_key, after.ip4, after.generation) == (
        before.public_key,
        before.ip4,
        before.generation,
    )
    assert shop.pool.revision == revision + 1


@pytest.mark.parametrize(
    ("down", "up", "quota"), [(99, 100, 100), (100, 99, 100), (100, 100, 99), (200, 200, 99)]
)
def test_nothing_becomes_less_on_a_plan_that_was_priced(
    shop: Shop, down: int, up: int, quota: int
) -> None:
    Plan.objects.filter(pk=shop.plan.pk).update(quota_bytes=100 * GB)

    with pytest.raises(plans.CatalogueWrong):
        set_to(shop, down=down, up=up, quota=quota)

    shop.plan.refresh_from_db()
    assert (shop.plan.rate_down_bps, shop.plan.quota_bytes) == (100 * MEGABIT, 100 * GB)


def test_plan_without_a_quota_gets_none_once_it_was_priced(shop: Shop) -> None:
    with pytest.raises(plans.CatalogueWrong):
        set_to(shop, down=100, quota=1000)


def test_quota_may_be_lifted(shop: Shop) -> None:
    Plan.objects.filter(pk=shop.plan.pk).update(quota_bytes=100 * GB)

    assert set_to(shop, down=100, quota=None).quota_bytes is None


def test_plan_that_nobody_could_buy_may_become_anything(shop: Shop) -> None:
    plan = shop.add_plan("New", shop.line)

    set_to(shop, plan=plan, down=10, up=10, quota=5)

    plan.refresh_from_db()
    assert (plan.rate_down_bps, plan.quota_bytes) == (10 * MEGABIT, 5 * GB)


@pytest.mark.parametrize(("rate", "quota"), [(7999, None), (8000, 999_999)])
def test_limits_that_no_gateway_could_keep_are_refused(
    shop: Shop, rate: int, quota: int | None, now: datetime
) -> None:
    with pytest.raises(plans.CatalogueWrong):
        plans.create_plan(
            service=shop.service,
            name="Slow",
            rate_down_bps=rate,
            quota_bytes=quota,
            now=now,
            actor=OWNER,
        )
