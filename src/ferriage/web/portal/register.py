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
from ferriage.approvals.site import packs_in_force
from ferriage.fleet import queries as fleet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ferriage.approvals.facts import Reason
    from ferriage.fleet.models import Line

STATES: Final = {
    Approval.State.DRAFT: _("not applied for yet"),
    Approval.State.LODGED: _("applied for"),
    Approval.State.GRANTED: _("granted"),
    Approval.State.SUSPENDED: _("suspended"),
    Approval.State.REVOKED: _("revoked"),
    Approval.State.SURRENDERED: _("given back"),
    Approval.State.REFUSED: _("refused by the authority"),
}


NO_LINE: Final = Verdict(
    allowed=False, reasons=(), grounds=(), valid_until=datetime.min.replace(tzinfo=UTC)
)
"""The word on a plan whose lines are all gone: nothing may be open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalCard:
    """An approval as the public page of a line shows it."""

    approval: Approval
    kind: str
    authority: str
    state: object
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePage:
    """Everything the public page of a line says."""

    line: Line
    verdict: Verdict
    grounds: tuple[str, ...]
    reasons: tuple[str, ...]
    approvals: tuple[ApprovalCard, ...]
    determinations: tuple[Determination, ...]
    privacy_class: str
    invented: bool


def line_pages(lines: Iterable[Line], *, now: datetime, language: str) -> tuple[LinePage, ...]:
    """Return what anybody may know about each line, judged now.

    Six queries, however many lines there are.
    """
    found = list(lines)
    recorded = register.load_register()
    approvals = _approvals(found, language)
    concluded = _determinations(found)
    return tuple(
        _page(
            line,
            verdict=recorded.judge(line=fleet.line_facts(line), at=now),
            language=language,
            approvals=tuple(approvals[line.code]),
            determinations=tuple(
                row for row in concluded[line.party_id] if row.line_code in {"", line.code}
            ),
        )
        for line in found
    )


def privacy_class(line: Line) -> str:
    """Return A (nothing is counted per customer) or C (a closed service for named people)."""
    return "A" if line.customer_class == "public" else "C"


def why_not(verdict: Verdict, language: str) -> tuple[str, ...]:
    """Return what stands in the way, as sentences with their clauses."""
    return _sentences(verdict.reasons, language)


def _sentences(found: Iterable[Reason], language: str) -> tuple[str, ...]:
    packs = packs_in_force()
    return tuple(reasons.sentence(reason, language, packs) for reason in found)


def _page(
    line: Line,
    *,
    verdict: Verdict,
    language: str,
    approvals: tuple[ApprovalCard, ...],
    determinations: tuple[Determination, ...],
) -> LinePage:
    packs = packs_in_force()
    places = (line.enter_place, line.exit_place, line.party.place)
    return LinePage(
        line=line,
        verdict=verdict,
        grounds=_sentences(verdict.grounds, language),
        reasons=_sentences(verdict.reasons, language),
        approvals=approvals,
        determinations=determinations,
        privacy_class=privacy_class(line),
        invented=any(pack.invented for place in places if (pack := packs.get(place))),
    )


def _approvals(lines: list[Line], language: str) -> defaultdict[str, list[ApprovalCard]]:
    """Return the approvals whose scope names each line, newest first; drafts are nobody's news."""
    named = ApprovalLine.objects.filter(line_code__in=[line.code for line in lines])
    named = named.exclude(approval__state=Approval.State.DRAFT)
    cards: defaultdict[str, list[ApprovalCard]] = defaultdict(list)
    for row in named.select_related("approval__holder").order_by("-approval"):
        cards[row.line_code].append(_card(row.approval, language))
    return cards


def _determinations(lines: list[Line]) -> defaultdict[int, list[Determination]]:
    """Return what each line's operator concluded and has not ended."""
    parties = {line.party_id for line in lines}
    found: defaultdict[int, list[Determination]] = defaultdict(list)
    for row in Determination.objects.filter(party__in=parties, ended_at=None).order_by("pk"):
        found[row.party_id].append(row)
    return found


def _card(row: Approval, language: str) -> ApprovalCard:
    return ApprovalCard(
        approval=row,
        kind=reasons.kind_name(row.kind, language, packs_in_force()),
        authority=reasons.authority_name(row.kind, language, packs_in_force()),
        state=STATES[Approval.State(row.state)],
        verified=bool(row.verified_by),
    )
