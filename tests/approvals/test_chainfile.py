"""The exported chain and its verifier, which has nothing but the file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from register_cases import AT, DEMO, DEMO_LINE, facts

from ferriage.approvals import chainfile
from ferriage.approvals.actions import write_decision
from ferriage.approvals.queries import exported_decisions, latest_decision
from ferriage.core import chain

if TYPE_CHECKING:
    from datetime import datetime


def _chain(count: int) -> list[bytes]:
    """Return a chain of the size that Decisions have."""
    lines, previous = [], chain.GENESIS
    for sequence in range(1, count + 1):
        content = {
            "sequence": sequence,
            "at": AT.isoformat(),
            "subject": "ord_0000000000000000",
            "line": "ln_0000000000000000",
            "inputs": "0" * 64,
            "packs": dict.fromkeys(("CN", "DE", "SE"), f"2026-11-24.1 {'0' * 64}"),
            "allowed": True,
            "reasons": ["二(二)4"],
            "valid_until": AT.isoformat(),
        }
        hash_ = chain.link(previous, content)
        lines.append(chainfile.line(content, hash_=hash_, previous=previous).encode())
        previous = hash_
    return lines


LINES = _chain(5)
SOUND = b"".join(LINES)


@given(place=st.integers(0, len(SOUND) - 1), change=st.integers(1, 255))
def test_any_altered_byte_is_found_and_its_line_named(place: int, change: int) -> None:
    altered = bytearray(SOUND)
    altered[place] ^= change
    number = SOUND[:place].count(b"\n") + 1

    found = chainfile.verify(bytes(altered).splitlines(keepends=True))

    assert found.count == number - 1
    assert found.fault.startswith(f"Line {number}: ")


@pytest.mark.parametrize("missing", [0, 1, 3])
def test_missing_line_is_found(missing: int) -> None:
    lines = [line for number, line in enumerate(LINES) if number != missing]

    found = chainfile.verify(lines)

    assert (found.count, bool(found.fault)) == (missing, True)


def test_cut_off_tail_shows_in_the_head() -> None:
    whole, cut = chainfile.verify(LINES), chainfile.verify(LINES[:-1])

    assert (whole.count, cut.count, cut.fault) == (5, 4, "")
    assert whole.head != cut.head


def test_a_year_of_decisions_is_followed_in_seconds() -> None:
    lines = _chain(100_000)
    start = time.process_time()

    found = chainfile.verify(lines)

    assert (found.count, found.fault) == (100_000, "")
    assert time.process_time() - start < 5


@pytest.mark.django_db
def test_written_decisions_come_out_as_a_chain_that_holds(now: datetime) -> None:
    from ferriage.approvals.evaluate import evaluate

    for subject in ("ln_1", "ord_1", "ord_2"):
        verdict = evaluate(facts(DEMO_LINE, "XD"), DEMO, now)
        write_decision(subject=subject, line=DEMO_LINE, verdict=verdict, now=now)

    found = chainfile.verify(line.encode() for line in exported_decisions())

    last = latest_decision()
    assert last is not None
    assert (found.count, found.head, found.fault) == (3, last.hash, "")
