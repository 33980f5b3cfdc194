"""Corrections: what was recorded wrongly is recorded anew, and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.actions.approvals import record_approval
from ferriage.approvals.actions.steps import State, end_links, fresh, move, record, wrong_state
from ferriage.approvals.models import Approval
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.approvals.models import Party
    from ferriage.approvals.packs import Packs
    from ferriage.core.actors import Actor


class ReasonMissing(FerriageError):
    """A correction says what was wrong."""

    slug = "correction-reason"
    status = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What an approval's record says before the authority's answer; see `record_approval`."""

    kind: str
    holder: Party
    line_codes: Iterable[str]
    conditions: str = ""
    capacity: str = ""
    customers: str = ""


def correct(
    *,
    approval: Approval,
    says: Record,
    reason: str,
    packs: Packs,
    now: datetime,
    actor: Actor,
) -> Approval:
    """Begin a new version of a record that says something wrong, and return it: a draft.

    It goes the way of every record: entered with evidence by one person, verified by another. In
    the moment in which it counts it takes the place of the version before. A version that does
    not count yet is set aside at once, so that nobody verifies what is known to be wrong.

    Raises:
        ReasonMissing: No word on what was wrong.
        NotInThisState: It is neither a draft nor lodged nor granted.
        StaleState: A correction of it was begun before.
        UnknownKind: No pack lists the kind.
    """
    if not reason.strip():
        raise ReasonMissing(_("Say what is wrong with the version that you correct."))
    with writing():
        former = fresh(approval)
        if former.state not in {State.DRAFT, State.LODGED, State.GRANTED}:
            raise wrong_state(former)
        if Approval.objects.filter(supersedes=former, is_correction=True).exists():
            raise StaleState(
                _("A correction of this version was begun already."), _("Go on with that one.")
            )
        version = record_approval(
            kind=says.kind,
            holder=says.holder,
            line_codes=says.line_codes,
            conditions=says.conditions,
            capacity=says.capacity,
            customers=says.customers,
            supersedes=former,
            correction=reason.strip(),
            packs=packs,
            now=now,
            actor=actor,
        )
        record(former, "corrected", now, actor, by=version.code, reason=reason.strip())
        if former.state != State.LODGED and not former.verified_by:
            move(former, (State.DRAFT, State.GRANTED), State.SUPERSEDED)
            end_links(former, now)
            record(former, "superseded", now, actor, by=version.code)
    return version
