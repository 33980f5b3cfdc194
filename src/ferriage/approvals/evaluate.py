"""May this line be open, or sold in this place, at this instant? One pure function.

The answer is deny unless, for every question that the path raises, the law of the place asks
for nothing, or what it asks for is recorded and in force. There is no flag and no second way:
offers, orders, settlements, devices and permits all ask here.

Source: docs/explanation/register.md
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ferriage.approvals.facts import (
    ROLES,
    Answer,
    ApprovalFacts,
    DeterminationFacts,
    Facts,
    LineFacts,
    Question,
    Reason,
    Verdict,
)
from ferriage.approvals.packfile import Kind, Obligation, Row, is_place
from ferriage.approvals.packs import Pack, Packs, end_of, midnight
from ferriage.approvals.spans import determination_end, horizon

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from zoneinfo import ZoneInfo

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


def evaluate(facts: Facts, packs: Packs, at: datetime) -> Verdict:
    """Judge a line at an instant.

    Without a customer's place the line's permit is judged: everything but the sale, for every
    place written on the line. With one, the sale to that place too.

    Packs that wait are asked too, as they will be when they count: they can shorten an
    allowed verdict or turn it, and never the other way.

    Args:
        at: Aware. Each authority's date is taken in its own time zone.

    Source: docs/explanation/register.md
    """
    verdict = _by_one_law(facts, packs, at)
    for waiting in packs.later:
        then = _by_one_law(facts, waiting.packs, max(at, waiting.at))
        verdict = _stricter(verdict, then, counts_from=waiting.at, at=at)
    return verdict


def _stricter(now: Verdict, then: Verdict, *, counts_from: datetime, at: datetime) -> Verdict:
    """Return what is allowed by two laws, of which the second counts from an instant on."""
    if not now.allowed:
        return now
    if then.allowed:
        return replace(now, valid_until=min(now.valid_until, then.valid_until))
    return replace(now, valid_until=min(now.valid_until, counts_from)) if counts_from > at else then


def _by_one_law(facts: Facts, packs: Packs, at: datetime) -> Verdict:
    faults = tuple(_line_faults(facts, packs))
    if faults:
        return Verdict(allowed=False, reasons=faults, grounds=(), valid_until=at)
    case = _Case(facts, packs)
    asked = questions(facts.line, customer_place=facts.customer_place, packs=packs)
    limit = horizon(at)
    findings = [_follow(case, question, at, limit=limit) for question in asked]
    reasons = tuple(finding.reason for finding in findings if not finding.passed)
    return Verdict(
        allowed=not reasons,
        reasons=reasons,
        grounds=tuple(finding.reason for finding in findings if finding.passed),
        valid_until=at if reasons else min(finding.until for finding in findings),
    )


def rests_until(
    facts: Facts, packs: Packs, at: datetime, *, verdict: Verdict | None = None
) -> datetime | None:
    """Return the end of the approvals that an allowed verdict rests on; None is without end.

    This bounds the terms that may be sold (rule R4), however far away it is. Renewals without a
    gap count as one; a rule that is known to change, or a pack that waits, bounds it too. A
    determination bounds what may stay open, not what may be sold: one that is in force at `at` is
    taken to go on.

    Args:
        verdict: What `evaluate` says of the same, where that is known.

    Returns:
        `at` itself where the verdict denies.

    Source: docs/decisions/0014-terms-end-with-approvals.md
    """
    if not (verdict or evaluate(facts, packs, at)).allowed:
        return at
    laws = ((packs, at), *((waiting.packs, max(at, waiting.at)) for waiting in packs.later))
    until = min(_term_end(facts, law, start, sold_at=at) for law, start in laws)
    return None if until == _NEVER else until


def _term_end(facts: Facts, packs: Packs, start: datetime, *, sold_at: datetime) -> datetime:
    """Return where a term sold at an instant must end by one law, which counts from `start` on."""
    if any(_line_faults(facts, packs)):
        return start
    case = _Case(facts, packs, sold_at=sold_at)
    asked = questions(facts.line, customer_place=facts.customer_place, packs=packs)
    findings = [_follow(case, question, start, limit=_NEVER) for question in asked]
    return min(finding.until if finding.passed else start for finding in findings)


def questions(line: LineFacts, *, customer_place: str | None, packs: Packs) -> tuple[Question, ...]:
    """Return what the law is asked about a line, each once, by role and then by place."""
    asked = {("operate", line.operator.place), ("enter", line.enter), ("exit", line.exit)}
    if customer_place is not None:
        asked.add(("sell", customer_place))
    customers = line.sell_places if customer_place is None else (customer_place,)
    for place in customers:
        path = {packs.jurisdiction(stop) for stop in (place, line.enter, line.exit)}
        if len(path) > 1:
            asked |= {("cross", stop) for stop in path}
    return tuple(
        Question(role, place)
        for role in ROLES
        for place in sorted({packs.jurisdiction(where) for what, where in asked if what == role})
    )


def open_questions(facts: Facts, packs: Packs, at: datetime) -> tuple[Question, ...]:
    """Return the questions that only a determination can answer and none in force does."""
    case = _Case(facts, packs)
    asked = questions(facts.line, customer_place=facts.customer_place, packs=packs)
    return tuple(
        question
        for question in asked
        if case.answer(question, at) == "unknown" and case.determination(question, at) is None
    )


def _line_faults(facts: Facts, packs: Packs) -> Iterator[Reason]:
    line = facts.line
    places = (line.operator.place, line.enter, line.exit, *line.sell_places)
    for place in sorted({place for place in places if not is_place(place)}):
        yield Reason(role="operate", place=place, slug="place-unreadable")
    if not line.sell_places:
        yield Reason(role="sell", place="", slug="no-place-to-sell")
    elif facts.customer_place == "":
        yield Reason(role="sell", place="", slug="place-not-declared")
    elif facts.customer_place is not None and not is_place(facts.customer_place):
        # Or what begins like a place on the line would pass for a part of it.
        yield Reason(role="sell", place=facts.customer_place, slug="place-unreadable")
    elif facts.customer_place is not None and not _is_sold_in(line, facts.customer_place, packs):
        yield Reason(role="sell", place=facts.customer_place, slug="place-not-on-line")


def _is_sold_in(line: LineFacts, place: str, packs: Packs) -> bool:
    """Tell whether a place, or the jurisdiction that it belongs to, is written on the line."""
    return not {place, packs.jurisdiction(place)}.isdisjoint(line.sell_places)


# --- one question -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Finding:
    """How one question stands; `until` is when that could change, and means nothing if denied."""

    reason: Reason
    passed: bool
    until: datetime


@dataclass(frozen=True, slots=True)
class _Case:
    """What is judged. With `sold_at`, conclusions in force at that instant do not lapse."""

    facts: Facts
    packs: Packs
    sold_at: datetime | None = None

    def row(self, question: Question, at: datetime) -> Row | None:
        pack = self.pack(question)
        line = self.facts.line
        return pack.row((question.role, line.customer_class, line.use), at) if pack else None

    def pack(self, question: Question) -> Pack | None:
        return self.packs.by_place.get(question.place)

    def answer(self, question: Question, at: datetime) -> Answer:
        row = self.row(question, at)
        return row.answer if row else "unknown"

    def determinations(self, question: Question) -> Iterator[DeterminationFacts]:
        """Yield what the operator concluded on exactly this question, in force or not."""
        line = self.facts.line
        wanted = (question.place, question.role, line.customer_class, line.use)
        for made in self.facts.determinations:
            place = self.packs.jurisdiction(made.place)
            same = (place, made.role, made.customer_class, made.use) == wanted
            mine = made.party == line.operator.code and made.line in {None, line.code}
            if same and mine:
                yield made

    def latest(self, question: Question, at: datetime) -> DeterminationFacts | None:
        """Return the newest conclusion; an older one does not revive when it lapses."""
        made = [item for item in self.determinations(question) if item.made_at <= at]
        return max(made, key=lambda item: item.made_at, default=None)

    def determination(self, question: Question, at: datetime) -> DeterminationFacts | None:
        latest = self.latest(question, at)
        return None if latest is None or self.conclusion_end(latest) <= at else latest

    def conclusion_end(self, determination: DeterminationFacts) -> datetime:
        """Return the instant from which a conclusion answers nothing any more, for this case."""
        end = determination_end(determination, self.packs)
        return end if self.sold_at is None or end <= self.sold_at else _NEVER

    def changes(self, question: Question, at: datetime) -> Iterator[datetime]:
        """Yield the instants after `at` at which another rule or conclusion may take over."""
        line = self.facts.line
        pack = self.pack(question)
        if pack:
            change = pack.next_change((question.role, line.customer_class, line.use), at)
            if change:
                yield change
        yield from (item.made_at for item in self.determinations(question) if item.made_at > at)


def _follow(case: _Case, question: Question, at: datetime, *, limit: datetime) -> _Finding:
    """Judge a question, and follow it through renewals to the instant it would be denied."""
    finding = _judge(case, question, at)
    until = finding.until
    while finding.passed and until < limit:
        later = _judge(case, question, until)
        if not later.passed or later.until <= until:
            break
        until = later.until
    return replace(finding, until=min(until, limit))


def _judge(case: _Case, question: Question, at: datetime) -> _Finding:
    row = case.row(question, at)
    if row is None or row.answer == "unknown":
        finding = _judge_unknown(case, question, row, at)
    else:
        cited = _cite(case, question, row)
        finding = _apply(case, cited, row.answer, row.kinds, at, row.obligations)
    return replace(finding, until=min((finding.until, *case.changes(question, at))))


def _cite(case: _Case, question: Question, row: Row | None) -> Reason:
    """Return the beginning of a reason: the question, and where the law is written."""
    pack = case.pack(question)
    title = pack.sources[row.source].title if pack and row else ""
    return Reason(
        role=question.role,
        place=question.place,
        slug="",
        clause=row.clause if row else "",
        source=title,
    )


def _judge_unknown(case: _Case, question: Question, row: Row | None, at: datetime) -> _Finding:
    cited = _cite(case, question, row)
    latest = case.latest(question, at)
    if latest is None:
        return _deny(cited, "unknown", at)
    end = case.conclusion_end(latest)
    cited = replace(cited, params=(("determination", latest.code),))
    if end <= at:
        return _deny(cited, "determination-overdue", at)
    finding = _apply(case, cited, latest.answer, latest.kinds, at)
    if latest.answer in {"not_required", "not_obtainable"}:
        reason = replace(finding.reason, slug=f"determined-{finding.reason.slug}")
        finding = replace(finding, reason=reason)
    return replace(finding, until=min(finding.until, end))


def _apply(
    case: _Case,
    cited: Reason,
    answer: Answer,
    kinds: tuple[str, ...],
    at: datetime,
    duties: tuple[str, ...] = (),
) -> _Finding:
    packs = case.packs
    borne = tuple(kind for kind in kinds if not packs.unsupported(packs.brought_by(kind)))
    every = () if borne else tuple(duty for kind in kinds for duty in packs.brought_by(kind))
    if unsupported := packs.unsupported((*duties, *every)):
        return _deny_duty(case, cited, unsupported, at)
    if answer == "not_required":
        reason = replace(cited, slug="not-required")
        return _Finding(reason, passed=True, until=_NEVER)
    if answer in {"required", "notify"}:
        return _seek_approval(case, cited, borne, at)
    return _deny(cited, answer.replace("_", "-"), at)


def _deny_duty(case: _Case, cited: Reason, duty: Obligation, at: datetime) -> _Finding:
    """Deny with the duty's own clause and source, which may differ from the row's."""
    pack = case.packs.by_place[case.packs.obligation_places[duty.code]]
    cited = replace(cited, clause=duty.clause, source=pack.sources[duty.source].title)
    return _deny(cited, "duty-not-supported", at, ("duty", duty.code))


def _deny(cited: Reason, slug: str, at: datetime, *params: tuple[str, str]) -> _Finding:
    reason = replace(cited, slug=slug, params=(*cited.params, *params))
    return _Finding(reason, passed=False, until=at)


# --- approvals --------------------------------------------------------------------------------


def _seek_approval(case: _Case, cited: Reason, kinds: tuple[str, ...], at: datetime) -> _Finding:
    """Find the approval that holds longest, or else the one that is nearest to holding."""
    best: tuple[datetime, ApprovalFacts] | None = None
    nearest: tuple[int, str, str] = (-1, "approval-missing", "")
    for approval in case.facts.approvals:
        if approval.kind not in kinds:
            continue
        flaws = tuple(_flaws(case, cited, approval, at))
        found = next((rank for rank, flaw in enumerate(flaws) if flaw), None)
        if found is None:
            end = _end(approval, case.packs)
            best = max(best or (end, approval), (end, approval), key=lambda pair: pair[0])
        else:
            nearest = max(nearest, (found, flaws[found], approval.code))
    if best:
        end, approval = best
        params = (*cited.params, ("kind", approval.kind), ("approval", approval.code))
        reason = replace(cited, slug="approval-in-force", params=params)
        return _Finding(reason, passed=True, until=end)
    _, slug, code = nearest
    approval_param = (("approval", code),) if code else ()
    return _deny(cited, slug, at, ("kind", ", ".join(kinds)), *approval_param)


def _flaws(case: _Case, asked: Reason, approval: ApprovalFacts, at: datetime) -> Iterable[str]:
    """Yield, check by check, a slug or nothing; the later the first flaw, the nearer it is."""
    line = case.facts.line
    kind = case.packs.kinds.get(approval.kind)
    if kind is None or not _covers(case, kind, asked):
        yield "approval-not-covering"
        return
    yield ""
    yield "" if approval.holder == line.operator.code else "approval-other-holder"
    yield "" if line.code in approval.lines else "approval-other-line"
    yield _state_flaw(approval, kind)
    yield "" if approval.has_evidence else "approval-without-evidence"
    counting = approval.counts_from is not None and approval.counts_from <= at
    yield "" if counting else "approval-not-counting"
    yield "" if approval.valid_to or kind.open_ended else "approval-without-end"
    zone = case.packs.zone(case.packs.kind_places[kind.code])
    yield "" if _begun(approval, zone, at) else "approval-not-yet-valid"
    yield "" if _end(approval, case.packs) > at else "approval-lapsed"


def _covers(case: _Case, kind: Kind, asked: Reason) -> bool:
    line = case.facts.line
    return (
        case.packs.kind_places[kind.code] == asked.place
        and asked.role in kind.roles
        and line.customer_class in kind.customer_classes
        and line.use in kind.uses
    )


def _state_flaw(approval: ApprovalFacts, kind: Kind) -> str:
    if approval.state in {"lodged", "granted"} and kind.counts == "on_lodging":
        return ""
    if approval.state != "granted":
        return f"approval-{approval.state}"
    if not approval.has_number:
        return "approval-without-number"
    return "" if approval.verified else "approval-unverified"


def _begun(approval: ApprovalFacts, zone: ZoneInfo, at: datetime) -> bool:
    if approval.valid_from is None:
        return approval.state == "lodged"
    return midnight(approval.valid_from, zone) <= at


def _end(approval: ApprovalFacts, packs: Packs) -> datetime:
    if approval.valid_to is None:
        return _NEVER
    return end_of(approval.valid_to, packs.zone(packs.kind_places[approval.kind]))
