"""Plans that customers hold and no gateway serves: staff are told, and no longer than it is so."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from ferriage.core.models import WorkerRun
from ferriage.devices import tasks, unserved
from ferriage.fleet import alarmwords, watch
from ferriage.fleet.actions.alarms import LINGERS
from ferriage.fleet.models import Alarm, PoolGateway

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

    from shop import Shop

pytestmark = pytest.mark.django_db

UNSERVED = Alarm.Kind.UNSERVED


def rows() -> list[Alarm]:
    return list(Alarm.objects.filter(kind=UNSERVED))


def test_staff_are_told_of_a_plan_that_is_held_and_not_served(shop: Shop) -> None:
    for _ in range(2):
        shop.holder()
    PoolGateway.objects.all().delete()

    tasks.run(shop.now)
    assert [alarm.opened_at for alarm in rows()] == [None]
    opened = shop.now + unserved.PATIENCE
    tasks.run(opened)

    (alarm,) = rows()
    assert (alarm.subject, alarm.opened_at, alarm.ended_at) == (shop.plan.code, opened, None)
    assert alarmwords.title(alarm) == f"sold, but no gateway serves: {shop.plan}"
    assert alarmwords.said(alarm) == (
        "2 customers hold it, and no enrolled gateway serves XD public."
    )
    assert alarmwords.remedy(alarm).startswith("Let a gateway's host enrol")

    shop.yard.gateway(shop.line, name="beta")
    later = opened + LINGERS + timedelta(seconds=1)
    tasks.run(later)
    watch.look(later, by_worker=True)

    assert [alarm.ended_at for alarm in rows()] == [later]


def test_plan_that_is_served_or_held_by_nobody_is_no_alarm(shop: Shop) -> None:
    shop.add_plan("Not held", shop.yard.open_line("second"))
    shop.holder()

    tasks.run(shop.now)
    assert rows() == []

    PoolGateway.objects.all().delete()
    tasks.run(shop.now + timedelta(days=40))
    assert rows() == []


def test_moment_between_two_gateways_is_forgotten(shop: Shop) -> None:
    shop.holder()
    PoolGateway.objects.all().delete()
    tasks.run(shop.now)
    shop.yard.gateway(shop.line, name="beta")

    tasks.run(shop.now + unserved.EVERY)

    assert rows() == []


@pytest.mark.parametrize("count", [1, 4])
def test_looking_costs_the_same_however_many_hold(
    shop: Shop, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(count):
        shop.holder()
    PoolGateway.objects.all().delete()
    tasks.run(shop.now)
    WorkerRun.objects.filter(name="unserved").delete()

    lock = 2 * (connection.vendor == "postgresql")
    with django_assert_num_queries(LOOK + lock):
        unserved.follow(shop.now)


LOOK = 14
"""Whether it is due, who holds what, the offers, their gateways, and the alarm that stands."""
