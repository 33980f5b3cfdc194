"""Recording what an authority granted, by two people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.actions.evidence import EvidenceFile, add_evidence
from ferriage.approvals.actions.steps import State, end_links, move, record, replace_lodged, who
from ferriage.approvals.models import Approval, ApprovalLine, Party
from ferriage.approvals.packfile import is_place
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime
    from pathlib import Path

    from ferriage.approvals.packs import Packs
    from ferriage.core.actors import Actor


class UnknownKind(FerriageError):
    """No rule pack in force knows this kind of approval."""

    slug = "kind-unknown"
    status = 422


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


def record_approval(  # noqa: PLR0913 -- an approval is what its scope makes it
    *,
    kind: str,
    holder: Party,
    line_codes: Iterable[str],
    packs: Packs,
    conditions: str = "",
    capacity: str = "",
    customers: str = "",
    supersedes: Approval | None = None,
    correction: str = "",
    now: datetime,
    actor: Actor,
) -> Approval:
    """Begin the record of an approval: a draft, which opens nothing.

    Args:
        line_codes: `ln_` codes of the lines in its scope.
        capacity: What the document says of capacity, in its own words; likewise `customers`.
        supersedes: The approval that this one renews; that one is left as it is.
        correction: Why `supersedes` says something wrong, when this is its correction (`correct`).

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
            capacity=capacity,
            customers=customers,
            supersedes=supersedes,
            is_correction=bool(correction),
            correction_reason=correction,
            entered_by=who(actor),
            created_at=now,
        )
        scope = sorted(set(line_codes))
        ApprovalLine.objects.bulk_create(
            ApprovalLine(approval=approval, line_code=code) for code in scope
        )
        record(approval, "recorded", now, actor, kind=kind, holder=holder.code, lines=scope)
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
        move(approval, (State.DRAFT,), State.LODGED, lodged_at=now)
        add_evidence(approval=approval, file=file, store_dir=store_dir, now=now, actor=actor)
        record(approval, "lodged", now, actor)
        replace_lodged(approval, now, actor)
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
        entered = {**asdict(issued), "number": issued.number.strip()}
        before = (State.DRAFT, State.LODGED)
        move(approval, before, State.GRANTED, entered_by=who(actor), **entered)
        add_evidence(approval=approval, file=file, store_dir=store_dir, now=now, actor=actor)
        details = {key: str(value) for key, value in entered.items() if value is not None}
        record(approval, "granted", now, actor, **details)
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
    anew = {"verified_by": "", "verified_at": None, "entered_by": who(actor)}
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
        move(approval, before, after, **values)
        end_links(approval, now)
        verb = "reinstated" if after == State.GRANTED else after.value
        record(approval, verb, now, actor)
    return approval
