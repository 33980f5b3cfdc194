"""What every step of an approval's record shares: compare-and-set, its names, its versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.models import Approval, OutsideLink
from ferriage.core import audit
from ferriage.core.errors import FerriageError, NotFound

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor

State = Approval.State
_STOPPED = (State.SUSPENDED, State.REVOKED, State.SURRENDERED)


class NotInThisState(FerriageError):
    """The approval is not in a state from which this can be done."""

    slug = "approval-state"


def who(actor: Actor) -> str:
    """Return who entered or verified, so that one person always has one name."""
    return actor.code if actor.kind == "staff" else str(actor)


def move(approval: Approval, before: tuple[State, ...], after: State, **values: object) -> None:
    """Change the state by compare-and-set and bring the caller's object up to date."""
    rows = Approval.objects.filter(pk=approval.pk, state__in=before)
    if rows.update(state=after, **values) != 1:
        raise wrong_state(fresh(approval))
    approval.refresh_from_db()


def fresh(approval: Approval) -> Approval:
    """Return the row as it is now.

    Raises:
        NotFound: It is gone.
    """
    row = Approval.objects.filter(pk=approval.pk).first()
    if row is None:
        raise NotFound(_("There is no such approval."))
    return row


def wrong_state(approval: Approval) -> NotInThisState:
    """Return the refusal of a step, with the state that stands in its way."""
    return NotInThisState(
        _("This cannot be done: approval %(code)s is %(state)s.")
        % {"code": approval.code, "state": approval.get_state_display()}
    )


def record(approval: Approval, verb: str, now: datetime, actor: Actor, **details: object) -> None:
    """Write the audit entry of a step."""
    audit.record(now=now, actor=actor, action=f"approval.{verb}", subject=approval.code, **details)


def end_links(approval: Approval, now: datetime) -> None:
    """End the links with which somebody outside could still verify what is changed now."""
    open_links = OutsideLink.objects.filter(approval=approval, used_at=None, expires_at__gt=now)
    open_links.update(expires_at=now)


# --- versions ---------------------------------------------------------------------------------


def formers(approval: Approval) -> list[Approval]:
    """Return the versions that a correction replaces, newest first; a renewal replaces none."""
    found = []
    while approval.is_correction and approval.supersedes is not None:
        approval = approval.supersedes
        found.append(approval)
    return found


def replace_lodged(approval: Approval, now: datetime, actor: Actor) -> None:
    """Let a correction that was lodged stand in place of the versions that were lodged only."""
    for former in formers(approval):
        if former.state == State.LODGED:
            _supersede(former, approval, now, actor)


def replace_formers(approval: Approval, now: datetime, actor: Actor) -> None:
    """Let a correction that was verified stand in place of the versions before it.

    Raises:
        NotInThisState: The authority stopped one of them: a correction may not bring it back.
    """
    for former in formers(approval):
        if former.state in _STOPPED:
            raise NotInThisState(
                _("The version that this one corrects, %(code)s, is %(state)s.")
                % {"code": former.code, "state": former.get_state_display()},
                _("A correction takes no suspension or revocation away."),
            )
        if former.state in {State.DRAFT, State.LODGED, State.GRANTED}:
            _supersede(former, approval, now, actor)


def _supersede(former: Approval, by: Approval, now: datetime, actor: Actor) -> None:
    move(former, (State.DRAFT, State.LODGED, State.GRANTED), State.SUPERSEDED)
    end_links(former, now)
    record(former, "superseded", now, actor, by=by.code)
