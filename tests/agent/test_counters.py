"""Taking apart what the kernel says of a set's counting elements."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferriage.agent import counters
from ferriage.agent.netlink import Malformed, attribute, nest

MARKS = st.integers(0, (1 << 32) - 1)
TOTALS = st.integers(0, (1 << 64) - 1)


def _element(mark: int, total: int, *, name: bytes = b"counter\0", padded: bool = False) -> bytes:
    """Return an element; some kernels align its 64-bit numbers with an attribute of no meaning."""
    pad = attribute(3, b"") if padded else b""
    packets = attribute(2, struct.pack(">Q", mark))
    counted = pad + attribute(1, struct.pack(">Q", total)) + packets
    expression = nest(7, attribute(1, name), nest(2, counted))
    return nest(1, nest(1, attribute(1, struct.pack("=I", mark))), expression)


def _answer(*elements: bytes) -> bytes:
    names = attribute(1, b"ferriage\0") + attribute(2, b"use_up\0")
    return counters.FAMILY_HEAD.pack(1, 0, 0) + names + nest(3, *elements)


@given(st.lists(st.tuples(MARKS, TOTALS, st.booleans())))
def test_every_element_is_read_whatever_stands_before_it(
    rows: list[tuple[int, int, bool]],
) -> None:
    answer = _answer(*(_element(mark, total, padded=padded) for mark, total, padded in rows))

    assert list(counters.decode(answer)) == [(mark, total) for mark, total, _ in rows]


@pytest.mark.parametrize(
    "other",
    [
        _element(2, 2, name=b"countes\0"),
        nest(1, nest(1, attribute(1, b"1234"))),
        nest(1, nest(1, attribute(1, b"12345678"))),
        nest(1, nest(7, attribute(1, b"counter\0"))),
    ],
)
def test_element_that_does_not_count_is_refused_also_after_one_that_does(other: bytes) -> None:
    with pytest.raises(Malformed):
        list(counters.decode(_answer(_element(1, 1), other)))


@given(st.integers(0, len(_answer(_element(1, 2), _element(3, 4)))), st.binary(max_size=8))
def test_hostile_bytes_raise_nothing_but_malformed(at: int, noise: bytes) -> None:
    answer = _answer(_element(1, 2), _element(3, 4))
    with contextlib.suppress(Malformed):
        list(counters.decode(answer[:at] + noise + answer[at + len(noise) :]))
