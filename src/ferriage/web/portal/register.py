"""The register as customers read it: why a line may be sold, or why not (rule R8)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.approvals import queries as register
from ferriage.approvals import reasons
from ferriage.approvals.facts import Verdict
from ferriage.approvals.models import Approval, ApprovalLine, Determination
from ferriage.approvals.packs import end_of, midnight
from ferriage.approvals.site import packs_on_file
from ferriage.approvals.spans import determination_end
from ferriage.plans.models import Offer
from ferriage.reports.lines import concerned, standings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from zoneinfo import ZoneInfo

    from ferriage.approvals.facts import Reason
    from ferriage.fleet.models import Line
    from ferriage.reports.lines import Standing, State

STATES: Final = {
    Approval.State.DRAFT: _("not applied for yet"),
    Approval.State.LODGED: _("applied for"),
    Approval.State.GRANTED: _("granted"),
    Approval.State.SUSPENDED: _("suspended"),
    Approval.State.REVOKED: _("revoked"),
    Approval.State.SURRENDERED: _("given back"),
    Approval.State.REFUSED: _("refused by the authority"),
    Approval.State.SUPERSEDED: _("corrected by a later version"),
}


ROLES: Final = {
    "operate": _("operating"),
    "enter": _("taking in traffic"),
    "exit": _("letting traffic out"),
    "cross": _("crossing the border"),
    "sell": _("selling"),
}


NO_LINE: Final = Verdict(
    allowed=False, reasons=(), grounds=(), valid_until=datetime.min.replace(tzinfo=UTC)
)
"""The word on a plan whose lines are all gone: nothing may be open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalCard:
    """An approval as the public page of a line shows it.

    `register_url` is where the authority itself can be asked about it.
    """

    approval: Approval
    kind: str
    authority: str
    register_url: str
    state: object
    verified: bool
    verified_outside: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConclusionCard:
    """A conclusion of the operator's own; `overdue` once it answers nothing any more."""

    row: Determination
    role: object
    overdue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePage:
    """Everything the public page of a line says. `until` is when its permit ends, if it is open."""

    line: Line
    state: State
    until: datetime | None
    verdict: Verdict
    grounds: tuple[str, ...]
    reasons: tuple[str, ...]
    approvals: tuple[ApprovalCard, ...]
    determinations: tuple[ConclusionCard, ...]
    privacy_class: str
    invented: bool


def line_pages(lines: Iterable[Line], *, now: datetime, language: str) -> tuple[LinePage, ...]:
    """Return what anybody may know about each line, judged now.

    Eight queries, however many lines there are.
    """
    found = list(lines)
    packs = packs_on_file()
    approvals = _approvals(found, language, now)
    concluded = _determinations(found)
    metered = _metered(found)
    return tuple(
        _page(
            standing,
            language=language,
            approvals=tuple(approvals[standing.line.code]),
            determinations=tuple(
                _conclusion(row, now)
                for row in concluded[standing.line.party_id]
                if concerned(row, standing.line, packs)
            ),
            metered=metered,
        )
        for standing in standings(found, now=now)
    )


def privacy_class(line: Line, metered: Collection[int]) -> str:
    """Return A (nothing is counted per customer), B (a quota is) or C (named people).

    Args:
        metered: Primary keys of the lines that plans with a quota are offered on.
    """
    if line.customer_class != "public":
        return "C"
    return "B" if line.pk in metered else "A"


def _metered(lines: list[Line]) -> set[int]:
    offers = Offer.objects.filter(
        line__in=lines, withdrawn_at=None, plan__quota_bytes__isnull=False
    )
    return set(offers.values_list("line", flat=True))


def why_not(verdict: Verdict, language: str) -> tuple[str, ...]:
    """Return what stands in the way, as sentences with their clauses."""
    return _sentences(verdict.reasons, language)


def _sentences(found: Iterable[Reason], language: str) -> tuple[str, ...]:
    packs = packs_on_file()
    return tuple(reasons.sentence(reason, language, packs) for reason in found)


def _page(
    standing: Standing,
    *,
    language: str,
    approvals: tuple[ApprovalCard, ...],
    determinations: tuple[ConclusionCard, ...],
    metered: Collection[int],
) -> LinePage:
    packs, line = packs_on_file(), standing.line
    places = (line.enter_place, line.exit_place, line.party.place)
    return LinePage(
        line=line,
        state=standing.state,
        until=standing.until,
        verdict=standing.verdict,
        grounds=_sentences(standing.verdict.grounds, language),
        reasons=_sentences(standing.verdict.reasons, language),
        approvals=approvals,
        determinations=determinations,
        privacy_class=privacy_class(line, metered),
        invented=any(pack.invented for place in places if (pack := packs.get(place))),
    )


def _approvals(
    lines: list[Line], language: str, now: datetime
) -> defaultdict[str, list[ApprovalCard]]:
    """Return the approvals whose scope names each line, newest first.

    Drafts are nobody's news, and what was corrected misleads: the version in its place is shown.
    """
    named = ApprovalLine.objects.filter(line_code__in=[line.code for line in lines])
    named = named.exclude(approval__state__in=[Approval.State.DRAFT, Approval.State.SUPERSEDED])
    cards: defaultdict[str, list[ApprovalCard]] = defaultdict(list)
    for row in named.select_related("approval__holder").order_by("-approval"):
        cards[row.line_code].append(_card(row.approval, language, now))
    return cards


def _determinations(lines: list[Line]) -> defaultdict[int, list[Determination]]:
    """Return what each line's operator concluded and has not ended."""
    parties = {line.party_id for line in lines}
    found: defaultdict[int, list[Determination]] = defaultdict(list)
    for row in (
        Determination.objects.filter(party__in=parties, ended_at=None)
        .select_related("party")
        .order_by("pk")
    ):
        found[row.party_id].append(row)
    return found


def _conclusion(row: Determination, now: datetime) -> ConclusionCard:
    end = determination_end(register.determination_facts(row), packs_on_file())
    return ConclusionCard(row=row, role=ROLES[row.role], overdue=end <= now)


def _card(row: Approval, language: str, now: datetime) -> ApprovalCard:
    packs = packs_on_file()
    kind, place = packs.kinds.get(row.kind), packs.kind_places.get(row.kind, "")
    authority = packs.by_place[place].authorities[kind.authority] if kind else None
    return ApprovalCard(
        approval=row,
        kind=reasons.kind_name(row.kind, language, packs),
        authority=reasons.authority_name(row.kind, language, packs),
        register_url=(authority.register_url or authority.url) if authority else "",
        state=_state(row, packs.zone(place), now),
        verified=bool(row.verified_by),
        verified_outside=row.verified_outside,
    )


def _state(row: Approval, zone: ZoneInfo, now: datetime) -> object:
    """Return an approval's state in words; that it has ended is never stored, but dated."""
    if row.state == Approval.State.GRANTED:
        if row.valid_to is not None and end_of(row.valid_to, zone) <= now:
            return _("lapsed")
        if row.valid_from is not None and midnight(row.valid_from, zone) > now:
            return _("granted, not valid yet")
    return STATES[Approval.State(row.state)]
