"""Counts bytes per pool: absolute, never falling within an incarnation, never counted twice.

The truth is in nft's counting elements, one per slot and direction. What they held when their
device left is kept in the store, in the same write that remembers they were read, so a crash
between reading and deleting counts nothing twice.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from ferriage import wire
from ferriage.agent.poolcounters import Counter

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ferriage.agent.store import Store

Counts: TypeAlias = "Mapping[int, tuple[int, int]]"


class Bytes(NamedTuple):
    """Bytes towards devices, and from them."""

    down: int
    up: int


def total(counts: Counts) -> Bytes:
    """Return the sum over slots."""
    return Bytes(sum(down for down, _ in counts.values()), sum(up for _, up in counts.values()))


def pairs(counters: Mapping[str, Mapping[int, int]]) -> dict[int, tuple[int, int]]:
    """Return slot → (down, up) from the two counting sets."""
    down, up = counters["use_dl"], counters["use_up"]
    return {slot: (down.get(slot, 0), up.get(slot, 0)) for slot in down.keys() | up.keys()}


class Meter:
    """The counters of all pools over one life of the nft table after another."""

    def __init__(self, store: Store, boot: str, *, least: int = 1) -> None:
        """Count for this boot; no incarnation's number is below `least`."""
        self._store = store
        self._boot = boot
        self._least = least

    def life(self) -> str:
        """Return the name of the table's current life, as its comment should say."""
        return self._store.get("table")

    def new_life(self, pools: Iterable[str]) -> str:
        """Begin a life whose counters start at zero; what the last one had seen is final."""
        for pool in pools:
            self._close(pool, Bytes(0, 0))
        name = f"life {self._store.next_number('life')}"
        self._store.put("table", name)
        return name

    def record(self, pool: str, counts: Counts) -> None:
        """Take over what a pool's elements show now.

        Less than was seen before means that somebody emptied them: the incarnation is closed at
        what was seen and the next one starts at zero from here.
        """
        counter = self._store.counter(pool) or self._open(pool, Bytes(0, 0))
        swept = self._store.swept(pool)
        shown = total({slot: value for slot, value in counts.items() if slot not in swept})
        down, up = counter.kept_down + shown.down, counter.kept_up + shown.up
        if down < counter.seen_down or up < counter.seen_up:
            self._close(pool, shown)
        elif (down, up) != (counter.seen_down, counter.seen_up):
            self._store.save_counter(
                pool, msgspec.structs.replace(counter, seen_down=down, seen_up=up)
            )

    def keep(self, pool: str, counts: Counts) -> None:
        """Commit the last bytes of slots whose elements are about to be deleted."""
        counter = self._store.counter(pool) or self._open(pool, Bytes(0, 0))
        already = self._store.swept(pool)
        fresh = {slot: value for slot, value in counts.items() if slot not in already}
        added = total(fresh)
        self._store.sweep(pool, _plus(counter, added.down, added.up), fresh)

    def settle(self, counts: Counts, owners: Mapping[int, str]) -> dict[int, str]:
        """Let slots that another pool counts from now on be counted by it, from what they show.

        So a device that leaves one of its pools is counted on in another, and no byte of it twice.

        Args:
            owners: The pool of each slot that a device has.

        Returns:
            The pool that counts each of the other slots whose elements are still there.
        """
        orphans: dict[int, str] = {}
        moved: dict[tuple[str, str], list[int]] = {}
        for slot, pool in self._store.leaving().items():
            owner = owners.get(slot, "")
            if slot in counts and not owner:
                orphans[slot] = pool
            else:
                moved.setdefault((pool, owner if slot in counts else ""), []).append(slot)
        for (pool, owner), slots in moved.items():
            there = {slot: counts[slot] for slot in slots if slot in counts}
            self._store.hand_over(pool, slots, self._handed(pool, owner, there))
        return orphans

    def _handed(self, pool: str, owner: str, counts: Counts) -> dict[str, Counter]:
        """Return the counters of two pools once one counts slots that the other has counted."""
        giver = self._store.counter(pool)
        if not counts or giver is None:
            return {}
        swept, shown = self._store.swept(pool), total(counts)
        kept = total({slot: swept[slot] for slot in counts.keys() & swept.keys()})
        if owner == pool:  # it came back before its element was deleted
            return {pool: _plus(giver, -kept.down, -kept.up)}
        taker = self._store.counter(owner) or self._open(owner, Bytes(0, 0))
        return {
            pool: _plus(giver, shown.down - kept.down, shown.up - kept.up),
            owner: _plus(taker, -shown.down, -shown.up),
        }

    def left(self, pools: Collection[str]) -> set[str]:
        """Return the pools that are counted still and were left."""
        return self._store.counting() - set(pools)

    def end(self, pool: str) -> None:
        """Note that nothing of a pool that was left is counted any more: what it had is final."""
        counter = self._store.counter(pool)
        if counter is not None:
            self._store.close_incarnation(self._usage(pool, counter, final=True), None)

    def swept(self, pool: str, slots: Iterable[int]) -> None:
        """Note that the elements of these slots are gone from the kernel."""
        self._store.forget_swept(pool, slots)

    def usage(
        self, pools: Collection[str], sequence: int, *, of_left: bool = True
    ) -> tuple[wire.Usage, ...]:
        """Return what to report: each pool's running incarnation, and finals not acknowledged.

        Args:
            of_left: Whether finals of pools that were left are told too.
        """
        running = [
            self._usage(pool, counter, final=False)
            for pool in pools
            if (counter := self._store.counter(pool))
        ]
        return (*self._store.finals(sequence, None if of_left else pools), *running)

    def _close(self, pool: str, shown: Bytes) -> None:
        counter = self._store.counter(pool)
        if counter is not None:
            self._store.close_incarnation(
                self._usage(pool, counter, final=True), self._fresh(shown)
            )

    def _open(self, pool: str, shown: Bytes) -> Counter:
        counter = self._fresh(shown)
        self._store.save_counter(pool, counter)
        return counter

    def _fresh(self, shown: Bytes) -> Counter:
        number = self._store.next_number("incarnation", least=self._least)
        return Counter(f"{self._boot}.{number}", -shown.down, -shown.up, 0, 0)

    @staticmethod
    def _usage(pool: str, counter: Counter, *, final: bool) -> wire.Usage:
        return wire.Usage(
            pool=pool,
            incarnation=counter.incarnation,
            device="",
            bytes_down=counter.seen_down,
            bytes_up=counter.seen_up,
            final=final,
        )


def _plus(counter: Counter, down: int, up: int) -> Counter:
    """Return a counter that keeps more bytes of slots that it does not look at any more."""
    return msgspec.structs.replace(
        counter, kept_down=counter.kept_down + down, kept_up=counter.kept_up + up
    )
