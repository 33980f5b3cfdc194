from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ferriage.orders.earning import earned_minor

START = datetime(2026, 1, 1, tzinfo=UTC)
_SECONDS = st.integers(1, 800 * 86400)


def test_two_years_for_120_have_earned_29_75_after_181_of_730_days() -> None:
    earned = earned_minor(
        amount_minor=12000,
        starts_at=START,
        ends_at=datetime(2028, 1, 1, tzinfo=UTC),
        at=datetime(2026, 7, 1, tzinfo=UTC),
    )

    assert earned == 2975


def test_a_second_of_a_month_for_a_second_each_is_earned_by_the_second() -> None:
    end = START + timedelta(seconds=100)

    earned = [
        earned_minor(
            amount_minor=100, starts_at=START, ends_at=end, at=START + timedelta(seconds=seconds)
        )
        for seconds in (-1, 0, 1, 99, 100, 101)
    ]

    assert earned == [0, 0, 1, 99, 100, 100]


@given(amount=st.integers(0, 10**12), length=_SECONDS, one=_SECONDS, other=_SECONDS)
def test_earned_never_falls_and_ends_at_the_amount(
    amount: int, length: int, one: int, other: int
) -> None:
    def earned(seconds: int) -> int:
        return earned_minor(
            amount_minor=amount,
            starts_at=START,
            ends_at=START + timedelta(seconds=length),
            at=START + timedelta(seconds=seconds),
        )

    first, last = sorted([one, other])

    assert 0 <= earned(first) <= earned(last) <= amount
    assert earned(length) == amount
    assert earned(first) * length <= amount * min(first, length)
