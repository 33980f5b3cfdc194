"""Clock repair: two people name the Decisions that a clock which ran ahead has written.

Without it a shop whose clock once showed next year could sell nothing for a year, and the only way
out would be to rewrite the chain. The Decisions stay, and a record of the repair follows them in
the chain; what rests on them is judged again, and the repair itself opens nothing.

Source: docs/explanation/register.md
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.actions.decisions import CLOCK_TOLERANCE, append, check_synchronised
from ferriage.approvals.actions.steps import who
from ferriage.approvals.actions.verification import SamePerson
from ferriage.approvals.models import ClockRepair, Decision
from ferriage.approvals.queries import guarding_decision, latest_decision
from ferriage.core import audit, chain
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor


class NothingToRepair(FerriageError):
    """The clock is not behind the records, or the Decisions named are not the wrong ones."""

    slug = "clock-repair"


class RepairWrong(FerriageError):
    """The proposal does not say why, or begins at the wrong Decision."""

    slug = "clock-repair-wrong"
    status = 422


def first_wrong(now: datetime) -> Decision | None:
    """Return the first Decision from which on all lie in the future; nothing while none does."""
    guarding = guarding_decision()
    if guarding is None or now >= guarding.at - CLOCK_TOLERANCE:
        return None
    right = Decision.objects.filter(at__lte=now).order_by("-sequence").first()
    after = right.sequence if right else 0
    return Decision.objects.filter(sequence__gt=after).order_by("sequence").first()


def propose_clock_repair(
    *, first_sequence: int, reason: str, now: datetime, actor: Actor
) -> ClockRepair:
    """Name the wrong Decisions: from one on to the newest. It changes nothing until confirmed.

    An earlier proposal that waits is dropped.

    Args:
        first_sequence: At or before `first_wrong`: what was written while the clock already ran
            ahead may lie in the past by now.

    Raises:
        NothingToRepair: The clock is not behind the records.
        RepairWrong: No reason, or Decisions that lie in the future would be left out.
    """
    if not reason.strip():
        raise RepairWrong(
            _("Say how the clock came to run ahead, and how you know that it is right now.")
        )
    with writing():
        wrong, newest = first_wrong(now), latest_decision()
        if wrong is None or newest is None:
            raise _nothing()
        if not 1 <= first_sequence <= wrong.sequence:
            raise RepairWrong(
                _("Every decision from number %(first)s on lies in the future.")
                % {"first": wrong.sequence},
                _("Begin with that one, or with an earlier one."),
            )
        _drop_waiting(now)
        repair = ClockRepair.objects.create(
            first_sequence=first_sequence,
            last_sequence=newest.sequence,
            last_hash=newest.hash,
            reason=reason.strip(),
            proposed_by=who(actor),
            proposed_at=now,
        )
        _record(repair, "proposed", now, actor)
    return repair


def confirm_clock_repair(*, repair: ClockRepair, now: datetime, actor: Actor) -> ClockRepair:
    """Confirm as a second member of staff; from now on the guard asks other Decisions.

    Called by the fleet, which judges again what rests on them in the same transaction.

    Raises:
        SamePerson: The actor proposed it, or is no person.
        StaleState: It was confirmed or dropped.
        NothingToRepair: The time it names has come, or the clock is behind right records too.
        ClockUnsynchronised: This host has not set its clock yet, so nobody can say it is right.
    """
    with writing():
        repair = ClockRepair.objects.get(pk=repair.pk)
        if actor.kind != "staff" or actor.is_called(repair.proposed_by):
            raise SamePerson(
                _("A clock repair is confirmed by another person than the one who proposed it."),
                _("Ask a second member of staff, or send a link to somebody outside."),
            )
        return confirm(repair, now, actor)


def confirm(repair: ClockRepair, now: datetime, actor: Actor) -> ClockRepair:
    """Write the second person's name, and the repair into the chain; in the caller's transaction.

    Raises:
        StaleState: As `confirm_clock_repair`, like the other.
    """
    check_open(repair)
    check_synchronised()
    _check_still_wrong(repair, now)
    rows = ClockRepair.objects.filter(pk=repair.pk, confirmed_by="", dropped_at=None)
    if rows.update(confirmed_by=who(actor), confirmed_at=now) != 1:
        raise _closed()
    repair.refresh_from_db()
    _append_to_chain(repair, now)
    _record(repair, "confirmed", now, actor)
    return repair


def drop_clock_repair(*, repair: ClockRepair, now: datetime, actor: Actor) -> ClockRepair:
    """Take a proposal back; any one member of staff may.

    Raises:
        StaleState: It was confirmed or dropped.
    """
    with writing():
        rows = ClockRepair.objects.filter(pk=repair.pk, confirmed_by="", dropped_at=None)
        if rows.update(dropped_at=now) != 1:
            raise _closed()
        repair.refresh_from_db()
        _record(repair, "dropped", now, actor)
    return repair


def check_open(repair: ClockRepair) -> None:
    """Refuse what nobody can confirm any more.

    Raises:
        StaleState: It was confirmed or dropped.
    """
    if repair.confirmed_by or repair.dropped_at is not None:
        raise _closed()


def _check_still_wrong(repair: ClockRepair, now: datetime) -> None:
    last = Decision.objects.get(sequence=repair.last_sequence)
    if last.hash != repair.last_hash or first_wrong(now) is None:
        raise _nothing()
    right = Decision.objects.filter(sequence__lt=repair.first_sequence)
    newest_right = right.order_by("-sequence").first()
    if newest_right is not None and now < newest_right.at - CLOCK_TOLERANCE:
        raise NothingToRepair(
            _("The clock is behind decisions that the repair does not name too."),
            _("Set the clock right first, or propose a repair that names them."),
        )


def _append_to_chain(repair: ClockRepair, now: datetime) -> None:
    """Let the chain itself say why its time goes back; a verifier follows it as any other."""
    said = {
        "repair": repair.code,
        "first": repair.first_sequence,
        "last": repair.last_sequence,
        "head": repair.last_hash,
        "reason": repair.reason,
        "proposed_by": repair.proposed_by,
        "confirmed_by": repair.confirmed_by,
    }
    append(
        Decision(
            at=now,
            subject=repair.code,
            line_code="",
            inputs_digest=hashlib.sha256(chain.canonical(said).encode()).hexdigest(),
            packs={},
            allowed=False,
            reasons=[
                {
                    "role": "",
                    "place": "",
                    "slug": "clock-repair",
                    "clause": "",
                    "source": "",
                    "params": {
                        "first": str(repair.first_sequence),
                        "last": str(repair.last_sequence),
                        "reason": repair.reason,
                    },
                }
            ],
            valid_until=now,
        )
    )


def _drop_waiting(now: datetime) -> None:
    ClockRepair.objects.filter(confirmed_by="", dropped_at=None).update(dropped_at=now)


def _nothing() -> NothingToRepair:
    return NothingToRepair(
        _("The clock is not behind the decisions that this names, so there is nothing to repair.")
    )


def _closed() -> StaleState:
    return StaleState(_("This clock repair was confirmed or dropped already."))


def _record(repair: ClockRepair, verb: str, now: datetime, actor: Actor) -> None:
    audit.record(
        now=now,
        actor=actor,
        action=f"clock_repair.{verb}",
        subject=repair.code,
        first=repair.first_sequence,
        last=repair.last_sequence,
        reason=repair.reason,
    )
