from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ferriage.agent.store import Store
from ferriage.agent.usage import Meter, pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

POOL = "pool_1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "state.sqlite3")
    yield opened
    opened.close()


def _shown(meter: Meter) -> list[tuple[str, int, int, bool]]:
    return [(u.incarnation, u.bytes_down, u.bytes_up, u.final) for u in meter.usage([POOL], 1)]


@given(
    down=st.dictionaries(st.integers(1, 5), st.integers(0, 9)),
    up=st.dictionaries(st.integers(1, 5), st.integers(0, 9)),
)
def test_pairs_keep_every_byte_of_both_directions(down: dict[int, int], up: dict[int, int]) -> None:
    counts = pairs({"use_dl": down, "use_up": up})

    assert sum(d for d, _ in counts.values()) == sum(down.values())
    assert sum(u for _, u in counts.values()) == sum(up.values())


def test_removed_slot_stays_in_the_sum(store: Store) -> None:
    meter = Meter(store, "boot")
    meter.record(POOL, {1: (10, 1), 2: (20, 2)})

    meter.keep(POOL, {2: (20, 2)})
    store.forget_swept(POOL, [2])
    meter.record(POOL, {1: (15, 1)})

    assert _shown(meter) == [("boot.1", 35, 3, False)]


def test_crash_between_keeping_and_deleting_counts_nothing_twice(store: Store) -> None:
    meter = Meter(store, "boot")
    meter.record(POOL, {1: (10, 1), 2: (20, 2)})
    meter.keep(POOL, {2: (20, 2)})

    meter = Meter(store, "boot")
    meter.record(POOL, {1: (10, 1), 2: (20, 2)})
    meter.keep(POOL, {2: (20, 2)})
    meter.record(POOL, {1: (10, 1), 2: (20, 2)})

    assert _shown(meter) == [("boot.1", 30, 3, False)]


def test_emptied_elements_close_the_incarnation_at_what_was_seen(store: Store) -> None:
    meter = Meter(store, "boot")
    meter.record(POOL, {1: (10, 1), 2: (20, 2)})

    meter.record(POOL, {1: (12, 1)})
    meter.record(POOL, {1: (15, 1)})

    assert _shown(meter) == [("boot.1", 30, 3, True), ("boot.2", 3, 0, False)]


def test_new_table_begins_at_zero_and_finals_wait_for_their_acknowledgement(store: Store) -> None:
    meter = Meter(store, "boot")
    first = meter.new_life([POOL])
    meter.record(POOL, {1: (10, 1)})

    second = Meter(store, "later").new_life([POOL])

    assert (first, second) == ("life 1", "life 2")
    assert _shown(meter)[0] == ("boot.1", 10, 1, True)
    store.acknowledge(0)
    assert _shown(meter)[0] == ("boot.1", 10, 1, True)
    store.acknowledge(1)
    assert _shown(meter) == [("later.2", 0, 0, False)]


class Metering(RuleBasedStateMachine):
    """Devices pass bytes, leave, come back; the agent crashes between any two writes."""

    @initialize()
    def begin(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self.store = Store(Path(self._directory.name) / "state.sqlite3")
        self.meter = Meter(self.store, "boot")
        self.kernel: dict[int, tuple[int, int]] = {}
        self.passed = [0, 0]
        self.last = (0, 0)

    @rule(slot=st.integers(1, 4), down=st.integers(0, 99), up=st.integers(0, 99))
    def passes(self, slot: int, down: int, up: int) -> None:
        if slot in self.store.swept(POOL):
            return  # unmapped: nothing can pass
        held = self.kernel.get(slot, (0, 0))
        self.kernel[slot] = (held[0] + down, held[1] + up)
        self.passed = [self.passed[0] + down, self.passed[1] + up]

    @rule(slot=st.integers(1, 4), crash=st.booleans())
    def leaves(self, slot: int, crash: bool) -> None:  # noqa: FBT001 -- hypothesis passes by name
        if slot not in self.kernel:
            return
        self.meter.record(POOL, self.kernel)
        self.meter.keep(POOL, {slot: self.kernel[slot]})
        if not crash:
            del self.kernel[slot]
            self.store.forget_swept(POOL, [slot])

    @rule()
    def restarts(self) -> None:
        self.meter = Meter(self.store, "boot")
        for slot in self.store.swept(POOL):
            self.kernel.pop(slot, None)
        self.store.forget_swept(POOL, list(self.store.swept(POOL)))

    @invariant()
    def sum_is_exact_and_never_falls(self) -> None:
        self.meter.record(POOL, self.kernel)
        (incarnation, down, up, final), *rest = _shown(self.meter)
        assert (incarnation, down, up, final, rest) == ("boot.1", *self.passed, False, [])
        assert (down, up) >= self.last
        self.last = (down, up)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self._directory.cleanup()


TestMetering = Metering.TestCase
TestMetering.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
