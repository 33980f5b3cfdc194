"""How long conclusions and verdicts last: dates counted in the time zone of each authority."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from ferriage.approvals.packs import end_of

if TYPE_CHECKING:
    from ferriage.approvals.facts import DeterminationFacts, Grade
    from ferriage.approvals.packs import Packs

LONGEST: Final = timedelta(days=400)
"""No verdict is good for longer, so that none is ever without an end."""

_HORIZON_MONTHS: Final = 13

REVIEW_MONTHS: Final[dict[Grade, int]] = {"own": 6, "counsel": 12}
"""Calendar months after which a determination lapses, whatever its `review_by` says."""


def determination_end(determination: DeterminationFacts, packs: Packs) -> datetime:
    """Return the instant from which a determination answers nothing any more."""
    zone = packs.zone(determination.place)
    made_on = determination.made_at.astimezone(zone).date()
    longest = add_months(made_on, REVIEW_MONTHS[determination.grade])
    return end_of(min(determination.review_by, longest), zone)


def horizon(at: datetime) -> datetime:
    """Return the instant beyond which no verdict of `at` reaches: 365 to 400 days ahead.

    It is the beginning of a month, so that a verdict without another end does not change with
    every instant at which it is asked for, and with it every permit.
    """
    first = at.astimezone(UTC).date().replace(day=1)
    return datetime.combine(add_months(first, _HORIZON_MONTHS), time.min, tzinfo=UTC)


def add_months(day: date, months: int) -> date:
    """Return the same day of a later month, or that month's last day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
