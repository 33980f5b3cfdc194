"""Months of the books: UTC, named by their first day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

TICK: Final = timedelta(microseconds=1)


def month_of(at: datetime) -> date:
    """Return the month that an instant lies in."""
    return at.astimezone(UTC).date().replace(day=1)


def next_month(month: date) -> date:
    """Return the month after one."""
    return (month + timedelta(days=31)).replace(day=1)


def begins_at(month: date) -> datetime:
    """Return a month's first instant."""
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def ends_at(month: date) -> datetime:
    """Return the first instant after a month."""
    return begins_at(next_month(month))


def last_instant(month: date) -> datetime:
    """Return the instant that closing entries of a month are dated with."""
    return ends_at(month) - TICK


def months_over(
    since: datetime, now: datetime, *, open_from: datetime | None
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the end of each month that ended between two instants, and the instant to date it.

    Args:
        open_from: What ended by then is closed, and left out.
    """
    month = month_of(since)
    while (end := ends_at(month)) <= now:
        if open_from is None or end > open_from:
            yield end, last_instant(month)
        month = next_month(month)
