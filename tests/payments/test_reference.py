from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferriage.core import codes
from ferriage.payments.providers.bank.reference import (
    LENGTH,
    found_in,
    is_reference,
    looks_tried,
)

# Fixed, so that every worker of xdist collects the same tests.
GIVEN = "1N40A4KJ43"


def test_every_single_wrong_character_is_found() -> None:
    for place in range(LENGTH):
        for char in codes.ALPHABET:
            typed = GIVEN[:place] + char + GIVEN[place + 1 :]
            assert is_reference(typed) is (char == GIVEN[place])


@pytest.mark.parametrize(
    "typed",
    [
        GIVEN,
        GIVEN.lower(),
        f"  {codes.grouped(GIVEN)} ",
        f"Invoice 4711, ref. {GIVEN}, thank you very much",
        f"/ROC/{GIVEN}//URI/of my friend",
        GIVEN.replace("0", "O").replace("1", "l"),
        " ".join(GIVEN),
    ],
)
def test_reference_is_read_as_people_and_banks_write_it(typed: str) -> None:
    assert GIVEN in found_in(typed)


@given(st.text(max_size=200))
def test_any_text_is_read_without_a_fault(text: str) -> None:
    assert all(is_reference(found) for found in found_in(text))


@pytest.mark.parametrize("text", ["", "rent", GIVEN[:-1], "!" * LENGTH, "U" * LENGTH])
def test_text_without_a_reference_has_none(text: str) -> None:
    assert found_in(text) == []


@pytest.mark.parametrize(
    ("text", "tried"),
    [
        (f"our ref. {GIVEN[:-1]}X", True),
        (f"{GIVEN[:-1]}", True),
        (f"{GIVEN}7 thanks", True),
        (codes.grouped(GIVEN[:-1] + "X").lower(), True),
        (codes.grouped(GIVEN[:-1] + "X").replace("-", " "), True),
        ("for the vpn", False),
        ("hello ferry", False),
        ("vpn for 2 phones", False),
        ("paid on 2026-03-02", False),
        ("tel 0049891234", False),
        ("subscription", False),
        ("", False),
    ],
)
def test_text_that_holds_no_reference_is_told_from_a_mistyped_one(
    text: str, *, tried: bool
) -> None:
    assert looks_tried(text) is tried
