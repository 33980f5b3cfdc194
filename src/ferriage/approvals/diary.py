"""The calendar with what people did: deadlines that are worked out, notes that are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferriage.approvals.agenda import IncidentFacts, Recorded, deadlines
from ferriage.approvals.models import Fulfilment, Incident, TaskTick
from ferriage.approvals.queries import load_register

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.approvals.agenda import Deadline, LineSince

type _Key = tuple[str, str, datetime | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One deadline and what was noted of it.

    `lead` is the task that has begun last, by its days before the end, and `tick` who saw to it.
    `fulfilment` is the newest note on a duty, which may take an earlier one back.
    """

    deadline: Deadline
    lead: int | None
    tick: TaskTick | None
    fulfilment: Fulfilment | None
    is_over: bool

    @property
    def is_done(self) -> bool:
        """Tell whether the duty was fulfilled; what merely ends is never done."""
        return self.fulfilment is not None and self.fulfilment.done

    @property
    def is_due(self) -> bool:
        """Tell whether somebody should see to it now: a late duty, however often it was ticked."""
        if self.is_done:
            return False
        return self.is_over or (self.lead is not None and self.tick is None)


def entries(lines: Iterable[LineSince], at: datetime) -> tuple[Entry, ...]:
    """Return the calendar of some lines, soonest first; as many queries for one as for many."""
    found = deadlines(_recorded(tuple(lines)), at)
    subjects = {item.subject for item in found}
    rows = TaskTick.objects.filter(subject__in=subjects)
    ticks: dict[tuple[_Key, int], TaskTick] = {
        ((row.subject, row.duty, row.due_at), row.days_before): row for row in rows
    }
    noted: dict[_Key, Fulfilment] = {
        (row.subject, row.duty, row.due_at): row
        for row in Fulfilment.objects.filter(subject__in=subjects).order_by("sequence")
    }
    return tuple(
        Entry(
            deadline=item,
            lead=(lead := item.lead(at)),
            tick=ticks.get((_key(item), lead or 0)),
            fulfilment=noted.get(_key(item)),
            is_over=item.is_over(at),
        )
        for item in found
    )


def newest_fulfilment(deadline: Deadline) -> Fulfilment | None:
    """Return the note on a duty that counts."""
    return (
        Fulfilment.objects.filter(subject=deadline.subject, duty=deadline.duty, due_at=deadline.at)
        .order_by("-sequence")
        .first()
    )


def _key(item: Deadline) -> _Key:
    return item.subject, item.duty, item.at


def _recorded(lines: tuple[LineSince, ...]) -> Recorded:
    register = load_register()
    codes = [item.line.code for item in lines]
    approvals = {row for rows in register.approvals.values() for row in rows}
    incidents = Incident.objects.filter(line_code__in=codes).order_by("pk")
    return Recorded(
        packs=register.packs,
        lines=lines,
        approvals=tuple(sorted(approvals, key=lambda row: row.code)),
        determinations=tuple(row for rows in register.determinations.values() for row in rows),
        incidents=tuple(
            IncidentFacts(line=row.line_code, noticed_at=row.noticed_at) for row in incidents
        ),
    )
