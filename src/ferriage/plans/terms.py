"""The calendar rule: where a term ends. Pure, in UTC.

The n-th boundary of a subscription is its anchor plus n calendar months, counted from the anchor
and clamped to the month's last day, so 31 January, renewed monthly, comes back to the 31st.

Source: docs/explanation/terms.md
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final

TERMS: Final = (1, 6, 12, 24)
"""Lengths in calendar months that can be sold."""

_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class NextPeriod:
    """The stretch a term bought now would give, half-open, and the anchor it counts from."""

    anchor_at: datetime
    starts_at: datetime
    ends_at: datetime


def boundary(anchor_at: datetime, months: int) -> datetime:
    """Return the anchor plus calendar months, on the month's last day where it has no such day."""
    anchor = anchor_at.astimezone(UTC)
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return anchor.replace(year=year, month=month + 1, day=min(anchor.day, last))


def next_period(
    *,
    anchor_at: datetime | None,
    current_end: datetime | None,
    term_months: int,
    now: datetime,
) -> NextPeriod:
    """Return what one more term gives.

    Before the end it goes on from the current end, so an early renewal loses no day; after a gap,
    or at the first purchase, it starts now and the anchor with it.

    Args:
        anchor_at: None at the first purchase.
        current_end: Exclusive end of what is held; None when nothing is.
    """
    if anchor_at is None or current_end is None or current_end <= now:
        start = now.astimezone(UTC)
        return NextPeriod(start, start, boundary(start, term_months))
    held = months_to(anchor_at, current_end)
    if boundary(anchor_at, held) != current_end:
        # Granted days or an early end moved it off the boundaries: count from there.
        return NextPeriod(current_end, current_end, boundary(current_end, term_months))
    return NextPeriod(anchor_at, current_end, boundary(anchor_at, held + term_months))


def months_back(start: datetime, end: datetime) -> Fraction:
    """Return the length of a stretch in calendar months, counted back from its end.

    Whole months first, on the boundaries before the end; what is left is a part of the month
    before them, by the microsecond.
    """
    whole = 0
    while boundary(end, -whole - 1) >= start:
        whole += 1
    last, before = boundary(end, -whole), boundary(end, -whole - 1)
    return whole + Fraction((last - start) // _TICK, (last - before) // _TICK)


def months_to(anchor_at: datetime, end: datetime) -> int:
    """Return the number of the last boundary that lies not after `end`."""
    anchor, end = anchor_at.astimezone(UTC), end.astimezone(UTC)
    months = (end.year - anchor.year) * 12 + end.month - anchor.month
    while boundary(anchor, months) > end:
        months -= 1
    return months
