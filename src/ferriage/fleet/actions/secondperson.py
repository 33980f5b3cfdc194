"""What a second person confirms takes effect on the lines in the same transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.approvals import actions as approvals
from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.fleet.actions.permits import refresh_permits, rejudge

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.approvals.models import Approval, ClockRepair, OutsideAnswer


def verify_approval(*, approval: Approval, now: datetime, actor: Actor) -> Approval:
    """Verify an approval as a second member of staff; a correction may close what it narrows.

    Raises:
        SamePerson: As `approvals.verify`, like all others.
    """
    with writing():
        verified = approvals.verify(approval=approval, now=now, actor=actor)
        refresh_permits(now=now, actor=actor)
    return verified


def confirm_clock_repair(*, repair: ClockRepair, now: datetime, actor: Actor) -> ClockRepair:
    """Confirm a clock repair and judge again, at once, what rests on the Decisions it names.

    Raises:
        SamePerson: As `approvals.confirm_clock_repair`, like all others.
    """
    with writing():
        repair = approvals.confirm_clock_repair(repair=repair, now=now, actor=actor)
        rejudge(repair=repair, now=now, actor=actor)
    return repair


def answer_outside_link(*, token: str, answer: approvals.Answer, now: datetime) -> OutsideAnswer:
    """Record what a person from outside answered, and let a yes take effect at once.

    Raises:
        OutsideLinkGone: As `approvals.answer_outside_link`, like all others.
    """
    with writing():
        given = approvals.answer_outside_link(token=token, answer=answer, now=now)
        actor = Actor("outside", given.name)
        if given.confirmed and given.repair is not None:
            rejudge(repair=given.repair, now=now, actor=actor)
        elif given.confirmed:
            refresh_permits(now=now, actor=actor)
    return given
