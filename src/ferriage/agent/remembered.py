"""What a gateway remembers so that a restored site can learn it: a part of the store's file.

Heads of batches as they were signed, deletions, what stands against records, and final values that
the site once took over and may have forgotten. Functions run inside the store's transactions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from ferriage import wire
from ferriage.agent.rewound import KEPT_SECONDS, Stand

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS head (pool TEXT PRIMARY KEY, begin TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS buried (
    pool TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (pool, id)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stand (
    pool TEXT NOT NULL, id TEXT NOT NULL, until INTEGER NOT NULL, generation INTEGER NOT NULL,
    rev INTEGER NOT NULL, PRIMARY KEY (pool, id)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sent (
    incarnation TEXT PRIMARY KEY, pool TEXT NOT NULL, usage TEXT NOT NULL,
    at INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS buried_at ON buried (at);
CREATE INDEX IF NOT EXISTS sent_at ON sent (at);
"""
MOST_FINALS: Final = 2000
"""Final values in one report."""


def save_head(db: sqlite3.Connection, begin: wire.Begin) -> None:
    """Keep the head of the newest batch."""
    row = (begin.pool, wire.encode(begin).decode())
    db.execute("INSERT OR REPLACE INTO head VALUES (?, ?)", row)


def head(db: sqlite3.Connection, pool: str) -> wire.Begin | None:
    """Return the head of the newest batch that was taken."""
    row = db.execute("SELECT begin FROM head WHERE pool = ?", (pool,)).fetchone()
    return wire.decode(row[0], wire.Begin) if row else None


def bury(
    db: sqlite3.Connection, pool: str, deleted: Iterable[str], back: Iterable[str], at: int
) -> None:
    """Remember deletions for 35 days, and forget those of devices that came back."""
    db.executemany("DELETE FROM buried WHERE pool = ? AND id = ?", [(pool, name) for name in back])
    db.executemany(
        "INSERT OR REPLACE INTO buried VALUES (?, ?, ?)", [(pool, name, at) for name in deleted]
    )
    db.execute("DELETE FROM buried WHERE at < ?", (at - KEPT_SECONDS,))


def buried(db: sqlite3.Connection, pool: str) -> set[str]:
    """Return the names of devices that were deleted lately."""
    return {name for (name,) in db.execute("SELECT id FROM buried WHERE pool = ?", (pool,))}


def save_stands(db: sqlite3.Connection, pool: str, stands: Mapping[str, Stand], rev: int) -> None:
    """Replace what stands against records of a pool since a snapshot of this revision."""
    db.execute("DELETE FROM stand WHERE pool = ?", (pool,))
    db.executemany(
        "INSERT INTO stand VALUES (?, ?, ?, ?, ?)",
        [(pool, name, *stand, rev) for name, stand in stands.items()],
    )


def stands(db: sqlite3.Connection, pool: str) -> tuple[dict[str, Stand], int]:
    """Return what stands against records of a pool, and since which revision."""
    rows = db.execute(
        "SELECT id, until, generation, rev FROM stand WHERE pool = ?", (pool,)
    ).fetchall()
    found = {name: Stand(until, generation) for name, until, generation, _ in rows}
    return found, max((rev for *_, rev in rows), default=0)


def finals(db: sqlite3.Connection, sequence: int, pools: Iterable[str] | None) -> list[wire.Usage]:
    """Return final values not yet acknowledged, and note which report has them.

    Args:
        pools: Only of these; None for whichever pool it was, also one that was left.
    """
    named = None if pools is None else msgspec.json.encode(tuple(pools)).decode()
    rows = db.execute(
        "SELECT incarnation, usage FROM final"
        " WHERE ?1 IS NULL"
        " OR json_extract(usage, '$.pool') IN (SELECT value FROM json_each(?1))"
        " ORDER BY reported = 0, incarnation LIMIT ?2",
        (named, MOST_FINALS),
    ).fetchall()
    db.executemany(
        "UPDATE final SET reported = ? WHERE incarnation = ?",
        [(sequence, incarnation) for incarnation, _ in rows],
    )
    return [wire.decode(usage, wire.Usage) for _, usage in rows]


def acknowledge(db: sqlite3.Connection, sequence: int, at: int) -> None:
    """Put away for 35 days the final values that this report carried, now that it was taken."""
    db.execute(
        "INSERT OR REPLACE INTO sent SELECT incarnation, json_extract(usage, '$.pool'), usage, ?"
        " FROM final WHERE reported = ?",
        (at, sequence),
    )
    db.execute("DELETE FROM final WHERE reported = ?", (sequence,))
    db.execute("DELETE FROM sent WHERE at < ?", (at - KEPT_SECONDS,))


def tell_again(db: sqlite3.Connection, pool: str) -> None:
    """Have a pool's final values reported once more: the site's database may have lost them.

    With them those of pools that were left, of which nobody will hear otherwise.
    """
    db.execute(
        "INSERT OR IGNORE INTO final (incarnation, usage) SELECT incarnation, usage FROM sent"
        " WHERE pool = ? OR pool NOT IN (SELECT code FROM pool)",
        (pool,),
    )
