from __future__ import annotations

import pytest

from ferriage.core import codes


@pytest.mark.parametrize(
    "typed",
    ["7K3M-0001-ABCD-EFGH", "7k3m oool abcd efgh", "７K3M０００１ABCDEFGH", "۷K3M۰۰۰۱ABCDEFGH"],
)
def test_numbers_are_read_however_they_are_typed(typed: str) -> None:
    assert codes.normalise(typed) == "7K3M0001ABCDEFGH"


@pytest.mark.parametrize("text", ["", "7K3M", "7K3M0001ABCDEFGHX", "7K3M0001ABCDEFGU"])
def test_what_is_no_number_is_told_apart(text: str) -> None:
    assert not codes.is_code(text)


def test_new_codes_are_well_formed() -> None:
    prefix, _, rest = codes.new_code("ord").partition("_")

    assert prefix == "ord"
    assert codes.is_code(rest)


def test_hash_depends_on_key_and_purpose() -> None:
    made = {codes.keyed_hash(key, purpose, "text") for key in ("a", "b") for purpose in ("x", "y")}

    assert len(made) == 4
