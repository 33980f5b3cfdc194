"""The second person: a member of staff, or somebody outside who was sent a link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.actions.steps import (
    State,
    end_links,
    fresh,
    record,
    replace_formers,
    who,
    wrong_state,
)
from ferriage.approvals.models import Approval
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor


class SamePerson(FerriageError):
    """Who entered an approval may not verify it, and only people verify."""

    slug = "same-person"
    status = 403


class EvidenceMissing(FerriageError):
    """An approval counts only with a file that proves it."""

    slug = "evidence-missing"


def verify(*, approval: Approval, now: datetime, actor: Actor) -> Approval:
    """Confirm, as a second member of staff, that the record says what the evidence says.

    A correction takes the place of the version before in the same transaction.

    Raises:
        SamePerson: The actor entered it, or is no person.
        NotInThisState: It is not granted, or the authority stopped the version it corrects.
        EvidenceMissing: There is no file to look at.
        StaleState: Somebody else verified or changed it first.
    """
    with writing():
        approval = fresh(approval)
        if actor.kind != "staff" or actor.is_called(approval.entered_by):
            raise SamePerson(
                _("An approval is verified by another person than the one who entered it."),
                _("Ask a second member of staff, or send a link to somebody outside."),
            )
        confirm(approval, now, actor)
    return approval


def check_verifiable(approval: Approval) -> None:
    """Refuse what nobody can verify now.

    Raises:
        NotInThisState: It is not granted.
        EvidenceMissing: There is no file to look at.
        StaleState: It was verified already.
    """
    if approval.state != State.GRANTED:
        raise wrong_state(approval)
    if approval.verified_by:
        raise StaleState(_("This approval was verified already."))
    if not approval.evidence.exists():
        raise EvidenceMissing(_("This approval has no evidence to verify it by."))


def confirm(approval: Approval, now: datetime, actor: Actor) -> None:
    """Write the second person's name, inside the caller's transaction.

    Raises:
        NotInThisState: As `verify`, like the others.
    """
    check_verifiable(approval)
    row = Approval.objects.filter(
        pk=approval.pk, state=State.GRANTED, verified_by="", entered_by=approval.entered_by
    )
    if row.update(verified_by=who(actor), verified_at=now) != 1:
        raise StaleState(_("This approval was verified already."))
    approval.refresh_from_db()
    end_links(approval, now)
    record(approval, "verified", now, actor)
    replace_formers(approval, now, actor)
