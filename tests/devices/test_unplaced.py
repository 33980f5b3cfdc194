"""Devices that staff move to a full line: noted, told of, placed when there is room."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from ferriage.core.actors import CUSTOMER
from ferriage.devices import actions, tasks, unplaced
from ferriage.devices.models import Device, DevicePool, Unplaced
from ferriage.fleet import actions as fleet
from ferriage.fleet import alarmwords, watch
from ferriage.fleet.actions.alarms import LINGERS
from ferriage.fleet.models import Alarm, Pool, PoolCurrent
from ferriage.plans import actions as plans
from ferriage.plans.models import Offer
from yard import OWNER

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

    from ferriage.fleet.models import Line
    from shop import Shop


@pytest.fixture
def full(shop: Shop) -> Line:
    """A second line with room for one device: its gateway has a single port."""
    line = shop.yard.open_line("full")
    beta = shop.yard.gateway(line, name="beta")
    Pool.objects.filter(line=line).update(size_limit=1)
    fleet.set_endpoint(gateway=beta.row, host="192.0.2.1", port=65_535, now=shop.now, actor=OWNER)
    return line


def _moved(shop: Shop, line: Line, count: int) -> list[Device]:
    """Register devices, and have staff offer one more line to all of them."""
    devices = [shop.device(shop.holder()) for _ in range(count)]
    plans.add_offer(plan=shop.plan, line=line, now=shop.now, actor=OWNER)
    actions.refresh_all(subscriptions=[d.subscription_id for d in devices], now=shop.now)
    return devices


def _served(line: Line) -> set[int]:
    return set(DevicePool.objects.filter(line=line).values_list("device_id", flat=True))


def _waiting() -> list[int]:
    return list(Unplaced.objects.order_by("pk").values_list("device_id", flat=True))


def test_as_many_are_placed_as_there_is_room_for_and_the_others_are_noted(
    shop: Shop, full: Line
) -> None:
    devices = _moved(shop, full, 3)

    assert _served(full) == {devices[0].pk}
    assert _waiting() == [devices[1].pk, devices[2].pk]
    actions.refresh_all(subscriptions=[devices[1].subscription_id], now=shop.now)
    assert _waiting() == [devices[1].pk, devices[2].pk]
    assert _served(shop.line) == {device.pk for device in devices}


def test_staff_are_told_while_devices_wait_and_no_longer(shop: Shop, full: Line) -> None:
    devices = _moved(shop, full, 3)
    tasks.run(shop.now)
    watch.look(shop.now, by_worker=True)

    alarm = Alarm.objects.get(kind=Alarm.Kind.UNPLACED)
    assert (alarm.subject, alarm.opened_at, alarm.ended_at) == (full.code, shop.now, None)
    assert alarmwords.title(alarm) == "devices without room: full"
    assert alarmwords.said(alarm) == "Not served on this line: 2 devices."
    assert alarmwords.remedy(alarm).startswith("Raise what its pools hold")

    fleet.set_size_limit(line=full, limit=3, now=shop.now, actor=OWNER)
    later = shop.now + timedelta(seconds=10)
    tasks.run(later)
    watch.look(later + LINGERS, by_worker=True)

    assert _waiting() == []
    assert _served(full) == {device.pk for device in devices}
    put = PoolCurrent.objects.filter(pool__line=full, kind="put")
    assert put.count() == 3
    alarm.refresh_from_db()
    assert alarm.ended_at == later + LINGERS


def test_room_for_some_is_given_to_those_who_wait_longest(shop: Shop, full: Line) -> None:
    devices = _moved(shop, full, 4)
    fleet.set_size_limit(line=full, limit=3, now=shop.now, actor=OWNER)

    tasks.run(shop.now)

    assert _served(full) == {device.pk for device in devices[:3]}
    assert _waiting() == [devices[3].pk]


def test_room_that_a_removed_device_leaves_is_taken(shop: Shop, full: Line) -> None:
    devices = _moved(shop, full, 3)

    actions.remove_device(device=devices[2], now=shop.now, actor=CUSTOMER)
    actions.remove_device(device=devices[0], now=shop.now, actor=CUSTOMER)
    tasks.run(shop.now)

    assert _waiting() == []
    assert _served(full) == {devices[1].pk}


def test_line_that_left_the_plan_is_waited_for_no_more(shop: Shop, full: Line) -> None:
    _moved(shop, full, 3)
    offer = Offer.objects.get(line=full)
    plans.withdraw_offer(offer=offer, now=shop.now, actor=OWNER)

    tasks.run(shop.now)

    assert _waiting() == []
    assert not Alarm.objects.filter(kind=Alarm.Kind.UNPLACED).exists()


@pytest.mark.parametrize("count", [2, 4])
def test_looking_costs_the_same_however_many_wait(
    shop: Shop, full: Line, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    _moved(shop, full, count)
    tasks.run(shop.now)

    lock = connection.vendor == "postgresql"
    with django_assert_num_queries(LOOK + lock):
        unplaced.follow(shop.now)


LOOK = 12
"""Those who wait, their plans and lines, the room there is, and the alarm that stands."""
