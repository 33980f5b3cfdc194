"""Every byte is counted once, whatever becomes of reports; and what differs is shown to staff."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db.models import F, Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferriage.core.actors import Actor
from ferriage.core.models import AuditEntry
from ferriage.devices import actions, conserving, tasks
from ferriage.devices import usage as reads
from ferriage.devices.models import (
    GatewayMeter,
    Incarnation,
    UsageDay,
    UsageMonth,
    UsageRest,
)
from ferriage.fleet import alarmwords
from ferriage.fleet.alarming import open_alarms
from ferriage.fleet.models import Alarm, PoolChange, PoolCurrent, PoolUsage
from ferriage.plans.models import Plan
from yard import usage

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage import wire
    from ferriage.devices.models import Device
    from metered import Agent
    from shop import Shop

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

# Lives of counters: a device's number, and what its counter shows one time after the other.
lives = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=4),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


def _empty() -> None:
    models = (UsageDay, UsageMonth, Incarnation, UsageRest, GatewayMeter, Alarm)
    for model in models:
        model.objects.all().delete()


def _shown(agent: Agent, device: Device, name: str, steps: list[Any], *, ends: bool) -> list[Any]:
    """Return all rows that a counter's life gives, with absolute values."""
    rows, down, up = [], 0, 0
    for number, (more_down, more_up) in enumerate(steps, start=1):
        down, up = down + more_down, up + more_up
        final = ends and number == len(steps)
        rows.append(agent.row(device, down, up, incarnation=name, final=final))
    return rows


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lives=lives, data=st.data())
def test_lost_doubled_and_disordered_reports_end_in_the_same_sums(
    shop: Shop, agent: Agent, now: datetime, lives: list[Any], data: st.DataObject
) -> None:
    _empty()
    holder = shop.holder()
    devices = [shop.device(holder), shop.device(holder)]
    last: list[wire.Usage] = []
    others: list[wire.Usage] = []
    for number, (owner, steps, ends) in enumerate(lives):
        rows = _shown(agent, devices[owner], f"boot.e{number}", steps, ends=ends)
        last.append(rows[-1])
        others += rows[:-1]
    some = data.draw(st.lists(st.sampled_from([*others, *last]), max_size=8))
    sent = data.draw(st.permutations([*last, *some]))
    cuts = data.draw(st.lists(st.integers(0, len(sent)), max_size=3).map(sorted))

    for number, (start, end) in enumerate(
        zip([0, *cuts], [*cuts, len(sent)], strict=True), start=1
    ):
        agent.tell(*sent[start:end], at=now + number * MINUTE)

    true = {one.pk: 0 for one in devices}
    for row, (owner, _, _) in zip(last, lives, strict=True):
        true[devices[owner].pk] += row.bytes_down + row.bytes_up
    counted = UsageDay.objects.values("device").annotate(sum=Sum(F("bytes_down") + F("bytes_up")))
    assert {row["device"]: row["sum"] for row in counted} == {
        device: total for device, total in true.items() if total
    }
    assert reads.used(holder, now + 5 * MINUTE) == sum(true.values())
    conserving.check_ledger(now)
    assert shown() == []


# --- the ledger -------------------------------------------------------------------------------


@pytest.fixture
def device(shop: Shop, agent: Agent, now: datetime) -> Device:
    """A device that used 1,000 bytes."""
    device = shop.device(shop.holder(24))
    agent.tell(agent.row(device, 800, 200), usage(shop.pool.code, 800, 200), at=now + MINUTE)
    return device


def shown() -> list[tuple[str, dict[str, Any]]]:
    return [(one.subject, one.details) for one in open_alarms()]


def test_ledger_that_adds_up_alarms_nobody(device: Device, now: datetime) -> None:
    del device

    assert tasks.run(now + DAY) == 0

    assert shown() == []
    assert GatewayMeter.objects.get().checked_at == now + DAY


def test_day_that_lost_a_byte_is_shown(device: Device, now: datetime) -> None:
    UsageDay.objects.update(bytes_up=F("bytes_up") - 1)

    conserving.run(now + DAY)

    off = {
        "days": {"count": 1, "bytes": {device.code: 1}},
        "months": {"count": 1, "bytes": {device.subscription.code: 1}},
    }
    assert shown() == [("ledger", {"name": "", **off})]
    assert alarmwords.said(Alarm.objects.get()) == (
        f"Counters and days of one device differ: {device.code} (1 B). "
        f"Days and months of one subscription differ: {device.subscription.code} (1 B)."
    )


def test_difference_is_on_record_once(device: Device, now: datetime) -> None:
    del device
    UsageMonth.objects.update(bytes_used=1001)

    for hours in (24, 48):
        conserving.run(now + timedelta(hours=hours))

    assert AuditEntry.objects.filter(action="meter.differed").count() == 1


def test_set_aside_bytes_leave_the_ledger_whole(
    device: Device, agent: Agent, now: datetime
) -> None:
    agent.tell(agent.row(device, 1 << 50, 200), at=now + 2 * MINUTE)

    conserving.check_ledger(now)

    ((_, details),) = shown()
    assert details.keys() == {"name", "aside"}


# --- pools ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("devices", "pools", "told"),
    [
        (1_000_000_000, 1_000_000_000, False),
        (1_039_000_000, 1_000_000_000, False),
        (1_041_000_000, 1_000_000_000, True),
        (1_000_000_000, 1_030_000_000, False),
        (1_000_000_000, 1_042_000_000, True),
    ],
)
def test_devices_and_pools_of_a_gateway_are_compared(
    device: Device, agent: Agent, now: datetime, devices: int, pools: int, *, told: bool
) -> None:
    conserving.run(now + DAY)
    rows = agent.row(device, 800 + devices, 200), usage(agent.shop.pool.code, 800 + pools, 200)
    agent.tell(*rows, at=now + DAY + MINUTE)

    conserving.run(now + 2 * DAY)

    sums = {"name": agent.gateway.name, "sums": {"devices": devices, "pools": pools}}
    assert shown() == ([(agent.gateway.code, sums)] if told else [])


def test_sums_that_no_column_holds_stop_nobodys_checks(
    agent: Agent, shop: Shop, device: Device, now: datetime
) -> None:
    most = 1 << 56
    conserving.check_gateways(now)
    lies = [
        agent.row(device, most, most, incarnation=f"boot.x{number}") for number in range(130)
    ] + [usage(shop.pool.code, most, most, incarnation=f"boot/{number}") for number in range(130)]
    agent.tell(*lies, at=now + timedelta(minutes=1))

    for days in (1, 2):
        conserving.check_gateways(now + timedelta(days=days))

    meter = GatewayMeter.objects.get()
    assert meter.bytes_told == meter.checked_told == meter.checked_pools == (1 << 63) - 1


def test_pools_may_come_to_more_where_somebody_has_no_quota(
    device: Device, agent: Agent, now: datetime
) -> None:
    PoolChange.objects.create(
        pool=agent.shop.pool,
        rev=999,
        kind="put",
        subject="dev_other",
        payload=PoolCurrent.objects.get(subject=device.code).payload.replace(
            PoolCurrent.objects.get(subject=device.code).payload.split('"quota":')[1], "null}}"
        ),
        digest="",
        at=now + DAY + MINUTE,
    )
    conserving.run(now + DAY)
    agent.tell(usage(agent.shop.pool.code, 1 << 40, 200), at=now + DAY + MINUTE)

    conserving.run(now + 2 * DAY)

    assert shown() == []


def test_record_without_a_quota_is_known_by_its_text(shop: Shop, device: Device) -> None:
    payload = PoolCurrent.objects.get(subject=device.code).payload
    assert conserving.UNMETERED not in payload

    Plan.objects.filter(pk=shop.plan.pk).update(quota_bytes=None)
    actions.refresh(subscription=device.subscription, now=shop.now, actor=Actor("system", "test"))

    assert conserving.UNMETERED in PoolCurrent.objects.get(subject=device.code).payload


# --- forgetting -------------------------------------------------------------------------------


def test_what_is_old_is_forgotten_and_the_rest_adds_up(
    device: Device, agent: Agent, now: datetime
) -> None:
    agent.tell(agent.row(device, 900, 200, final=True), at=now + 2 * MINUTE)
    agent.tell(agent.row(device, 50, incarnation="boot.e2"), at=now + 40 * DAY)

    conserving.run(now + 40 * DAY)
    assert [one.incarnation for one in Incarnation.objects.all()] == ["boot.e2"]
    conserving.run(now + 100 * DAY)
    assert [day.bytes_down for day in UsageDay.objects.all()] == [50]
    assert list(UsageRest.objects.all()) == []
    conserving.run(now + 400 * DAY)

    assert not UsageDay.objects.exists()
    assert not UsageMonth.objects.exists()
    rest = UsageRest.objects.get()
    assert (rest.bytes_down, rest.bytes_up) == (-50, 0)
    assert shown() == []
    # A counter that runs is never forgotten, or its bytes would count anew.
    agent.tell(agent.row(device, 60, incarnation="boot.e2"), at=now + 400 * DAY)
    assert [day.bytes_down for day in UsageDay.objects.all()] == [10]


def test_counter_that_a_later_one_followed_is_forgotten(
    device: Device, agent: Agent, now: datetime
) -> None:
    agent.tell(agent.row(device, 900), at=now + 2 * MINUTE)
    agent.tell(agent.row(device, 50, incarnation="boot.e2"), at=now + 3 * MINUTE)

    conserving.run(now + 40 * DAY)

    assert [one.incarnation for one in Incarnation.objects.all()] == ["boot.e2"]
    assert shown() == []


def test_pools_counters_are_summed_up_and_the_last_one_stays(
    agent: Agent, shop: Shop, now: datetime
) -> None:
    for number in range(1, 5):
        row = usage(shop.pool.code, 100, number, incarnation=f"boot/{number}")
        agent.tell(row, at=now + number * MINUTE)

    for days in (10, 40, 80):
        conserving.forget(now + days * DAY)

    rows = PoolUsage.objects.order_by("incarnation")
    assert list(rows.values_list("incarnation", "bytes_down", "bytes_up", "final")) == [
        ("", 300, 6, True),
        ("boot/4", 100, 4, False),
    ]
