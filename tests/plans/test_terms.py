"""The calendar rule, against a second implementation that shares nothing with the first."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ferriage.plans.terms import TERMS, boundary, next_period

LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _month_length(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else LENGTHS[month - 1]


def oracle(start: datetime, months: int) -> datetime:
    """Walk month by month, as one does with a paper calendar."""
    year, month = start.year, start.month
    for _step in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return datetime(
        year,
        month,
        min(start.day, _month_length(year, month)),
        start.hour,
        start.minute,
        start.second,
        tzinfo=UTC,
    )


def every_day_of_eight_years() -> list[datetime]:
    # 2024 and 2028 are leap years; the hour lies on different days in the four zones below.
    first = datetime(2024, 1, 1, 22, 30, 5, tzinfo=UTC)
    return [first + timedelta(days=day) for day in range(8 * 365 + 2)]


def check_all() -> int:
    """Check each start day and term, first purchase and two early renewals; count the cases."""
    cases = 0
    for start in every_day_of_eight_years():
        for term in TERMS:
            given = next_period(anchor_at=None, current_end=None, term_months=term, now=start)
            for times in (1, 2, 3):
                assert given.anchor_at == start, (start, term, times)
                assert given.ends_at == oracle(start, term * times), (start, term, times)
                following = next_period(
                    anchor_at=given.anchor_at,
                    current_end=given.ends_at,
                    term_months=term,
                    now=given.ends_at - timedelta(seconds=1),
                )
                assert following.starts_at == given.ends_at, (start, term, times)
                given = following
                cases += 1
    return cases


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/St_Johns", "Pacific/Kiritimati"])
def test_terms_are_the_same_in_every_zone_of_the_process(zone: str) -> None:
    program = "import test_terms; print(test_terms.check_all())"
    environment = {**os.environ, "TZ": zone, "PYTHONPATH": os.path.dirname(__file__)}  # noqa: PTH120 -- as the variable wants it

    answer = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (answer.stdout.strip(), answer.stderr) == (str(2922 * 4 * 3), "")


def test_monthly_renewal_comes_back_to_the_31st() -> None:
    start = datetime(2026, 1, 31, 9, tzinfo=UTC)
    ends = []
    end = None
    for _month in range(4):
        end = next_period(
            anchor_at=start if end else None, current_end=end, term_months=1, now=start
        ).ends_at
        ends.append((end.month, end.day))

    assert ends == [(2, 28), (3, 31), (4, 30), (5, 31)]


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(days=400)])
def test_term_after_a_gap_starts_now_with_a_new_anchor(late: timedelta) -> None:
    anchor = datetime(2026, 1, 31, tzinfo=UTC)
    now = datetime(2026, 2, 28, tzinfo=UTC) + late

    given = next_period(
        anchor_at=anchor, current_end=datetime(2026, 2, 28, tzinfo=UTC), term_months=1, now=now
    )

    assert (given.anchor_at, given.starts_at, given.ends_at) == (now, now, oracle(now, 1))


def test_terms_of_mixed_lengths_lose_no_day() -> None:
    start = datetime(2026, 8, 31, tzinfo=UTC)
    end = datetime(2026, 9, 30, tzinfo=UTC)

    given = next_period(anchor_at=start, current_end=end, term_months=6, now=start)

    assert (given.starts_at, given.ends_at) == (end, datetime(2027, 3, 31, tzinfo=UTC))


def test_end_that_was_moved_becomes_the_anchor() -> None:
    start = datetime(2026, 1, 10, tzinfo=UTC)
    moved = datetime(2026, 2, 17, 5, tzinfo=UTC)  # a week was granted

    given = next_period(anchor_at=start, current_end=moved, term_months=1, now=start)

    assert (given.anchor_at, given.starts_at) == (moved, moved)
    assert given.ends_at == datetime(2026, 3, 17, 5, tzinfo=UTC)


def test_months_are_counted_in_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    start = datetime(2026, 3, 1, 3, tzinfo=tokyo)  # 28 February, 18:00 UTC

    assert boundary(start, 1) == datetime(2026, 3, 28, 18, tzinfo=UTC)
