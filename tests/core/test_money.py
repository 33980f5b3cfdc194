from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferriage.core.money import Money, is_currency, split


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("19.99", "CNY", 1999), ("10", "CNY", 1000), ("120", "JPY", 120), ("1,5", "KWD", 1500)],
)
def test_amounts_are_read_exactly(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("1.999", "CNY"),
        ("ten", "CNY"),
        ("1.0", "JPY"),
        ("9" * 20, "CNY"),
        ("1" + "0" * 14 + "1", "JPY"),
    ],
)
def test_amounts_with_too_many_decimals_or_digits_or_words_are_refused(
    text: str, currency: str
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Money.parse(text, currency)


@pytest.mark.parametrize(
    ("code", "known"),
    [("CNY", True), ("ISK", True), ("XYZ", False), ("XAU", False), ("cny", False)],
)
def test_currency_is_one_that_people_pay_with(code: str, *, known: bool) -> None:
    assert is_currency(code) is known


@given(st.integers(-(10**12), 10**12), st.sampled_from(["CNY", "JPY", "KWD"]))
def test_decimal_text_reads_back(minor: int, currency: str) -> None:
    money = Money(minor, currency)

    assert Money.parse(money.decimal(), currency) == money


def test_currencies_do_not_mix() -> None:
    with pytest.raises(ValueError, match="do not add up"):
        Money(1, "CNY") + Money(1, "EUR")


@given(
    st.integers(0, 10**9),
    st.lists(st.integers(0, 1000), min_size=1, max_size=8).filter(lambda weights: sum(weights) > 0),
)
def test_split_sums_exactly_and_is_fair_to_one_minor_unit(total: int, weights: list[int]) -> None:
    parts = split(total, weights)

    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)
