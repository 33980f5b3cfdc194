"""Rows of the register as what is judged: approvals and the lines that they cover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.db.models import Exists, OuterRef

from ferriage.approvals.facts import ApprovalFacts, ApprovalState
from ferriage.approvals.models import Approval, ApprovalLine, Evidence

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from ferriage.approvals.packs import Packs


def judged(approvals: QuerySet[Approval]) -> QuerySet[Approval]:
    """Return those that say something, as `approval_facts` takes them."""
    # A version that was corrected says nothing any more: the one in its place speaks.
    current = approvals.exclude(state=Approval.State.SUPERSEDED)
    evidence = Evidence.objects.filter(approval=OuterRef("pk"))
    with_evidence = current.annotate(has_evidence=Exists(evidence))
    return with_evidence.select_related("holder").order_by("pk")


def scopes(lines: QuerySet[ApprovalLine]) -> QuerySet[ApprovalLine, tuple[Any, ...]]:
    """Return approval and line of each, which a register is made with."""
    return lines.order_by("pk").values_list("approval_id", "line_code")


def approval_facts(row: Approval, lines: frozenset[str], packs: Packs) -> ApprovalFacts:
    """Return an approval as the register judges it.

    Args:
        lines: The codes of those it covers.
    """
    kind = packs.kinds.get(row.kind)
    on_lodging = kind is not None and kind.counts == "on_lodging"
    return ApprovalFacts(
        code=row.code,
        kind=row.kind,
        holder=row.holder.code,
        state=cast("ApprovalState", row.state),
        counts_from=(row.lodged_at if on_lodging else None) or row.verified_at,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        lines=lines,
        has_number=bool(row.number),
        has_evidence=cast("Any", row).has_evidence,
        verified=bool(row.verified_by),
    )
