"""What a subscription allows, against a count of single seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferriage.plans.entitlement import Entitlement, entitlement, held_stretches

START = datetime(2026, 3, 1, tzinfo=UTC)
SPAN = 40
"""Seconds of the little world in which everything happens; later is as its last second."""


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


@dataclass(frozen=True)
class Posted:
    kind: str
    first: int
    last: int | None
    source_code: str = ""

    @property
    def starts_at(self) -> datetime:
        return at(self.first)

    @property
    def ends_at(self) -> datetime | None:
        return None if self.last is None else at(self.last)

    @property
    def length(self) -> int:
        assert self.last is not None
        return self.last - self.first

    def seconds(self) -> set[int]:
        return set(range(self.first, SPAN if self.last is None else self.last))


@dataclass(frozen=True)
class Word:
    """The register's word."""

    allowed: bool
    valid_until: datetime


@st.composite
def posted_periods(draw: st.DrawFn) -> list[Posted]:
    periods = []
    for kind in draw(st.lists(st.sampled_from(["purchase", "grant", "gift", "cut"]), max_size=6)):
        first = draw(st.integers(0, SPAN - 2))
        endless = kind in {"grant", "cut"} and draw(st.booleans())
        periods.append(Posted(kind, first, None if endless else draw(st.integers(first + 1, SPAN))))
    return periods


def seconds_held(periods: list[Posted]) -> set[int]:
    """Go through the periods as they were posted, second by second."""
    held: set[int] = set()
    for period in periods:
        held = held - period.seconds() if period.kind == "cut" else held | period.seconds()
    return held


@given(posted_periods())
def test_stretches_hold_the_very_seconds_that_were_given(periods: list[Posted]) -> None:
    stretches = held_stretches(periods)

    counted = [
        second
        for start, end in stretches
        for second in range(SPAN)
        if start <= at(second) and (end is None or at(second) < end)
    ]
    assert counted == sorted(seconds_held(periods))
    assert all(end is None or start < end for start, end in stretches)


@given(posted_periods(), st.integers(0, SPAN - 1), st.booleans(), st.integers(0, SPAN))
def test_open_means_each_second_is_held_and_allowed(
    periods: list[Posted],
    now: int,
    allowed: bool,  # noqa: FBT001 -- drawn by hypothesis
    valid_for: int,
) -> None:
    held = seconds_held(periods)

    right = entitlement(
        periods=periods,
        quota_bytes=None,
        verdict=Word(allowed, at(valid_for)),
        used_bytes=0,
        now=at(now),
    )

    lawful = allowed and now < valid_for
    if now in held and lawful:
        assert right.state == "open"
        assert right.until is not None
        until = int((right.until - START).total_seconds())
        gone = next((second for second in range(now, SPAN) if second not in held), SPAN)
        assert until == min(gone, valid_for)
    elif now in held:
        assert (right.state, right.reason) == ("hold", "register")
    else:
        begun = any(second < now for second in held)
        assert (right.state, right.reason) == (("hold", "term") if begun else ("none", ""))


MONTH = [Posted("purchase", 0, 30)]
LAWFUL = Word(allowed=True, valid_until=at(1000))


@pytest.mark.parametrize(
    ("now", "state"), [(-1, "none"), (0, "open"), (29, "open"), (30, "hold"), (5000, "hold")]
)
def test_right_is_half_open_to_the_second(now: int, state: str) -> None:
    right = entitlement(periods=MONTH, quota_bytes=None, verdict=LAWFUL, used_bytes=0, now=at(now))

    assert right.state == state


@pytest.mark.parametrize(("used", "state"), [(99, "open"), (100, "hold"), (101, "hold")])
def test_quota_holds_when_it_is_used_up(used: int, state: str) -> None:
    right = entitlement(periods=MONTH, quota_bytes=100, verdict=LAWFUL, used_bytes=used, now=at(1))

    assert (right.state, right.reason) == (state, "quota" if state == "hold" else "")


def test_what_is_bought_after_a_cut_is_not_cut() -> None:
    periods = [*MONTH, Posted("cut", 10, 30), Posted("purchase", 12, 20)]

    assert held_stretches(periods) == [(at(0), at(10)), (at(12), at(20))]


def test_endless_grant_is_open_as_long_as_the_register_says() -> None:
    right = entitlement(
        periods=[Posted("grant", 0, None)],
        quota_bytes=None,
        verdict=LAWFUL,
        used_bytes=0,
        now=at(3),
    )

    assert right == Entitlement("open", at(1000), "", None)


def test_freeze_parts_a_stretch_and_moves_what_is_behind_its_start() -> None:
    periods = [*MONTH, Posted("purchase", 30, 34), Posted("freeze", 10, None)]
    periods.append(Posted("freeze", 10, 15))

    assert held_stretches(periods) == [(at(0), at(10)), (at(15), at(39))]


def test_what_is_bought_after_a_freeze_is_not_moved_by_it() -> None:
    periods = [*MONTH, Posted("freeze", 10, None), Posted("freeze", 10, 15)]
    periods.append(Posted("purchase", 35, 38))

    assert held_stretches(periods) == [(at(0), at(10)), (at(15), at(38))]


@pytest.mark.parametrize("now", [10, 29, 30, 31, 5000])
def test_time_stands_still_from_where_a_freeze_began(now: int) -> None:
    right = entitlement(
        periods=[*MONTH, Posted("freeze", 10, None)],
        quota_bytes=None,
        verdict=LAWFUL if now < 1000 else Word(allowed=True, valid_until=at(9000)),
        used_bytes=0,
        now=at(now),
    )

    assert right == Entitlement("hold", None, "register", at(30 + now - 10))


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=5))
def test_frozen_seconds_are_given_back_to_the_second(waits: list[tuple[int, int]]) -> None:
    """Each wait comes some seconds after the last one ended, and lasts some."""
    periods, now = [*MONTH], 0
    for after, length in waits:
        first = now + after
        if first >= 30 + sum(periods[n].length for n in range(2, len(periods), 2)):
            break
        periods += [Posted("freeze", first, None), Posted("freeze", first, first + length)]
        now = first + length

    stretches = held_stretches(periods)

    held = sum((end - start).total_seconds() for start, end in stretches if end is not None)
    frozen = sum(period.length for period in periods[2::2])
    assert held == 30
    assert stretches[-1][1] == at(30 + frozen)
