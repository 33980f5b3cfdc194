"""What a clock repair does to lines: what rests on wrong Decisions is judged anew, and shorter."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, connection, transaction

from ferriage.approvals import actions as approvals
from ferriage.approvals.models import Approval, ClockRepair, Decision
from ferriage.approvals.site import packs_in_force
from ferriage.core.clock import unix
from ferriage.fleet import actions
from ferriage.fleet.models import Line, Permit
from ferriage.fleet.queries import judge_line, line_facts
from tampering import tampering
from yard import OWNER, SECOND

if TYPE_CHECKING:
    from yard import Yard

AHEAD = timedelta(days=200)


def permits(line: Line) -> list[Permit]:
    return [*Permit.objects.filter(line=line).order_by("serial")]


def newest(line: Line) -> Permit:
    return permits(line)[-1]


def write_ahead(now: datetime) -> Permit:
    """Let the clock run ahead and rewrite the line's permit there, as a changed date would."""
    with tampering():
        Approval.objects.update(valid_to=date(2027, 1, 31))
    (permit,) = actions.refresh_permits(now=now + AHEAD, actor=OWNER)
    return permit


def repair(now: datetime) -> ClockRepair:
    wrong = approvals.first_wrong(now)
    assert wrong is not None
    proposed = approvals.propose_clock_repair(
        first_sequence=wrong.sequence, reason="It ran ahead.", now=now, actor=OWNER
    )
    return actions.confirm_clock_repair(repair=proposed, now=now, actor=SECOND)


def test_permit_rests_on_a_decision_of_today_after_a_repair(yard: Yard) -> None:
    line = yard.open_line()
    wrong = write_ahead(yard.now)
    named = repair(yard.now)
    after = newest(line)
    assert named.first_sequence <= wrong.decision.sequence <= named.last_sequence
    assert after.serial == wrong.serial + 1
    assert (after.state, after.decision.at) == ("open", yard.now)
    assert after.open_until == wrong.open_until


def test_what_allowed_too_much_gets_shorter(yard: Yard) -> None:
    line = yard.open_line()
    wrong = write_ahead(yard.now)
    with tampering():
        Approval.objects.update(valid_to=date(2026, 6, 30))
    repair(yard.now)
    assert newest(line).open_until == datetime.fromisoformat("2026-07-01T00:00+00:00")
    assert newest(line).open_until < wrong.open_until


def test_repair_lengthens_nothing_by_itself(yard: Yard) -> None:
    line = yard.open_line()
    wrong = write_ahead(yard.now)
    with tampering():
        Approval.objects.update(valid_to=date(2027, 2, 28))
    repair(yard.now)
    in_repair = newest(line)
    actions.refresh_permits(now=yard.now, actor=OWNER)
    assert in_repair.open_until == wrong.open_until
    assert newest(line).open_until > wrong.open_until, "a Decision of its own day may"


def test_line_that_was_held_ahead_opens_with_the_next_look_not_by_the_repair(yard: Yard) -> None:
    line = yard.open_line()
    late = yard.now + timedelta(days=380)
    (held,) = actions.refresh_permits(now=late, actor=OWNER)
    repair(yard.now)
    in_repair = newest(line)
    actions.refresh_permits(now=yard.now, actor=OWNER)
    assert (held.state, in_repair.serial) == ("held", held.serial)
    assert newest(line).state == "open"


def test_what_was_recorded_ahead_counts_for_nothing_now(yard: Yard) -> None:
    line = yard.open_line()
    write_ahead(yard.now)
    with tampering():
        Approval.objects.update(verified_at=yard.now + AHEAD)
    repair(yard.now)
    assert newest(line).state == "held"
    assert newest(line).open_until == datetime.fromtimestamp(unix(yard.now), yard.now.tzinfo)


def test_line_that_rests_on_a_right_decision_is_left_alone(yard: Yard) -> None:
    line = yard.open_line()
    before = newest(line)
    other = yard.plan("second")
    ahead = yard.now + AHEAD
    approvals.write_decision(
        subject=other.code,
        line=line_facts(other),
        verdict=judge_line(line=other, at=ahead),
        now=ahead,
    )
    repair(yard.now)
    assert newest(line) == before


def test_database_refuses_a_permit_on_a_decision_that_is_named_wrong(yard: Yard) -> None:
    line = yard.open_line()
    wrong = write_ahead(yard.now)
    repair(yard.now)
    with tampering():  # the newer Decision gone, as in a chain cut off at its end
        Permit.objects.filter(line=line, serial__gt=wrong.serial).delete()
        Decision.objects.filter(sequence__gt=wrong.decision.sequence).delete()
    with (
        pytest.raises(IntegrityError, match="needs a decision"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO fleet_permit (line_id, serial, state, open_until, decision_id, payload,"
            " signature, written_at) SELECT line_id, serial + 1, state, open_until, decision_id,"
            " payload, signature, written_at FROM fleet_permit WHERE id = %s",
            [wrong.pk],
        )


def test_verification_opens_and_correction_closes_in_the_same_transaction(yard: Yard) -> None:
    line = yard.open_line()
    former = Approval.objects.get()
    version = approvals.correct(
        approval=former,
        says=approvals.Record(kind=former.kind, holder=former.holder, line_codes=["ln_other"]),
        reason="It names another line.",
        packs=packs_in_force(),
        now=yard.now,
        actor=OWNER,
    )
    approvals.grant(
        approval=version,
        issued=approvals.Issued(
            number="XD-1", valid_from=date(2026, 3, 1), valid_to=date(2027, 2, 28)
        ),
        file=approvals.EvidenceFile(data=b"paper", title="x", media_type="text/plain"),
        store_dir=yard.store,
        now=yard.now,
        actor=OWNER,
    )
    before = newest(line).state
    actions.verify_approval(approval=version, now=yard.now, actor=SECOND)
    assert (before, newest(line).state) == ("open", "held")
