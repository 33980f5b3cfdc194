"""What is told to people outside: months, and no figure below ten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.approvals.actions import write_decision
from ferriage.fleet.queries import judge_line, line_facts
from ferriage.reports import figures

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

    from ferriage.fleet.models import Line
    from yard import Yard


@pytest.mark.parametrize(
    ("count", "told"), [(0, "<10"), (1, "<10"), (9, "<10"), (10, "10"), (1234, "1234")]
)
def test_counts_below_ten_are_not_told(count: int, told: str) -> None:
    assert figures.shown(count) == told


def _decide(line: Line, at: datetime, count: int, *, allowed: bool) -> None:
    verdict = judge_line(line=line, at=at, customer_place="XD" if allowed else "SE")
    assert verdict.allowed is allowed
    for number in range(count):
        write_decision(subject=f"ord_{number}", line=line_facts(line), verdict=verdict, now=at)


@pytest.mark.django_db
def test_decisions_are_counted_by_month_of_utc(
    yard: Yard, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    line = yard.open_line()
    last_second = datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=UTC)
    _decide(line, last_second, 11, allowed=True)
    _decide(line, last_second, 10, allowed=False)
    _decide(line, last_second + timedelta(microseconds=1), 12, allowed=True)
    _decide(line, datetime(2027, 2, 1, tzinfo=UTC), 1, allowed=True)

    with django_assert_num_queries(1):
        found = figures.decisions(now=datetime(2027, 2, 15, tzinfo=UTC))

    # Of March one more allowed: the line's own permit when it was opened, and one denied before.
    assert [row.month for row in found] == [
        *("2027-02", "2027-01", "2026-12", "2026-11", "2026-10", "2026-09"),
        *("2026-08", "2026-07", "2026-06", "2026-05", "2026-04", "2026-03"),
    ]
    assert found[-1] == figures.Month("2026-03", "12", "11")
    assert found[-2] == figures.Month("2026-04", "12", "<10")
    assert found[0] == figures.Month("2027-02", "<10", "<10")


@pytest.mark.django_db
def test_month_that_ended_a_year_ago_is_left_out(yard: Yard) -> None:
    _decide(yard.open_line(), datetime(2026, 3, 31, tzinfo=UTC), 20, allowed=True)

    found = figures.decisions(now=datetime(2027, 3, 1, tzinfo=UTC))

    assert {(row.allowed, row.denied) for row in found} == {("<10", "<10")}
    assert found[-1].month == "2026-04"


@pytest.mark.django_db
def test_decisions_of_other_lines_are_left_out(yard: Yard) -> None:
    line, other = yard.open_line("one"), yard.open_line("two")
    _decide(line, yard.now, 20, allowed=True)

    (mine, theirs) = (
        figures.decisions(now=yard.now, lines=[which.code])[0] for which in (line, other)
    )

    assert (mine.allowed, theirs.allowed) == ("21", "<10")
