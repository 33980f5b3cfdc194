"""The register's calendar for the lines that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.approvals import diary
from ferriage.approvals.agenda import LineSince
from ferriage.fleet.models import Line
from ferriage.fleet.queries import line_facts

if TYPE_CHECKING:
    from datetime import datetime


def calendar(*, now: datetime) -> tuple[diary.Entry, ...]:
    """Return what ends or is to be done for every line that is not closed, soonest first."""
    lines = Line.objects.exclude(state=Line.State.CLOSED).select_related("party").order_by("pk")
    return diary.entries(
        [LineSince(line=line_facts(line), since=line.created_at) for line in lines], now
    )
