"""What reports tell of counters: all of it in parts that fit, and nothing put away untaken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

import feed
from feed import POOL, device
from ferriage import wire
from ferriage.agent.feed import Change
from ferriage.agent.quota import Quotas
from ferriage.agent.store import Element, Store
from ferriage.agent.telling import MOST_ROWS, Telling
from ferriage.agent.usage import Meter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHER = "pool_0000000000000002"
BOOT = "8c2f5d0e-0000-4000-8000-000000000001"
QUOTA = wire.Quota(bytes=10**12, resets_at=2_000_000_000)
LARGEST = 2 * 1024 * 1024
"""What the site takes."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "state.sqlite3")
    yield opened
    opened.close()


class Gateway:
    """The counters of an agent; started again it knows what its store does."""

    def __init__(self, store: Store, devices: int = 1) -> None:
        self.store = store
        self.records = {number + 1000: _numbered(number) for number in range(devices)}
        self.slots = range(1000, 1000 + devices)
        store.save_elements({slot: _element(slot) for slot in self.slots})
        self.start()

    def start(self) -> None:
        meter = Meter(self.store, BOOT)
        self.quotas = Quotas(self.store, BOOT)
        self.telling = Telling(self.store, meter, self.quotas)

    def show(self, down: int, pool: str = POOL, *, slots: range | None = None) -> None:
        slots = self.slots if slots is None else slots
        counts = dict.fromkeys(slots, (down, 0))
        self.quotas.observe(counts, {slot: (pool, self.records[slot]) for slot in slots}, now=1000)

    def told(self, sequence: int, *pools: str) -> list[tuple[str, int, bool]]:
        rows = self.telling.rows(pools or (POOL,), sequence)
        return [(row.pool, row.bytes_down, row.final) for row in rows]


def _numbered(number: int) -> wire.Device:
    return device(number, public_key="k", hold_at=9000, quota=QUOTA)


def _element(slot: int) -> Element:
    return Element(
        device=_numbered(slot - 1000).id,
        pool=POOL,
        incarnation=f"{BOOT}.e{slot:06}",
        limit=QUOTA.bytes,
        reset_at=QUOTA.resets_at,
    )


def test_sixty_thousand_devices_are_told_of_in_reports_that_the_site_takes(store: Store) -> None:
    gateway = Gateway(store, 60_000)
    gateway.show(1 << 50)
    seen: list[str] = []

    for sequence in range(1, 100):
        rows = gateway.telling.rows([POOL], sequence)
        assert len(wire.encode(rows)) < LARGEST * 0.6
        seen += [row.device for row in rows]
        gateway.telling.taken(sequence)
        if not gateway.telling.more:
            break

    assert (sequence, len(seen), len(set(seen))) == (12, 60_000, 60_000)
    assert gateway.telling.rows([POOL], 100) == ()


def test_busy_devices_do_not_keep_others_from_being_told_of(store: Store) -> None:
    gateway = Gateway(store, MOST_ROWS + 10)
    seen: set[str] = set()

    for sequence in range(1, 3):
        gateway.show(sequence)  # every one of them has used more since
        seen |= {row.device for row in gateway.telling.rows([POOL], sequence)}
        gateway.telling.taken(sequence)
        assert gateway.telling.more

    assert len(seen) == len(gateway.slots)


def test_many_final_values_leave_room_and_come_at_once_one_report_after_another(
    store: Store,
) -> None:
    gateway = Gateway(store, 2 * MOST_ROWS)
    gateway.show(7)
    gateway.show(7, slots=range(1000, 1000 + MOST_ROWS))
    sizes = []

    for sequence in range(1, 100):
        told = gateway.told(sequence)
        sizes.append((sum(final for *_, final in told), len(told)))
        gateway.telling.taken(sequence)
        if not gateway.telling.more:
            break

    assert sizes == [(2000, 5000), (2000, 4000), (1000, 1000)]


def test_report_that_was_refused_is_not_put_away_by_the_next_one(store: Store) -> None:
    gateway = Gateway(store, 2)
    gateway.show(700)
    gateway.show(700, slots=range(1001, 1002))  # one of the two was removed
    both = [(POOL, 700, True), (POOL, 700, False)]
    assert gateway.told(5) == both

    gateway.telling.taken(6)  # a bare one

    assert gateway.told(7) == both
    gateway.telling.taken(5)  # late, and not what 7 carries
    assert gateway.told(8) == both
    gateway.telling.taken(8)
    assert gateway.told(9) == []


def test_device_is_told_of_in_its_other_pool_when_one_was_left(store: Store) -> None:
    gateway = Gateway(store)
    gateway.show(700)
    assert gateway.told(1, POOL, OTHER) == [(POOL, 700, False)]
    gateway.telling.taken(1)

    gateway.show(900, OTHER)

    assert gateway.told(2, OTHER) == [(OTHER, 900, False)]
    gateway.start()  # and after a restart, whatever was on the disk
    gateway.show(950, OTHER)
    assert gateway.told(3, OTHER) == [(OTHER, 950, False)]


def test_final_values_of_a_pool_that_was_left_are_told_and_put_away(store: Store) -> None:
    gateway = Gateway(store)
    gateway.show(700)
    gateway.show(0, slots=range(0))
    assert gateway.told(1, OTHER) == [(POOL, 700, True)]

    gateway.telling.taken(1)

    assert gateway.told(2, OTHER, POOL) == []


def test_final_values_wait_where_the_site_knows_nothing_of_the_pool(store: Store) -> None:
    gateway = Gateway(store)
    gateway.show(700)
    gateway.show(0, slots=range(0))

    gateway.telling.of_left = False

    assert gateway.told(1, OTHER) == []
    assert gateway.told(2, OTHER, POOL) == [(POOL, 700, True)]


def test_final_values_of_left_pools_are_told_again_after_another_history(store: Store) -> None:
    store.save_assignments([feed.ASSIGNMENT], "http://192.0.2.10")
    gateway = Gateway(store)
    gateway.show(700)
    gateway.show(0, slots=range(0))
    gateway.told(1)
    gateway.telling.taken(1)
    other = msgspec.structs.replace(feed.ASSIGNMENT, pool=OTHER)
    store.save_assignments([other], "http://192.0.2.10")

    for epoch in ("epoch-1", "epoch-2"):
        begin = wire.Begin(
            format=wire.FEED_FORMAT,
            batch="snapshot",
            pool=OTHER,
            epoch=epoch,
            after=0,
            rev=1,
            count=0,
            digest=wire.DIGEST_ZERO,
            items_sha256="",
        )
        change = Change(begin, {}, frozenset(), frozenset(), None)
        store.save_batch(change, leaving=(), stands_rev=0)

    assert gateway.told(2, OTHER) == [(POOL, 700, True)]
