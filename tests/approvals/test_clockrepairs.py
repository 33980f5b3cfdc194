"""A clock that ran ahead and was set right: two people name what it wrote, and the shop goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import transaction
from register_cases import line
from register_office import SECOND, Register
from test_frozen import refused
from test_outside import YES

from ferriage.approvals import actions, chainfile
from ferriage.approvals.models import ClockRepair, Decision
from ferriage.approvals.queries import (
    exported_decisions,
    first_broken_decision,
    judge,
    latest_decision,
    party_facts,
)
from ferriage.core import timesync
from ferriage.core.actors import Actor
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry
from tampering import tampering

if TYPE_CHECKING:
    from ferriage.approvals.facts import LineFacts

AHEAD = timedelta(days=365)
WHY = "The hypervisor's clock showed next year; NTP set it right."


def subject(register: Register) -> LineFacts:
    return replace(line("XD", "XD", "XD"), operator=party_facts(register.party))


def decide(register: Register, at: datetime) -> Decision:
    verdict = judge(line=subject(register), at=at)
    return actions.write_decision(subject="ln_1", line=subject(register), verdict=verdict, now=at)


@pytest.fixture
def ahead(register: Register) -> Register:
    """Two right Decisions, three written a year ahead, and a clock that is right again."""
    register.in_force()
    for minutes in (-10, -5):
        decide(register, register.now + timedelta(minutes=minutes))
    for minutes in range(3):
        decide(register, register.now + AHEAD + timedelta(minutes=minutes))
    return register


def propose(register: Register, first: int = 3, reason: str = WHY) -> ClockRepair:
    return actions.propose_clock_repair(
        first_sequence=first, reason=reason, now=register.now, actor=register.owner
    )


def confirm(register: Register, repair: ClockRepair, actor: Actor = SECOND) -> ClockRepair:
    return actions.confirm_clock_repair(repair=repair, now=register.now, actor=actor)


def blocked(register: Register, at: datetime | None = None) -> bool:
    try:
        actions.check_clock(now=at or register.now)
    except actions.ClockBehind:
        return True
    return False


def test_repair_by_two_people_lets_the_shop_go_on(ahead: Register) -> None:
    found = [blocked(ahead)]
    first = actions.first_wrong(ahead.now)
    assert first is not None
    repair = propose(ahead, first.sequence)
    found.append(blocked(ahead))
    confirm(ahead, repair)
    found.append(blocked(ahead))
    assert (first.sequence, found) == (3, [True, True, False])
    assert decide(ahead, ahead.now).sequence == 7


def test_guard_measures_against_the_newest_decision_that_is_not_named(ahead: Register) -> None:
    confirm(ahead, propose(ahead))
    assert not blocked(ahead, ahead.now - timedelta(seconds=300))
    assert blocked(ahead, ahead.now - timedelta(seconds=301))


def test_chain_holds_the_repair_and_still_verifies(ahead: Register) -> None:
    before = [*Decision.objects.order_by("sequence").values()]
    repair = confirm(ahead, propose(ahead))
    decide(ahead, ahead.now)
    assert [*Decision.objects.order_by("sequence").values()][:5] == before
    assert first_broken_decision() is None
    verified = chainfile.verify(text.encode() for text in exported_decisions())
    last = latest_decision()
    assert last is not None
    assert (verified.count, verified.head, verified.fault) == (7, last.hash, "")
    written = Decision.objects.get(sequence=6)
    assert (written.subject, written.allowed, written.at) == (repair.code, False, ahead.now)
    assert written.reasons[0]["params"] == {"first": "3", "last": "5", "reason": WHY}


@pytest.mark.parametrize(
    "actor", [Actor("staff", "olga"), Actor("staff", "OLGA"), Actor("command", "x")]
)
def test_who_proposed_it_or_is_no_person_confirms_nothing(ahead: Register, actor: Actor) -> None:
    repair = propose(ahead)
    with pytest.raises(actions.SamePerson):
        confirm(ahead, repair, actor)
    assert blocked(ahead)


def test_repair_names_all_that_lies_in_the_future(ahead: Register) -> None:
    for first in (0, -1, 4, 5, 99):
        with pytest.raises(actions.RepairWrong):
            propose(ahead, first)
    earlier = propose(ahead, 2)
    assert (earlier.first_sequence, earlier.last_sequence) == (2, 5)
    with pytest.raises(actions.RepairWrong):
        propose(ahead, reason=" ")


def test_nothing_to_repair_while_the_clock_is_right(register: Register) -> None:
    with pytest.raises(actions.NothingToRepair):
        propose(register, 1)
    register.in_force()
    decide(register, register.now)
    with pytest.raises(actions.NothingToRepair):
        propose(register, 1)
    assert actions.first_wrong(register.now) is None


def test_repair_is_confirmed_once(ahead: Register) -> None:
    repair = confirm(ahead, propose(ahead))
    with pytest.raises(StaleState):
        confirm(ahead, repair)
    assert Decision.objects.count() == 6


def test_proposal_is_dropped_by_anybody_and_by_the_next(ahead: Register) -> None:
    first = propose(ahead)
    second = propose(ahead, 2)
    with pytest.raises(StaleState):
        confirm(ahead, first)
    actions.drop_clock_repair(repair=second, now=ahead.now, actor=ahead.owner)
    with pytest.raises(StaleState):
        confirm(ahead, second)
    assert blocked(ahead)


def test_repair_does_not_help_a_clock_that_is_behind_right_records(ahead: Register) -> None:
    repair = propose(ahead)
    with pytest.raises(actions.NothingToRepair, match="does not name"):
        actions.confirm_clock_repair(
            repair=repair, now=ahead.now - timedelta(hours=1), actor=SECOND
        )
    assert blocked(ahead)


def test_repair_waits_while_nobody_can_say_that_the_clock_is_right(
    ahead: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    repair = propose(ahead)
    monkeypatch.setattr(timesync.WATCH, "waiting", lambda: True)
    with pytest.raises(actions.ClockUnsynchronised):
        confirm(ahead, repair)
    assert Decision.objects.count() == 5


def test_no_decision_is_written_before_the_clock_is_set(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timesync.WATCH, "waiting", lambda: True)
    with pytest.raises(actions.ClockUnsynchronised):
        decide(register, register.now)
    assert Decision.objects.count() == 0


def test_somebody_outside_confirms_for_a_one_person_shop(ahead: Register) -> None:
    repair = propose(ahead)
    token = actions.create_outside_link(subject=repair, now=ahead.now, actor=ahead.owner)
    actions.answer_outside_link(token=token, answer=YES, now=ahead.now)
    repair.refresh_from_db()
    assert (repair.confirmed_by, blocked(ahead)) == ("outside:Karin Öberg", False)
    with pytest.raises(StaleState):
        actions.create_outside_link(subject=repair, now=ahead.now, actor=ahead.owner)


def test_each_step_is_audited(ahead: Register) -> None:
    repair = confirm(ahead, propose(ahead))
    entries = AuditEntry.objects.filter(subject=repair.code).order_by("sequence")
    assert [(entry.action, entry.actor_code) for entry in entries] == [
        ("clock_repair.proposed", "olga"),
        ("clock_repair.confirmed", "vera"),
    ]


def test_clock_that_runs_ahead_again_is_repaired_again(ahead: Register) -> None:
    confirm(ahead, propose(ahead))
    decide(ahead, ahead.now)
    decide(ahead, ahead.now + timedelta(days=30))
    wrong = actions.first_wrong(ahead.now)
    assert wrong is not None
    assert (wrong.sequence, blocked(ahead)) == (8, True)
    confirm(ahead, propose(ahead, 8))
    assert not blocked(ahead)


@pytest.mark.parametrize(
    "change",
    [
        "first_sequence = 1",
        "last_sequence = 9",
        "last_hash = 'x'",
        "reason = 'x'",
        "proposed_by = 'x'",
        "confirmed_by = 'walt'",
        "confirmed_by = '', confirmed_at = NULL",
        "dropped_at = confirmed_at",
    ],
)
def test_database_keeps_a_confirmed_repair_as_it_was(ahead: Register, change: str) -> None:
    confirm(ahead, propose(ahead))
    assert refused("UPDATE approvals_clockrepair SET " + change)  # noqa: S608 -- ours
    assert refused("DELETE FROM approvals_clockrepair")


def test_database_refuses_one_person_for_both_and_a_repair_that_begins_confirmed(
    ahead: Register,
) -> None:
    repair = propose(ahead)
    insert = (
        "INSERT INTO approvals_clockrepair (code, first_sequence, last_sequence, last_hash, reason,"
        " proposed_by, proposed_at, confirmed_by, confirmed_at) VALUES"
        " ('rep_x', 1, 5, 'x', 'x', 'olga', %s, 'vera', %s)"
    )
    assert refused(insert, ahead.now, ahead.now)
    repair.refresh_from_db()
    assert repair.confirmed_by == ""


def test_backup_from_before_the_repair_is_blocked_until_it_is_repaired_anew(
    ahead: Register,
) -> None:
    repair = propose(ahead)
    backup = transaction.savepoint_create()
    confirm(ahead, repair)
    before = blocked(ahead)

    transaction.savepoint_rollback(backup)  # the database as the backup holds it

    assert (before, blocked(ahead)) == (False, True)
    confirm(ahead, repair)
    assert (blocked(ahead), first_broken_decision()) == (False, None)


def test_guard_asks_the_repair_itself_when_the_chain_was_cut_off_behind_it(
    ahead: Register,
) -> None:
    confirm(ahead, propose(ahead))
    with tampering():
        Decision.objects.filter(sequence=6).delete()
    assert not blocked(ahead)
    assert blocked(ahead, ahead.now - timedelta(hours=1))
