"""A sample of the Decisions on orders, judged again from the facts of their day."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from ferriage.approvals.evaluate import evaluate
from ferriage.approvals.models import Decision
from ferriage.approvals.queries import facts_as_json, inputs_digest
from ferriage.fleet.models import Line
from ferriage.fleet.queries import line_facts
from ferriage.orders.models import Order, PlaceEvidence
from ferriage.reports import past

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from ferriage.approvals.facts import Verdict

LARGEST: Final = 50

REPEATED: Final = (
    "Judged again from the same facts (their digest is the Decision's) and the same packs."
)
OTHER_FACTS: Final = (
    "Cannot be repeated exactly: the facts put together again from rows and audit log have another "
    "digest than the Decision's. The verdict below is on those facts."
)
OTHER_PACKS: Final = (
    "Cannot be repeated exactly: other versions of the rule packs were in force then. The facts "
    "are the same; the verdict below is by the packs in force now, at the Decision's instant."
)


def orders(*, up_to: int) -> list[dict[str, Any]]:
    """Return at most `LARGEST` Decisions on orders, spread over the chain, each judged again.

    A constant number of queries. An order is named by its code alone.

    Args:
        up_to: The last sequence of the chain that the sample goes with.
    """
    asked = Decision.objects.filter(subject__startswith="ord_", sequence__lte=up_to)
    every = list(asked.order_by("sequence").values_list("sequence", flat=True))
    chosen = Decision.objects.filter(sequence__in=_spread(every, LARGEST)).order_by("sequence")
    decisions = list(chosen)
    places = _places([row.subject for row in decisions])
    lines = Line.objects.select_related("party").filter(
        code__in=[row.line_code for row in decisions]
    )
    by_code = {line.code: line for line in lines}
    recorded = past.load()
    return [
        _judged(row, by_code[row.line_code], places[row.subject], recorded) for row in decisions
    ]


def _places(codes: list[str]) -> dict[str, list[str]]:
    """Return by order where its customer said to be, then where the payment came from."""
    found = {
        code: [place]
        for code, place in _rows(Order.objects.filter(code__in=codes), "code", "place")
    }
    paid = PlaceEvidence.objects.filter(
        order__code__in=codes, kind=PlaceEvidence.Kind.PAYMENT_COUNTRY
    )
    for code, place in _rows(paid.order_by("pk"), "order__code", "place"):
        found[code].append(place)
    return found


def _rows(rows: QuerySet[Any], code: str, place: str) -> list[tuple[str, str]]:
    return list(rows.values_list(code, place))


def _judged(
    decision: Decision, line: Line, places: list[str], recorded: past.Past
) -> dict[str, Any]:
    asked = [recorded.facts(line_facts(line), place, decision.at) for place in places]
    # A payment that contradicts the customer's word is judged by where it came from.
    repeated = (facts for facts in asked if inputs_digest(facts) == decision.inputs_digest)
    facts = next(repeated, asked[0])
    verdict = evaluate(facts, recorded.packs, decision.at)
    digest = inputs_digest(facts)
    same_facts = digest == decision.inputs_digest
    same_packs = decision.packs == recorded.packs.versions
    said = OTHER_FACTS if not same_facts else REPEATED if same_packs else OTHER_PACKS
    return {
        "sequence": decision.sequence,
        "order": decision.subject,
        "at": decision.at.isoformat(),
        "said": said,
        "facts": facts_as_json(facts),
        "facts_digest": digest,
        "same_facts": same_facts,
        "same_packs": same_packs,
        "verdict": _as_json(verdict),
        "same_verdict": _as_json(verdict) == _recorded(decision),
    }


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "allowed": verdict.allowed,
        "reasons": [
            {**asdict(reason), "params": dict(reason.params)} for reason in verdict.reasons
        ],
        "valid_until": verdict.valid_until.isoformat(),
    }


def _recorded(decision: Decision) -> dict[str, Any]:
    return {
        "allowed": decision.allowed,
        "reasons": decision.reasons,
        "valid_until": decision.valid_until.isoformat(),
    }


def _spread(values: list[int], most: int) -> list[int]:
    """Return at most so many of the values, evenly spread, with the first and the last."""
    if len(values) <= most:
        return values
    step = (len(values) - 1) / (most - 1)
    return [values[round(index * step)] for index in range(most)]
