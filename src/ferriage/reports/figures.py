"""Counts for people outside. Below ten no figure is told, so that nobody is found by counting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from django.db.models import CharField, Count
from django.db.models.functions import Cast, Substr

from ferriage.approvals.models import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable

SMALLEST: Final = 10
MONTHS: Final = 12


@dataclass(frozen=True, slots=True)
class Month:
    """Decisions of one month of UTC, such as 2026-03, as they are shown."""

    month: str
    allowed: str
    denied: str


def shown(count: int) -> str:
    """Return a count as it is told to people outside: none below ten, not even nothing."""
    return str(count) if count >= SMALLEST else f"<{SMALLEST}"


def decisions(*, now: datetime, lines: Iterable[str] | None = None) -> list[Month]:
    """Return how many Decisions allowed and denied in each of the last twelve months.

    Months with none are listed too; this one comes first.

    Args:
        lines: Only of these lines, by code; all when None.
    """
    months = _months(now)
    rows = Decision.objects.filter(at__gte=_beginning(months[-1]))
    if lines is not None:
        rows = rows.filter(line_code__in=list(lines))
    # Both engines write an instant as text that begins with year and month, in UTC; asking for
    # that is one pass over an index, where SQLite would call Python for each row to truncate.
    grouped = rows.values("allowed", month=Substr(Cast("at", CharField()), 1, 7))
    counted = {
        (row["month"], row["allowed"]): row["count"] for row in grouped.annotate(count=Count("*"))
    }
    return [
        Month(month, shown(counted.get((month, True), 0)), shown(counted.get((month, False), 0)))
        for month in months
    ]


def _months(now: datetime) -> list[str]:
    last = now.astimezone(UTC)
    count = last.year * 12 + last.month - 1
    return [f"{n // 12:04}-{n % 12 + 1:02}" for n in range(count, count - MONTHS, -1)]


def _beginning(month: str) -> datetime:
    year, number = map(int, month.split("-"))
    return datetime(year, number, 1, tzinfo=UTC)
