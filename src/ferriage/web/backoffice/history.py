"""What happened to a line: permits, Decisions and what people did, in one order.

The three lie in tables of their own, so the order is made by the database (one union of
instants), and only the rows of one page are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.core.paginator import Page, Paginator
from django.db.models import F, IntegerField, Q, Value
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from ferriage import wire
from ferriage.approvals import reasons
from ferriage.approvals.models import ApprovalLine, Decision, Determination
from ferriage.approvals.queries import reasons_of
from ferriage.approvals.site import packs_in_force
from ferriage.core.models import AuditEntry
from ferriage.fleet.models import Permit

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.approvals.packs import Packs
    from ferriage.fleet.models import Line

PER_PAGE: Final = 50
_PERMIT, _DECISION, _ENTRY = 2, 1, 0

ACTIONS: Final = {
    "line.created": gettext_lazy("The line was planned"),
    "line.opened": gettext_lazy("The line was put in service"),
    "line.held": gettext_lazy("Staff held the line"),
    "line.released": gettext_lazy("Staff ended the hold"),
    "line.closed": gettext_lazy("The line was closed for good"),
    "approval.recorded": gettext_lazy("A draft of an approval was recorded"),
    "approval.lodged": gettext_lazy("The application was noted as sent"),
    "approval.granted": gettext_lazy("A grant was entered"),
    "approval.verified": gettext_lazy("The approval was verified"),
    "approval.suspended": gettext_lazy("A suspension was noted"),
    "approval.reinstated": gettext_lazy("The end of the suspension was noted"),
    "approval.revoked": gettext_lazy("A revocation was noted"),
    "approval.surrendered": gettext_lazy("It was noted that the approval was given back"),
    "approval.refused": gettext_lazy("A refusal was noted"),
    "evidence.added": gettext_lazy("A file of evidence was added"),
    "determination.recorded": gettext_lazy("A conclusion was recorded"),
    "determination.ended": gettext_lazy("A conclusion was taken back"),
}
"""What people did, in words; what is not listed stands as the audit log names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. `code` is what it concerns besides the line, `said` what it was."""

    at: datetime
    kind: str
    title: str
    tone: str
    who: str = ""
    code: str = ""
    said: tuple[str, ...] = ()


def page(line: Line, number: str | None) -> tuple[Page[Any], list[Event]]:
    """Return one page of a line's history, newest first, with eight queries at most."""
    found = Paginator(_moments(line), PER_PAGE).get_page(number)
    chosen: dict[int, list[int]] = {_PERMIT: [], _DECISION: [], _ENTRY: []}
    order = [(kind, pk) for _at, kind, pk in found]
    for kind, pk in order:
        chosen[kind].append(pk)
    events = {
        **{(_PERMIT, row.pk): _permit(row) for row in _rows(Permit.objects, chosen[_PERMIT])},
        **_decisions(chosen[_DECISION]),
        **{(_ENTRY, row.pk): _entry(row) for row in _rows(AuditEntry.objects, chosen[_ENTRY])},
    }
    return found, [events[key] for key in order]


def _moments(line: Line) -> QuerySet[Any, tuple[datetime, int, int]]:
    """Return (instant, kind, primary key) of everything that happened, newest first."""
    decisions = _instants(Decision.objects.filter(line_code=line.code), "at", _DECISION)
    entries = _instants(_entries(line), "at", _ENTRY)
    permits = _instants(Permit.objects.filter(line=line), "written_at", _PERMIT)
    return permits.union(decisions, entries, all=True).order_by("-moment", "-sort", "-pk")


def _instants(rows: QuerySet[Any], column: str, kind: int) -> QuerySet[Any, Any]:
    marked = rows.annotate(moment=F(column), sort=Value(kind, IntegerField()))
    # A union's parts may have no order of their own.
    found: QuerySet[Any, Any] = marked.order_by().values_list("moment", "sort", "pk")
    return found


def _entries(line: Line) -> QuerySet[AuditEntry]:
    """Return what people did to the line, to the approvals that name it, and concluded on it.

    Writing a permit is left out: the permit itself is listed.
    """
    approvals = ApprovalLine.objects.filter(line_code=line.code).values("approval__code")
    concluded = Determination.objects.filter(party=line.party, line_code__in=["", line.code])
    concerned = (
        Q(subject=line.code)
        | Q(subject__in=approvals)
        | Q(subject__in=concluded.values("code"))
        | Q(subject=line.party.code, action__startswith="determination.")
    )
    return AuditEntry.objects.filter(concerned).exclude(action="permit.written")


def _rows(rows: Any, keys: list[int]) -> Iterable[Any]:
    return rows.filter(pk__in=keys) if keys else ()


def _permit(row: Permit) -> Event:
    said = wire.decode(row.payload, wire.Permit)
    titles = {
        "open": _("Permit %(serial)s: open until %(until)s UTC"),
        "held": _("Permit %(serial)s: held"),
        "closed": _("Permit %(serial)s: closed"),
    }
    reason = said.reason.get(get_language() or "en", said.reason.get("en", ""))
    return Event(
        at=row.written_at,
        kind="permit",
        title=titles[row.state]
        % {"serial": row.serial, "until": f"{row.open_until:%Y-%m-%d %H:%M:%S}"},
        tone={"open": "good", "held": "warn"}.get(row.state, ""),
        said=tuple(reason.splitlines()),
    )


def _decisions(keys: list[int]) -> dict[tuple[int, int], Event]:
    packs = packs_in_force()
    rows: Iterable[Decision] = _rows(Decision.objects, keys)
    return {(_DECISION, row.pk): _decision(row, packs) for row in rows}


def _decision(row: Decision, packs: Packs) -> Event:
    language = get_language() or "en"
    title = _("Decision %s: allowed") if row.allowed else _("Decision %s: denied")
    about = row.subject if row.subject != row.line_code else ""
    return Event(
        at=row.at,
        kind="decision",
        title=title % row.sequence,
        tone="good" if row.allowed else "bad",
        code=about,
        said=tuple(reasons.sentence(reason, language, packs) for reason in reasons_of(row)),
    )


def _entry(row: AuditEntry) -> Event:
    details = {key: value for key, value in row.details.items() if value not in ("", [], None)}
    return Event(
        at=row.at,
        kind="entry",
        title=str(ACTIONS.get(row.action, row.action)),
        tone="",
        who=f"{row.actor_kind}:{row.actor_code}" if row.actor_code else row.actor_kind,
        code=row.subject if not row.subject.startswith(("ln_", "pty_")) else "",
        said=tuple(f"{key}: {_plain(value)}" for key, value in details.items()),
    )


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
