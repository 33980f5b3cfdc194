"""Recording what an authority granted, by two people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.actions.evidence import EvidenceFile, add_evidence
from ferriage.approvals.models import Approval, ApprovalLine, Party
from ferriage.approvals.packfile import is_place
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, NotFound, StaleState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime
    from pathlib import Path

    from ferriage.approvals.packs import Packs
    from ferriage.core.actors import Actor

State = Approval.State


class UnknownKind(FerriageError):
    """No rule pack in force knows this kind of approval."""

    slug = "kind-unknown"
    status = 422


class NotInThisState(FerriageError):
    """The approval is not in a state from which this can be done."""

    slug = "approval-state"


class SamePerson(FerriageError):
    """Who entered an approval may not verify it, and only people verify."""

    slug = "same-person"
    status = 403


class EvidenceMissing(FerriageError):
    """An approval counts only with a file that proves it."""

    slug = "evidence-missing"


class IssuedWrong(FerriageError):
    """What was entered cannot be what an authority issued."""

    slug = "issued-wrong"
    status = 422


class PlaceUnreadable(FerriageError):
    """A text that is not the ISO 3166 code of a place."""

    slug = "place-unreadable"
    status = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """What the authority's document says.

    Both days are inclusive and of the authority's calendar; `valid_to` is None only for kinds
    that have no end.
    """

    number: str
    valid_from: date
    valid_to: date | None
    issued_on: date | None = None


def create_party(
    *, name: str, place: str, register_number: str = "", now: datetime, actor: Actor
) -> Party:
    """Record a legal person that operates lines or holds approvals.

    Raises:
        PlaceUnreadable: `place` is not an ISO 3166 code.
    """
    if not is_place(place):
        raise PlaceUnreadable(
            _("“%s” is not the code of a place.") % place,
            _("Use the ISO 3166 code, such as SE or CN."),
        )
    with writing():
        party = Party.objects.create(name=name, place=place, register_number=register_number)
        audit.record(
            now=now, actor=actor, action="party.created", subject=party.code, name=name, place=place
        )
    return party


def record_approval(
    *,
    kind: str,
    holder: Party,
    line_codes: Iterable[str],
    packs: Packs,
    conditions: str = "",
    supersedes: Approval | None = None,
    now: datetime,
    actor: Actor,
) -> Approval:
    """Begin the record of an approval: a draft, which opens nothing.

    Args:
        line_codes: `ln_` codes of the lines in its scope.
        supersedes: The approval that this one renews or corrects; that one is left as it is.

    Raises:
        UnknownKind: No pack lists the kind.
    """
    if kind not in packs.kinds:
        raise UnknownKind(
            _("No rule pack knows the kind of approval “%s”.") % kind,
            _("Choose one of those listed, or add a pack for the place."),
        )
    with writing():
        approval = Approval.objects.create(
            kind=kind,
            holder=holder,
            conditions=conditions,
            supersedes=supersedes,
            entered_by=_who(actor),
            created_at=now,
        )
        scope = sorted(set(line_codes))
        ApprovalLine.objects.bulk_create(
            ApprovalLine(approval=approval, line_code=code) for code in scope
        )
        _record(approval, "recorded", now, actor, kind=kind, holder=holder.code, lines=scope)
    return approval


def lodge(
    *, approval: Approval, file: EvidenceFile, store_dir: Path, now: datetime, actor: Actor
) -> Approval:
    """Note that the application was sent, with its acknowledgement or proof of sending.

    Where business may begin with a notification, the approval counts from this instant.

    Raises:
        NotInThisState: It is not a draft.
    """
    with writing():
        add_evidence(approval=approval, file=file, store_dir=store_dir, now=now, actor=actor)
        _move(approval, (State.DRAFT,), State.LODGED, lodged_at=now)
        _record(approval, "lodged", now, actor)
    return approval


def grant(
    *,
    approval: Approval,
    issued: Issued,
    file: EvidenceFile,
    store_dir: Path,
    now: datetime,
    actor: Actor,
) -> Approval:
    """Enter what the authority issued. It does not count until another person verified it.

    Who enters the grant becomes the one who may not verify it.

    Raises:
        NotInThisState: It is neither a draft nor lodged.
        IssuedWrong: No number, it would end before it begins, or it is not issued yet.
    """
    _check_issued(issued, now.date())
    with writing():
        add_evidence(approval=approval, file=file, store_dir=store_dir, now=now, actor=actor)
        entered = {**asdict(issued), "number": issued.number.strip()}
        before = (State.DRAFT, State.LODGED)
        _move(approval, before, State.GRANTED, entered_by=_who(actor), **entered)
        details = {key: str(value) for key, value in entered.items() if value is not None}
        _record(approval, "granted", now, actor, **details)
    return approval


def verify(*, approval: Approval, now: datetime, actor: Actor) -> Approval:
    """Confirm, as a second person, that the record says what the evidence says.

    Raises:
        SamePerson: The actor entered it, or is no person.
        NotInThisState: It is not granted.
        EvidenceMissing: There is no file to look at.
        StaleState: Somebody else verified or changed it first.
    """
    with writing():
        approval = _fresh(approval)
        if actor.kind != "staff" or _who(actor).casefold() == approval.entered_by.casefold():
            raise SamePerson(
                _("An approval is verified by another person than the one who entered it."),
                _("Ask a second member of staff, or invite one."),
            )
        if approval.state != State.GRANTED:
            raise _wrong_state(approval)
        if not approval.evidence.exists():
            raise EvidenceMissing(_("This approval has no evidence to verify it by."))
        row = Approval.objects.filter(
            pk=approval.pk, state=State.GRANTED, verified_by="", entered_by=approval.entered_by
        )
        if row.update(verified_by=_who(actor), verified_at=now) != 1:
            raise StaleState(_("This approval was verified already."))
        approval.refresh_from_db()
        _record(approval, "verified", now, actor)
    return approval


def suspend(*, approval: Approval, now: datetime, actor: Actor) -> Approval:
    """Note that the authority suspended it; any one member of staff may.

    Raises:
        NotInThisState: It is not granted.
    """
    return _change(approval, (State.GRANTED,), State.SUSPENDED, now, actor)


def reinstate(*, approval: Approval, now: datetime, actor: Actor) -> Approval:
    """Note that the suspension ended. It counts again only once verified anew.

    Raises:
        NotInThisState: It is not suspended.
    """
    # Opening again is more than closing: the second person looks at the authority's word again.
    anew = {"verified_by": "", "verified_at": None, "entered_by": _who(actor)}
    return _change(approval, (State.SUSPENDED,), State.GRANTED, now, actor, **anew)


def revoke(*, approval: Approval, now: datetime, actor: Actor) -> Approval:
    """Note that the authority revoked it, for good.

    Raises:
        NotInThisState: It is neither granted nor suspended, nor lodged.
    """
    before = (State.LODGED, State.GRANTED, State.SUSPENDED)
    return _change(approval, before, State.REVOKED, now, actor)


def surrender(*, approval: Approval, now: datetime, actor: Actor) -> Approval:
    """Note that its holder gave it back, for good.

    Raises:
        NotInThisState: It is neither granted nor suspended.
    """
    return _change(approval, (State.GRANTED, State.SUSPENDED), State.SURRENDERED, now, actor)


def refuse(*, approval: Approval, now: datetime, actor: Actor) -> Approval:
    """Note that the authority refused the application.

    Raises:
        NotInThisState: It is not lodged.
    """
    return _change(approval, (State.LODGED,), State.REFUSED, now, actor)


# --- how it is done ---------------------------------------------------------------------------


def _who(actor: Actor) -> str:
    """Return who entered or verified, so that one person always has one name."""
    return actor.code if actor.kind == "staff" else str(actor)


def _check_issued(issued: Issued, today: date) -> None:
    # A day more: it may be tomorrow already where the authority is.
    if issued.issued_on is not None and issued.issued_on > today + timedelta(days=1):
        raise IssuedWrong(_("The day of issue has not come yet."))
    if not issued.number.strip():
        raise IssuedWrong(_("An approval that was granted has a number."))
    if issued.valid_to is not None and issued.valid_to < issued.valid_from:
        raise IssuedWrong(_("The approval would end before it begins."))


def _change(
    approval: Approval,
    before: tuple[State, ...],
    after: State,
    now: datetime,
    actor: Actor,
    **values: object,
) -> Approval:
    with writing():
        _move(approval, before, after, **values)
        verb = "reinstated" if after == State.GRANTED else after.value
        _record(approval, verb, now, actor)
    return approval


def _move(approval: Approval, before: tuple[State, ...], after: State, **values: object) -> None:
    """Change the state by compare-and-set and bring the caller's object up to date."""
    rows = Approval.objects.filter(pk=approval.pk, state__in=before)
    if rows.update(state=after, **values) != 1:
        raise _wrong_state(_fresh(approval))
    approval.refresh_from_db()


def _fresh(approval: Approval) -> Approval:
    row = Approval.objects.filter(pk=approval.pk).first()
    if row is None:
        raise NotFound(_("There is no such approval."))
    return row


def _wrong_state(approval: Approval) -> NotInThisState:
    return NotInThisState(
        _("This cannot be done: approval %(code)s is %(state)s.")
        % {"code": approval.code, "state": approval.get_state_display()}
    )


def _record(approval: Approval, verb: str, now: datetime, actor: Actor, **details: object) -> None:
    audit.record(now=now, actor=actor, action=f"approval.{verb}", subject=approval.code, **details)
