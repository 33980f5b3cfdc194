from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, transaction

from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry
from ferriage.fleet import actions
from ferriage.fleet.actions import Fact
from ferriage.fleet.models import Alarm

if TYPE_CHECKING:
    from ferriage.core.actors import Actor

pytestmark = pytest.mark.django_db

HUB = Alarm.Kind.HUB_AWAY
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def _states() -> list[tuple[str, str, bool, bool]]:
    rows = Alarm.objects.order_by("pk")
    return [(r.kind, r.subject, r.opened_at is not None, r.ended_at is not None) for r in rows]


def test_alarm_said_again_stays_one(now: datetime) -> None:
    for step in range(3):
        actions.raise_alarm(kind=HUB, subject="hub", now=now + step * MINUTE, tries=step)
        actions.settle_alarms(now=now + step * MINUTE)

    row = Alarm.objects.get()
    assert (row.opened_at, row.seen_at, row.ended_at) == (now, now + 2 * MINUTE, None)
    assert row.details == {"tries": 2}


def test_alarm_ends_once_it_was_not_seen_for_two_minutes(now: datetime) -> None:
    actions.raise_alarm(kind=HUB, subject="hub", now=now)

    assert actions.settle_alarms(now=now + 2 * MINUTE) == 0
    assert actions.settle_alarms(now=now + 2 * MINUTE + SECOND) == 1
    assert _states() == [(HUB, "hub", True, True)]


def test_alarm_that_ended_opens_anew_as_another(now: datetime) -> None:
    actions.raise_alarm(kind=HUB, subject="hub", now=now)
    actions.settle_alarms(now=now + 3 * MINUTE)
    actions.raise_alarm(kind=HUB, subject="hub", now=now + 4 * MINUTE)

    assert _states() == [(HUB, "hub", True, True), (HUB, "hub", True, False)]


def test_patient_alarm_opens_only_after_it_stood_that_long(now: datetime) -> None:
    for seconds in (0, 59, 60):
        at = now + seconds * SECOND
        actions.raise_alarm(kind=HUB, subject="hub", now=at, patience=MINUTE)
        assert Alarm.objects.get().opened_at == (at if seconds == 60 else None)


def test_what_was_noticed_and_is_gone_is_forgotten_before_it_opens(now: datetime) -> None:
    for subject in ("one", "two"):
        actions.raise_alarm(kind=HUB, subject=subject, now=now, patience=MINUTE)
    actions.raise_alarm(kind=Alarm.Kind.METERING, subject="gw", now=now, patience=MINUTE)

    still = [Fact(kind=HUB, subject="two", patience=MINUTE)]
    actions.forget_unopened(kinds=[HUB], facts=still)

    assert _states() == [(HUB, "two", False, False), (Alarm.Kind.METERING, "gw", False, False)]


def test_what_happens_at_an_instant_stays_longer(now: datetime) -> None:
    actions.raise_alarm(kind=Alarm.Kind.METERING, subject="gw", now=now)

    assert actions.settle_alarms(now=now + timedelta(hours=24)) == 0
    assert actions.settle_alarms(now=now + timedelta(hours=24, seconds=1)) == 1


def test_history_is_kept_ninety_days(now: datetime) -> None:
    actions.raise_alarm(kind=HUB, subject="hub", now=now)
    ended = now + 3 * MINUTE
    actions.settle_alarms(now=ended)

    actions.settle_alarms(now=ended + timedelta(days=90))
    assert Alarm.objects.count() == 1
    actions.settle_alarms(now=ended + timedelta(days=90, seconds=1))
    assert Alarm.objects.count() == 0


def test_acknowledging_keeps_the_name_and_changes_nothing_else(now: datetime, owner: Actor) -> None:
    actions.raise_alarm(kind=HUB, subject="hub", now=now)

    row = actions.acknowledge_alarm(alarm=Alarm.objects.get(), now=now + MINUTE, actor=owner)

    assert (row.acknowledged_at, row.acknowledged_by) == (now + MINUTE, "olga")
    assert (row.opened_at, row.ended_at) == (now, None)
    assert AuditEntry.objects.filter(action="alarm.acknowledged", subject="hub").count() == 1
    with pytest.raises(StaleState):
        actions.acknowledge_alarm(alarm=row, now=now + MINUTE, actor=owner)


def test_alarm_that_ended_cannot_be_acknowledged(now: datetime, owner: Actor) -> None:
    actions.raise_alarm(kind=HUB, subject="hub", now=now)
    actions.settle_alarms(now=now + 3 * MINUTE)

    with pytest.raises(StaleState):
        actions.acknowledge_alarm(alarm=Alarm.objects.get(), now=now, actor=owner)


def test_database_holds_one_open_alarm_of_a_kind_and_subject(now: datetime) -> None:
    values = {"kind": HUB, "subject": "hub", "noticed_at": now, "seen_at": now, "opened_at": now}
    Alarm.objects.create(**values)

    with pytest.raises(IntegrityError), transaction.atomic():
        Alarm.objects.create(**values)
    with pytest.raises(IntegrityError), transaction.atomic():
        Alarm.objects.create(**{**values, "subject": "b", "opened_at": None, "ended_at": now})


def test_several_facts_cost_as_many_queries_as_one(
    now: datetime, django_assert_max_num_queries: object
) -> None:
    facts = [Fact(kind=HUB, subject=str(number)) for number in range(50)]
    for step in range(2):
        with django_assert_max_num_queries(6):  # type: ignore[operator]
            actions.raise_alarms(facts, now=now + step * MINUTE)
    assert Alarm.objects.count() == 50
