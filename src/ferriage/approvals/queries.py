from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, cast

from django.db.models import Exists, OuterRef, Q

from ferriage.approvals import chainfile
from ferriage.approvals.evaluate import evaluate, open_questions
from ferriage.approvals.facts import (
    ROLES,
    ApprovalFacts,
    ApprovalState,
    CustomerClass,
    DeterminationFacts,
    Facts,
    Grade,
    LineFacts,
    PartyFacts,
    Question,
    Reason,
    Role,
    Use,
    Verdict,
)
from ferriage.approvals.models import Approval, ApprovalLine, Decision, Determination, Evidence
from ferriage.approvals.site import packs_in_force
from ferriage.core import chain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.approvals.models import Party
    from ferriage.approvals.packs import Packs


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Everything recorded at one moment, read once to judge many lines.

    `approvals` are keyed by line and by holder, so that a refusal can name an approval that
    covers the line for somebody else, or another line for its operator.
    """

    packs: Packs
    approvals: dict[str, tuple[ApprovalFacts, ...]]
    determinations: dict[str, tuple[DeterminationFacts, ...]]

    def facts(self, line: LineFacts, customer_place: str | None = None) -> Facts:
        """Return what concerns one line, in a fixed order."""
        found = (
            *self.approvals.get(line.code, ()),
            *self.approvals.get(line.operator.code, ()),
        )
        return Facts(
            line=line,
            customer_place=customer_place,
            approvals=tuple(sorted(set(found), key=lambda approval: approval.code)),
            determinations=self.determinations.get(line.operator.code, ()),
        )

    def judge(self, *, line: LineFacts, at: datetime, customer_place: str | None = None) -> Verdict:
        """Judge a line; see `ferriage.approvals.evaluate.evaluate`."""
        return evaluate(self.facts(line, customer_place), self.packs, at)


def load_register() -> Register:
    """Read the whole register with three queries, however many lines it covers."""
    return _register(Approval.objects.all(), Determination.objects.all())


def judge(*, line: LineFacts, at: datetime, customer_place: str | None = None) -> Verdict:
    """Judge one line with what is recorded now; use `load_register` for many lines.

    Raises:
        PackError: A rule pack cannot be used.
    """
    return register_of(line).judge(line=line, at=at, customer_place=customer_place)


def register_of(line: LineFacts) -> Register:
    """Read the part of the register that concerns one line, with three queries."""
    named = ApprovalLine.objects.filter(line_code=line.code).values("approval")
    return _register(
        Approval.objects.filter(Q(pk__in=named) | Q(holder__code=line.operator.code)),
        Determination.objects.filter(party__code=line.operator.code),
    )


def questions_left(
    *, line: LineFacts, at: datetime, customer_place: str | None = None
) -> tuple[Question, ...]:
    """Return the line's questions that only a determination can answer and none does.

    Without a customer's place these are the permit's questions and the sale to each place that
    is written on the line: everything its operator must settle before selling.
    """
    register = register_of(line)
    places = (None, *line.sell_places) if customer_place is None else (customer_place,)
    left = {
        question
        for place in places
        for question in open_questions(register.facts(line, place), register.packs, at)
    }
    return tuple(sorted(left, key=lambda question: (ROLES.index(question.role), question.place)))


def party_facts(party: Party) -> PartyFacts:
    """Return a party as the register judges it."""
    return PartyFacts(party.code, party.place)


def inputs_digest(facts: Facts) -> str:
    """Return 64 hex digits that cover every fact of one judgement."""
    return hashlib.sha256(chain.canonical(facts_as_json(facts)).encode()).hexdigest()


def facts_as_json(facts: Facts) -> dict[str, Any]:
    """Return the facts of one judgement as JSON; their digest is of its canonical text."""
    return cast("dict[str, Any]", _plain(asdict(facts)))


def latest_decision() -> Decision | None:
    """Return the newest Decision of the chain."""
    return Decision.objects.order_by("-sequence").first()


def denial_of(subject: str) -> tuple[Reason, ...]:
    """Return why the newest Decision on a subject denied; nothing unless it did."""
    newest = Decision.objects.filter(subject=subject).order_by("-sequence").first()
    return reasons_of(newest) if newest and not newest.allowed else ()


def reasons_of(decision: Decision) -> tuple[Reason, ...]:
    """Return why a Decision denied, as it was judged then."""
    return tuple(
        Reason(**{**reason, "params": tuple(sorted(reason["params"].items()))})
        for reason in decision.reasons
    )


def decision_content(decision: Decision) -> dict[str, Any]:
    """Return what a Decision's hash covers."""
    return {
        "sequence": decision.sequence,
        "at": decision.at.isoformat(),
        "subject": decision.subject,
        "line": decision.line_code,
        "inputs": decision.inputs_digest,
        "packs": decision.packs,
        "allowed": decision.allowed,
        "reasons": decision.reasons,
        "valid_until": decision.valid_until.isoformat(),
    }


def first_broken_decision() -> Decision | None:
    """Walk the whole chain and return the first Decision that does not fit, if any."""
    previous = chain.GENESIS
    decisions = Decision.objects.order_by("sequence").iterator(chunk_size=2000)
    for sequence, decision in enumerate(decisions, start=1):
        fits = decision.sequence == sequence and decision.previous_hash == previous
        if not fits or decision.hash != chain.link(previous, decision_content(decision)):
            return decision
        previous = decision.hash
    return None


def exported_decisions(*, up_to: int | None = None) -> Iterator[str]:
    """Yield the chain as the lines of a file that `chainfile.verify` follows.

    Args:
        up_to: The last sequence to yield; all when None.
    """
    decisions = Decision.objects.order_by("sequence")
    if up_to is not None:
        decisions = decisions.filter(sequence__lte=up_to)
    for decision in decisions.iterator(chunk_size=2000):
        yield chainfile.line(
            decision_content(decision), hash_=decision.hash, previous=decision.previous_hash
        )


# --- rows as facts ----------------------------------------------------------------------------


def _register(approvals: QuerySet[Approval], determinations: QuerySet[Determination]) -> Register:
    packs = packs_in_force()
    by_key: defaultdict[str, list[ApprovalFacts]] = defaultdict(list)
    with_evidence = approvals.annotate(
        has_evidence=Exists(Evidence.objects.filter(approval=OuterRef("pk")))
    )
    for row in with_evidence.select_related("holder").prefetch_related("lines").order_by("pk"):
        found = _approval_facts(row, packs)
        for key in {found.holder, *found.lines}:
            by_key[key].append(found)
    by_party: defaultdict[str, list[DeterminationFacts]] = defaultdict(list)
    in_use = determinations.filter(ended_at=None).select_related("party").order_by("pk")
    for concluded in in_use:
        by_party[concluded.party.code].append(determination_facts(concluded))
    return Register(
        packs=packs,
        approvals={key: tuple(rows) for key, rows in by_key.items()},
        determinations={key: tuple(rows) for key, rows in by_party.items()},
    )


def _approval_facts(row: Approval, packs: Packs) -> ApprovalFacts:
    kind = packs.kinds.get(row.kind)
    on_lodging = kind is not None and kind.counts == "on_lodging"
    return ApprovalFacts(
        code=row.code,
        kind=row.kind,
        holder=row.holder.code,
        state=cast("ApprovalState", row.state),
        counts_from=row.lodged_at if on_lodging else row.verified_at,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        lines=frozenset(scope.line_code for scope in row.lines.all()),
        has_number=bool(row.number),
        has_evidence=cast("Any", row).has_evidence,
        verified=bool(row.verified_by),
    )


def determination_facts(row: Determination) -> DeterminationFacts:
    """Return a conclusion as the register judges it; it must have its party at hand."""
    return DeterminationFacts(
        code=row.code,
        party=row.party.code,
        place=row.place,
        role=cast("Role", row.role),
        customer_class=cast("CustomerClass", row.customer_class),
        use=cast("Use", row.use),
        answer=cast("Any", row.answer),
        grade=cast("Grade", row.grade),
        made_at=row.made_at,
        review_by=row.review_by,
        line=row.line_code or None,
        kinds=tuple(row.kinds),
    )


def _plain(value: object) -> object:
    """Return a value as JSON takes it, sets in order."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    return value
