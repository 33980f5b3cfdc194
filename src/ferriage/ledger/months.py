"""Months of the books: UTC, named by their first day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

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
