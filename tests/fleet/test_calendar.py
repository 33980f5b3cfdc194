"""The calendar of a yard: what is due, who saw to it, and that history only grows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from ferriage.approvals import actions
from ferriage.approvals.models import Approval, Evidence, Fulfilment, Incident, TaskTick
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry
from ferriage.fleet import actions as fleet
from ferriage.fleet.agenda import calendar
from yard import ISSUED, OWNER, PAPER, SECOND

if TYPE_CHECKING:
    from ferriage.approvals.diary import Entry
    from ferriage.fleet.models import Line
    from yard import Yard

LAPSE = datetime(2027, 3, 1, tzinfo=UTC)
"""The yard's approval ends with 28 February 2027."""
FEE = datetime(2026, 4, 1, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def line(yard: Yard) -> Line:
    return yard.open_line()


def ending(at: datetime) -> Entry:
    """Return the entry of the approval's end."""
    return next(entry for entry in calendar(now=at) if entry.deadline.about == "approval")


def duty(code: str, at: datetime) -> Entry:
    return next(entry for entry in calendar(now=at) if entry.deadline.duty == code)


@pytest.mark.usefixtures("line")
def test_task_is_due_from_its_day_until_somebody_ticks_it_off(now: datetime) -> None:
    t60 = LAPSE - timedelta(days=60)
    first = LAPSE - timedelta(days=180)

    assert (ending(now).lead, ending(now).is_due) == (None, False)
    assert (ending(first).lead, ending(first).is_due) == (180, True)

    tick = actions.tick(
        deadline=ending(t60).deadline, days_before=60, note="Form sent", now=t60, actor=SECOND
    )

    assert (ending(t60).tick, ending(t60).is_due) == (tick, False)
    assert (tick.ticked_by, tick.note) == ("vera", "Form sent")
    t30 = LAPSE - timedelta(days=30)
    assert (ending(t30).lead, ending(t30).is_due) == (30, True)
    entry = AuditEntry.objects.get(action="task.ticked")
    assert (entry.subject, entry.details) == (
        Approval.objects.get().code,
        {"duty": "", "due": "2027-03-01T00:00:00+00:00", "days_before": 60},
    )


@pytest.mark.usefixtures("line")
def test_task_is_ticked_once_and_not_before_its_day() -> None:
    t60 = LAPSE - timedelta(days=60)
    deadline = ending(t60).deadline
    actions.tick(deadline=deadline, days_before=60, now=t60, actor=OWNER)

    with pytest.raises(StaleState):
        actions.tick(deadline=deadline, days_before=60, now=t60, actor=SECOND)
    for days in (30, 61, 0):
        with pytest.raises(actions.TaskNotBegun):
            actions.tick(deadline=deadline, days_before=days, now=t60, actor=OWNER)

    assert TaskTick.objects.count() == 1


def test_renewal_takes_the_tasks_away_and_a_suspension_brings_none(yard: Yard, line: Line) -> None:
    t30 = LAPSE - timedelta(days=30)
    renewal = replace(ISSUED, valid_from=date(2027, 3, 1), valid_to=date(2028, 2, 29))
    first = Approval.objects.get()

    second = yard.approve(line, renewal)

    assert [entry.deadline.subject for entry in _endings(t30)] == [second.code]
    fleet.suspend_approval(approval=second, now=yard.now, actor=OWNER)
    assert [entry.deadline.subject for entry in _endings(t30)] == [first.code]


def _endings(at: datetime) -> list[Entry]:
    return [entry for entry in calendar(now=at) if entry.deadline.about == "approval"]


def test_closed_line_leaves_nothing_to_be_done(yard: Yard, line: Line) -> None:
    fleet.close_line(line=line, now=yard.now, actor=OWNER)

    assert calendar(now=LAPSE - timedelta(days=1)) == ()


# --- duties -----------------------------------------------------------------------------------


def test_duty_is_due_until_it_is_shown_and_late_however_often_it_was_ticked(
    yard: Yard,
    line: Line,  # noqa: ARG001 -- brings the duty
) -> None:
    before, late = FEE - timedelta(days=1), FEE + timedelta(days=5)
    entry = duty("XD-LICENCE-FEE", before)
    assert (entry.deadline.at, entry.is_due, entry.is_over) == (FEE, True, False)
    actions.tick(deadline=entry.deadline, days_before=1, now=before, actor=OWNER)
    assert not duty("XD-LICENCE-FEE", before).is_due

    entry = duty("XD-LICENCE-FEE", late)
    assert (entry.is_due, entry.is_over) == (True, True)
    row = actions.fulfil(
        deadline=entry.deadline,
        note="Paid by bank",
        file=PAPER,
        store_dir=yard.store,
        now=late,
        actor=SECOND,
    )

    entry = duty("XD-LICENCE-FEE", late)
    assert (entry.is_done, entry.is_due, entry.fulfilment) == (True, False, row)
    assert (row.noted_by, row.noted_at, row.due_at) == ("vera", late, FEE)
    assert row.evidence is not None
    # What is verified takes no more evidence: the receipt is the note's own.
    assert row.evidence.approval is None


@pytest.mark.usefixtures("line")
def test_duty_noted_by_mistake_is_taken_back_and_both_notes_stay(yard: Yard) -> None:
    deadline = duty("XD-LICENCE-FEE", yard.now).deadline
    actions.fulfil(deadline=deadline, note="Paid", store_dir=yard.store, now=yard.now, actor=OWNER)
    with pytest.raises(StaleState):
        actions.fulfil(
            deadline=deadline, note="Again", store_dir=yard.store, now=yard.now, actor=OWNER
        )

    actions.take_back(deadline=deadline, reason="Other licence", now=yard.now, actor=SECOND)

    assert not duty("XD-LICENCE-FEE", yard.now).is_done
    with pytest.raises(StaleState):
        actions.take_back(deadline=deadline, reason="Again", now=yard.now, actor=SECOND)
    rows = Fulfilment.objects.order_by("sequence").values_list("done", "note", "noted_by")
    assert list(rows) == [(True, "Paid", "olga"), (False, "Other licence", "vera")]


@pytest.mark.usefixtures("line")
def test_duty_is_shown_by_words_or_a_file(yard: Yard) -> None:
    deadline = duty("XD-LICENCE-FEE", yard.now).deadline

    for note in (" ", "x" * 501):
        with pytest.raises(actions.NotShown):
            actions.fulfil(
                deadline=deadline, note=note, store_dir=yard.store, now=yard.now, actor=OWNER
            )
    with pytest.raises(actions.NotShown):
        actions.fulfil(
            deadline=replace(deadline, subject="ln_1"),
            note="Done",
            file=PAPER,
            store_dir=yard.store,
            now=yard.now,
            actor=OWNER,
        )
    with pytest.raises(actions.NotShown):
        actions.take_back(deadline=deadline, reason=" ", now=yard.now, actor=OWNER)

    assert Fulfilment.objects.count() == 0
    assert Evidence.objects.count() == 1


def test_incident_brings_its_duty_a_day_later_to_the_second(yard: Yard, line: Line) -> None:
    noticed = yard.now + timedelta(days=2, hours=3, minutes=7)
    seen = noticed + timedelta(hours=1)

    incident = actions.note_incident(
        line_code=line.code, noticed_at=noticed, words="Cable cut", now=seen, actor=OWNER
    )

    entry = duty("XD-INCIDENT-NOTICE", seen)
    assert (entry.deadline.at, entry.is_due) == (noticed + timedelta(hours=24), True)
    assert (incident.noted_by, incident.line_code) == ("olga", line.code)


def test_incident_has_words_and_has_been_noticed(yard: Yard, line: Line) -> None:
    for words, noticed in (("", yard.now), ("Cable cut", yard.now + timedelta(seconds=1))):
        with pytest.raises(actions.NotShown):
            actions.note_incident(
                line_code=line.code, noticed_at=noticed, words=words, now=yard.now, actor=OWNER
            )

    assert Incident.objects.count() == 0


@pytest.mark.parametrize("change", ["UPDATE {} SET subject = 'x'", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["approvals_tasktick", "approvals_fulfilment"])
def test_notes_cannot_be_changed_or_deleted(
    yard: Yard,
    line: Line,  # noqa: ARG001 -- brings the duty
    table: str,
    change: str,
) -> None:
    t60 = LAPSE - timedelta(days=60)
    deadline = duty("XD-LICENCE-FEE", yard.now).deadline
    actions.tick(deadline=ending(t60).deadline, days_before=60, now=t60, actor=OWNER)
    actions.fulfil(deadline=deadline, note="Paid", store_dir=yard.store, now=t60, actor=OWNER)

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute(change.format(table))


def test_incident_cannot_be_deleted(yard: Yard, line: Line) -> None:
    actions.note_incident(
        line_code=line.code, noticed_at=yard.now, words="Cable cut", now=yard.now, actor=OWNER
    )

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute("DELETE FROM approvals_incident")


def test_second_note_of_one_number_is_refused_without_a_day_too(yard: Yard) -> None:
    values = {"subject": "apr_1", "duty": "X", "sequence": 1, "done": True, "note": "Done"}
    Fulfilment.objects.create(**values, due_at=None, noted_by="olga", noted_at=yard.now)

    with pytest.raises(DatabaseError), transaction.atomic():
        Fulfilment.objects.create(**values, due_at=None, noted_by="vera", noted_at=yard.now)
    if connection.vendor == "sqlite":
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            connection.cursor().execute(
                "INSERT OR REPLACE INTO approvals_fulfilment"
                " (subject, duty, due_at, sequence, done, note, noted_by, noted_at)"
                " VALUES ('apr_1', 'X', NULL, 1, 0, 'No', 'eve', '2026-01-01')"
            )


def test_calendar_costs_the_same_queries_for_one_line_and_three(yard: Yard, line: Line) -> None:  # noqa: ARG001 -- is the first
    with CaptureQueriesContext(connection) as for_one:
        calendar(now=yard.now)
    for name in ("Second", "Third"):
        yard.open_line(name)
    with CaptureQueriesContext(connection) as for_three:
        calendar(now=yard.now)

    assert len(for_three) == len(for_one)


@pytest.mark.parametrize(
    "issued",
    [
        {"valid_to": date(9999, 12, 31)},
        {"valid_from": date(9999, 12, 31), "valid_to": None},
        {"valid_from": date(1, 1, 1), "valid_to": None},
    ],
)
def test_days_at_the_ends_of_time_break_no_calendar(
    yard: Yard, line: Line, issued: dict[str, Any]
) -> None:
    yard.approve(line, replace(ISSUED, number="odd", **issued))
    yard.approve(yard.plan("two"), replace(ISSUED, number="endless", valid_to=None))
    actions.note_incident(
        line_code=line.code,
        noticed_at=datetime(1, 1, 1, tzinfo=UTC),
        words="Long ago",
        now=yard.now,
        actor=OWNER,
    )

    assert calendar(now=yard.now)
