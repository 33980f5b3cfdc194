"""Bytes that were set aside: staff count them or drop them, once, with a reason."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, transaction

from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry
from ferriage.devices import conserving, setaside, usage
from ferriage.devices.models import Device, Incarnation, UsageDay, UsageMonth
from ferriage.fleet.models import Alarm
from ferriage.plans.models import Plan
from metered import QUOTA, Agent, agent, quota
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shop import Shop

__all__ = ["agent", "quota"]

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
MUCH = 1 << 40


@pytest.fixture
def device(shop: Shop, quota: int) -> Device:  # noqa: ARG001 -- the plan has one
    return shop.device(shop.holder(6))


@pytest.fixture
def row(agent: Agent, device: Device, now: datetime) -> Incarnation:
    """A counter that was told 1,000 bytes, and a second later far too many."""
    agent.tell(agent.row(device, 1000), at=now + MINUTE)
    agent.tell(agent.row(device, MUCH, 5000), at=now + MINUTE + timedelta(seconds=1))
    return setaside.waiting().get()


def _days() -> list[tuple[int, int]]:
    return list(UsageDay.objects.order_by("pk").values_list("bytes_down", "bytes_up"))


def _is_whole(now: datetime) -> bool:
    """Tell whether counters, days and months add up, as the daily look does."""
    Alarm.objects.all().delete()
    conserving.check_ledger(now)
    return not Alarm.objects.exists()


def test_counted_bytes_are_used_and_cut_when_they_come_to_the_quota(
    agent: Agent, device: Device, row: Incarnation, now: datetime
) -> None:
    waits = MUCH - 1000 + 5000
    later = now + 5 * MINUTE

    setaside.count(row=row, waits=waits, reason="a torrent", now=later, actor=OWNER)

    assert _days() == [(MUCH, 5000)]
    assert UsageMonth.objects.get().bytes_used == MUCH + 5000
    assert usage.left(device.subscription, later) == 0
    assert agent.tell(at=later + MINUTE) == {(device.code, "boot.e1"): MUCH + 5000}
    assert not setaside.waiting().exists()
    assert _is_whole(later)


def test_dropped_bytes_never_count(
    agent: Agent, device: Device, row: Incarnation, now: datetime
) -> None:
    later = now + 5 * MINUTE

    setaside.drop(row=row, waits=row.waits, reason="a bug", now=later, actor=OWNER)
    allowed = agent.tell(agent.row(device, MUCH + 700, 5000), at=later + MINUTE)

    assert _days() == [(1700, 0)]
    assert allowed == {(device.code, "boot.e1"): MUCH + 5700 - 1700 + QUOTA}
    assert not setaside.waiting().exists()
    assert _is_whole(later)


def test_what_is_set_aside_after_a_ruling_waits_anew(
    agent: Agent, device: Device, row: Incarnation, now: datetime
) -> None:
    setaside.drop(row=row, waits=row.waits, reason="a bug", now=now + 2 * MINUTE, actor=OWNER)
    agent.tell(agent.row(device, 3 * MUCH, 5000), at=now + 3 * MINUTE)

    again = setaside.waiting().get()
    setaside.count(row=again, waits=again.waits, reason="so it was", now=now, actor=OWNER)

    assert again.waits == 2 * MUCH
    assert _days() == [(1000 + 2 * MUCH, 0)]
    kept = Incarnation.objects.get()
    assert (kept.aside_down, kept.dropped_down) == (MUCH - 1000, MUCH - 1000)
    assert _is_whole(now)


def test_ruling_is_on_record_with_its_reason(
    device: Device, row: Incarnation, now: datetime
) -> None:
    setaside.drop(row=row, waits=row.waits, reason="a bug", now=now, actor=OWNER)

    entry = AuditEntry.objects.latest("sequence")
    assert (entry.action, entry.subject) == ("meter.aside_dropped", device.subscription.code)
    assert entry.details == {
        "gateway": row.gateway.code,
        "bytes": MUCH + 4000,
        "reason": "a bug",
    }
    assert (entry.actor_code, entry.at) == (OWNER.code, now)


@pytest.mark.parametrize("action", [setaside.count, setaside.drop])
def test_second_ruling_and_one_on_other_bytes_are_refused(
    row: Incarnation, now: datetime, action: Callable[..., Incarnation]
) -> None:
    with pytest.raises(StaleState):
        action(row=row, waits=row.waits - 1, reason="why", now=now, actor=OWNER)
    with pytest.raises(setaside.ReasonMissing):
        action(row=row, waits=row.waits, reason=" ", now=now, actor=OWNER)
    action(row=row, waits=row.waits, reason="why", now=now, actor=OWNER)
    before = _days()

    for other in (setaside.count, setaside.drop):
        with pytest.raises(StaleState):
            other(row=row, waits=row.waits, reason="again", now=now, actor=OWNER)

    assert _days() == before


def test_plan_without_a_quota_counts_nothing(row: Incarnation, now: datetime) -> None:
    Plan.objects.update(quota_bytes=None)

    with pytest.raises(setaside.NoQuota):
        setaside.count(row=row, waits=row.waits, reason="why", now=now, actor=OWNER)

    assert setaside.waiting().get().waits == row.waits


def test_bytes_of_a_month_that_is_over_are_counted_there(
    device: Device, row: Incarnation, now: datetime
) -> None:
    later = now + 40 * DAY

    setaside.count(row=row, waits=row.waits, reason="late", now=later, actor=OWNER)

    assert usage.left(device.subscription, later) == QUOTA
    assert UsageMonth.objects.get().bytes_used == MUCH + 5000
    assert UsageDay.objects.get().on == row.told_at.date()


def test_more_than_anybody_uses_is_dropped_and_not_counted(
    agent: Agent, device: Device, now: datetime
) -> None:
    """Counted, it would come to more than a month holds, and no report would be taken any more."""
    agent.tell(agent.row(device, 1000), at=now + MINUTE)
    made_up = [agent.row(device, 1 << 54, incarnation=f"b.e{number}") for number in range(2)]
    agent.tell(*made_up, at=now + MINUTE + timedelta(seconds=1))
    first, second = setaside.waiting()
    how = {"reason": "They say so.", "now": now + 2 * MINUTE, "actor": OWNER}

    setaside.count(row=first, waits=first.waits, **how)
    with pytest.raises(setaside.TooMany):
        setaside.count(row=second, waits=second.waits, **how)
    waits_still = setaside.waiting().get()
    setaside.drop(row=second, waits=second.waits, **how)

    assert waits_still == second
    assert UsageMonth.objects.get().bytes_used == (1 << 54) + 1000
    assert _is_whole(now + 2 * MINUTE)


def test_database_drops_no_more_than_was_set_aside(row: Incarnation) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Incarnation.objects.filter(pk=row.pk).update(dropped_up=row.aside_up + 1)
