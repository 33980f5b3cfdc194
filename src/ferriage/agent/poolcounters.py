"""The counters of pools in the store's file: what a pool's elements have shown, and who leaves.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from ferriage import wire
from ferriage.agent.transaction import Transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS counter (
    pool TEXT PRIMARY KEY, incarnation TEXT NOT NULL,
    kept_down INTEGER NOT NULL, kept_up INTEGER NOT NULL,
    seen_down INTEGER NOT NULL, seen_up INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS swept (
    pool TEXT NOT NULL, slot INTEGER NOT NULL, down INTEGER NOT NULL, up INTEGER NOT NULL,
    PRIMARY KEY (pool, slot)) STRICT;
CREATE TABLE IF NOT EXISTS leaving (slot INTEGER PRIMARY KEY, pool TEXT NOT NULL) STRICT;
"""


class Counter(msgspec.Struct, frozen=True):
    """A pool's counter: its incarnation, bytes kept of removed slots, bytes last seen.

    `kept_*` may be negative: an incarnation that begins on running elements starts at 0.
    """

    incarnation: str
    kept_down: int
    kept_up: int
    seen_down: int
    seen_up: int


class PoolCounters:
    """A part of the store. Each method is one transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def counter(self, pool: str) -> Counter | None:
        """Return a pool's counter as last persisted."""
        row = self._db.execute(
            "SELECT incarnation, kept_down, kept_up, seen_down, seen_up"
            " FROM counter WHERE pool = ?",
            (pool,),
        ).fetchone()
        return Counter(*row) if row else None

    def counting(self) -> set[str]:
        """Return the pools that have a counter, those that were left included."""
        return {pool for (pool,) in self._db.execute("SELECT pool FROM counter")}

    def save_counter(self, pool: str, counter: Counter) -> None:
        """Persist a pool's counter."""
        self._db.execute(
            "INSERT OR REPLACE INTO counter VALUES (?, ?, ?, ?, ?, ?)",
            (pool, *msgspec.structs.astuple(counter)),
        )

    def sweep(self, pool: str, counter: Counter, slots: dict[int, tuple[int, int]]) -> None:
        """Commit the final bytes of removed slots together with the counter that now holds them."""
        with self._transaction():
            self.save_counter(pool, counter)
            self._db.executemany(
                "INSERT OR REPLACE INTO swept VALUES (?, ?, ?, ?)",
                [(pool, slot, down, up) for slot, (down, up) in slots.items()],
            )

    def swept(self, pool: str) -> dict[int, tuple[int, int]]:
        """Return slots whose bytes are kept already but whose elements may still be there."""
        rows = self._db.execute("SELECT slot, down, up FROM swept WHERE pool = ?", (pool,))
        return {slot: (down, up) for slot, down, up in rows}

    def forget_swept(self, pool: str, slots: Iterable[int]) -> None:
        """Note that these elements are gone from the kernel."""
        with self._transaction():
            self._forget(pool, slots)

    def _forget(self, pool: str, slots: Iterable[int]) -> None:
        slots = tuple(slots)
        self._db.executemany(
            "DELETE FROM swept WHERE pool = ? AND slot = ?", [(pool, slot) for slot in slots]
        )
        self._db.executemany("DELETE FROM leaving WHERE slot = ?", [(slot,) for slot in slots])

    def leaving(self) -> dict[int, str]:
        """Return the pool of each slot that it lost and whose counter may still be there."""
        return dict(self._db.execute("SELECT slot, pool FROM leaving").fetchall())

    def hand_over(self, pool: str, slots: Iterable[int], counters: Mapping[str, Counter]) -> None:
        """Note that slots which a pool lost are counted by another, or are there no more.

        Args:
            counters: Of the pools whose counters change by it.
        """
        with self._transaction():
            for code, counter in counters.items():
                self.save_counter(code, counter)
            self._forget(pool, slots)

    def close_incarnation(self, usage: wire.Usage, fresh: Counter | None) -> None:
        """Keep an incarnation's last value to be reported as final, and begin the next one.

        Args:
            fresh: The next one; None where the gateway has left the pool.
        """
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO final (incarnation, usage) VALUES (?, ?)",
                (usage.incarnation, wire.encode(usage).decode()),
            )
            self._db.execute("DELETE FROM swept WHERE pool = ?", (usage.pool,))
            if fresh is None:
                self._db.execute("DELETE FROM counter WHERE pool = ?", (usage.pool,))
            else:
                self.save_counter(usage.pool, fresh)

    def _transaction(self) -> Transaction:
        return Transaction(self._db)
