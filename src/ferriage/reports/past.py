"""The register as it was at an instant, put together again from its rows and the audit log.

What a Decision rested on is not stored, only its digest. When the facts of this module have the
same digest, they are what was judged then; when not, nobody can say from here what was.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from ferriage.approvals.facts import ApprovalFacts, Facts
from ferriage.approvals.models import Approval, Determination
from ferriage.approvals.queries import determination_facts
from ferriage.approvals.site import packs_in_force
from ferriage.core.models import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.approvals.facts import ApprovalState, LineFacts
    from ferriage.approvals.packs import Packs


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Everything ever recorded, read once to look back at many instants."""

    packs: Packs
    approvals: tuple[Approval, ...]
    entries: dict[str, tuple[AuditEntry, ...]]
    determinations: tuple[Determination, ...]

    def facts(self, line: LineFacts, customer_place: str | None, at: datetime) -> Facts:
        """Return what concerned a line at an instant, as the register gives it to `evaluate`."""
        operator = line.operator.code
        known = (
            self._approval(row, at)
            for row in self.approvals
            if row.created_at <= at and (row.holder.code == operator or line.code in _scope(row))
        )
        return Facts(
            line=line,
            customer_place=customer_place,
            approvals=tuple(sorted(filter(None, known), key=lambda found: found.code)),
            determinations=tuple(
                determination_facts(row)
                for row in self.determinations
                if row.party.code == operator
                and row.made_at <= at
                and (row.ended_at is None or row.ended_at > at)
            ),
        )

    def _approval(self, row: Approval, at: datetime) -> ApprovalFacts | None:
        was = _replayed(entry for entry in self.entries.get(row.code, ()) if entry.at <= at)
        if was is None:
            return None
        kind = self.packs.kinds.get(row.kind)
        on_lodging = kind is not None and kind.counts == "on_lodging"
        return ApprovalFacts(
            code=row.code,
            kind=row.kind,
            holder=row.holder.code,
            state=was.state,
            counts_from=(was.lodged_at if on_lodging else None) or was.verified_at,
            valid_from=was.valid_from,
            valid_to=was.valid_to,
            lines=_scope(row),
            has_number=was.has_number,
            has_evidence=any(file.uploaded_at <= at for file in row.evidence.all()),
            verified=was.verified_at is not None,
        )


def load() -> Past:
    """Read the register and its audit entries with six queries, however much there is."""
    rows = Approval.objects.select_related("holder").prefetch_related("lines", "evidence")
    entries: defaultdict[str, list[AuditEntry]] = defaultdict(list)
    noted = AuditEntry.objects.filter(action__startswith="approval.").order_by("sequence")
    for entry in noted:
        entries[entry.subject].append(entry)
    return Past(
        packs=packs_in_force(),
        approvals=tuple(rows.order_by("pk")),
        entries={code: tuple(found) for code, found in entries.items()},
        determinations=tuple(Determination.objects.select_related("party").order_by("pk")),
    )


@dataclass(slots=True)
class _Was:
    """An approval's columns while its audit entries are played again."""

    state: ApprovalState = "draft"
    has_number: bool = False
    valid_from: date | None = None
    valid_to: date | None = None
    lodged_at: datetime | None = None
    verified_at: datetime | None = None


def _replayed(entries: Iterable[AuditEntry]) -> _Was | None:
    """Return what an approval had become, or None where a later version stood in its place."""
    was = _Was()
    for entry in entries:
        match entry.action.removeprefix("approval."):
            case "lodged":
                was.state, was.lodged_at = "lodged", entry.at
            case "granted":
                was.state, was.has_number = "granted", True
                was.valid_from = _day(entry.details.get("valid_from"))
                was.valid_to = _day(entry.details.get("valid_to"))
            case "verified":
                was.verified_at = entry.at
            case "reinstated":
                was.state, was.verified_at = "granted", None
            case ("suspended" | "revoked" | "surrendered" | "refused") as state:
                was.state = state
            case "superseded":
                return None
    return was


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _scope(row: Approval) -> frozenset[str]:
    return frozenset(scope.line_code for scope in row.lines.all())
