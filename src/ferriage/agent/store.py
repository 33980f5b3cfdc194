"""What a gateway remembers over restarts: batches, permits, counters. SQLite, fully synced.

A batch is written here before it is applied, so a rebooted gateway serves without the site.
"""

from __future__ import annotations

import sqlite3
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from ferriage import wire
from ferriage.agent import poolcounters, remembered
from ferriage.agent.clock import boot_id, boot_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ferriage.agent.feed import Change
    from ferriage.agent.rewound import Stand

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS pool (
    code TEXT PRIMARY KEY, assignment TEXT NOT NULL,
    epoch TEXT NOT NULL DEFAULT '', rev INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS device (
    pool TEXT NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (pool, id)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deferred (
    pool TEXT NOT NULL, id TEXT NOT NULL, rev INTEGER NOT NULL,
    PRIMARY KEY (pool, id)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS past (
    pool TEXT NOT NULL, epoch TEXT NOT NULL, PRIMARY KEY (pool, epoch)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS permit (
    line TEXT PRIMARY KEY, serial INTEGER NOT NULL, signed TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS element (
    slot INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS lost (
    slot INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS final (
    incarnation TEXT PRIMARY KEY, usage TEXT NOT NULL,
    reported INTEGER NOT NULL DEFAULT 0) STRICT;
"""


class StoredPool(msgspec.Struct, frozen=True):
    """One pool as it was last persisted.

    `deferred` are devices that a snapshot did not name, with its revision; `past` are epochs;
    `stands` is what stands against records, since the snapshot of `stands_rev`.
    """

    assignment: wire.PoolAssignment
    epoch: str
    rev: int
    devices: dict[str, wire.Device]
    deferred: dict[str, int]
    past: set[str]
    head: wire.Begin | None
    buried: set[str]
    stands: dict[str, Stand]
    stands_rev: int


class Element(msgspec.Struct, frozen=True):
    """One device's counter in nft: what it shows less `base_*` is what the incarnation counts.

    `limit` is how far that may run, both ways together; `reset_at` is the end of the month of its
    quota in which it counts, 0 as long as only the site knows.
    """

    device: str
    pool: str
    incarnation: str
    base_down: int = 0
    base_up: int = 0
    seen_down: int = 0
    seen_up: int = 0
    limit: int = 0
    reset_at: int = 0

    @property
    def used(self) -> int:
        """Bytes of the incarnation, both ways together."""
        return self.seen_down + self.seen_up


CLOCK_SECONDS: Final = 60.0
"""How often the clock is remembered."""

NOTHING: Final = MappingProxyType[int, wire.Usage]({})
NO_ELEMENT: Final = MappingProxyType[int, Element]({})


class Store(poolcounters.PoolCounters):
    """The cache. Each method is one transaction; callers hold the agent's lock.

    Args:
        alone: Keep everybody else from the file, who would need a second file to agree with us.
    """

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        super().__init__(sqlite3.connect(path, check_same_thread=False, isolation_level=None))
        try:
            path.chmod(0o600)
            if alone:
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA + poolcounters.SCHEMA + remembered.SCHEMA)
        except sqlite3.Error:
            self.close()
            raise

    def check(self) -> None:
        """Read the whole file.

        Raises:
            sqlite3.DatabaseError: It is damaged.
        """
        (found,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # --- single values

    def get(self, key: str, default: str = "") -> str:
        """Return one remembered value."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else default

    def put(self, key: str, value: str) -> None:
        """Remember one value."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def next_number(self, key: str, *, least: int = 1) -> int:
        """Return a number above all that this key gave before.

        Args:
            least: From a clock, so that a new file in a lost one's place gives none again.
        """
        number = max(self.last_number(key) + 1, least)
        self.put(key, str(number))
        return number

    def last_number(self, key: str) -> int:
        """Return the highest number that this key gave; 0 for none."""
        return int(self.get(key, "0"))

    def save_clock(self, site_time: float) -> None:
        """Remember site time with the boot clock it belongs to."""
        self.put("clock", f"{boot_id()} {boot_seconds()} {site_time}")

    def clock(self) -> float:
        """Return site time now, as far as this file can know it.

        After a reboot the time the host was off is missing; the site's next answer adds it. It is
        never before what it was when the host went down, or what had ended would open again.
        """
        boot, marked, site_time = self.get("clock", "- 0 0").split()
        since = float(marked) if boot == boot_id() else -CLOCK_SECONDS
        return float(site_time) + boot_seconds() - since

    # --- pools and their devices

    def save_assignments(self, pools: Iterable[wire.PoolAssignment], hub_url: str) -> None:
        """Take over which pools this gateway serves; a pool that is gone takes its devices."""
        pools = tuple(pools)
        with self._transaction():
            self.put("hub_url", hub_url.rstrip("/"))
            for pool in pools:
                self._db.execute(
                    "INSERT INTO pool (code, assignment) VALUES (?, ?)"
                    " ON CONFLICT (code) DO UPDATE SET assignment = excluded.assignment",
                    (pool.pool, wire.encode(pool).decode()),
                )
            kept = [pool.pool for pool in pools]
            marks = ",".join("?" * len(kept))
            # Of a device's pools the last one counts its bytes: see `Elements`.
            counting = "SELECT max(pool) AS pool, record FROM device GROUP BY id"
            self._db.execute(
                "INSERT OR IGNORE INTO leaving SELECT json_extract(record, '$.slot'), pool"  # noqa: S608 -- marks, and text from here
                f" FROM ({counting}) WHERE pool NOT IN ({marks})",
                kept,
            )
            for table, column in (("pool", "code"), ("device", "pool"), ("deferred", "pool")):
                self._db.execute(
                    f"DELETE FROM {table} WHERE {column} NOT IN ({marks})",  # noqa: S608 -- names from this line
                    kept,
                )

    def pools(self) -> list[StoredPool]:
        """Return every pool with its devices, in order of code."""
        rows = self._db.execute("SELECT code, assignment, epoch, rev FROM pool ORDER BY code")
        return [self._pool(*row) for row in rows.fetchall()]

    def _pool(self, code: str, assignment: str, epoch: str, rev: int) -> StoredPool:
        stands, stands_rev = remembered.stands(self._db, code)
        return StoredPool(
            assignment=wire.decode(assignment, wire.PoolAssignment),
            epoch=epoch,
            rev=rev,
            devices=self._devices(code),
            deferred=self._pairs("deferred", "id, rev", code),
            past=set(self._pairs("past", "epoch, 0", code)),
            head=remembered.head(self._db, code),
            buried=remembered.buried(self._db, code),
            stands=stands,
            stands_rev=stands_rev,
        )

    def _devices(self, pool: str) -> dict[str, wire.Device]:
        rows = self._db.execute("SELECT record FROM device WHERE pool = ?", (pool,))
        devices = (wire.decode(record, wire.Device) for (record,) in rows)
        return {device.id: device for device in devices}

    def _pairs(self, table: str, columns: str, pool: str) -> dict[str, int]:
        statement = f"SELECT {columns} FROM {table} WHERE pool = ?"  # noqa: S608 -- names from above
        return dict(self._db.execute(statement, (pool,)))

    def save_batch(
        self, change: Change, *, leaving: Iterable[tuple[int, str]], stands_rev: int
    ) -> None:
        """Persist a batch that was judged, before anything of it is applied.

        Args:
            leaving: Slots whose bytes are another pool's from now on, or nobody's, with the pool
                that has counted them.
            stands_rev: The revision since which the change's stands hold.
        """
        begin, puts = change.begin, change.puts.values()
        pool = begin.pool
        left = [(pool, name) for name in change.gone]
        known = [*left, *((pool, device.id) for device in puts)]
        at = int(self.clock())
        with self._transaction():
            self._db.executemany("DELETE FROM device WHERE pool = ? AND id = ?", left)
            self._db.executemany("DELETE FROM deferred WHERE pool = ? AND id = ?", known)
            if begin.batch == "snapshot":
                self._db.executemany(
                    "INSERT OR REPLACE INTO deferred VALUES (?, ?, ?)",
                    [(pool, name, begin.rev) for name in change.deferred],
                )
            self._db.executemany(
                "INSERT OR REPLACE INTO device VALUES (?, ?, ?)",
                [(pool, device.id, wire.encode(device).decode()) for device in puts],
            )
            self._db.executemany("INSERT OR IGNORE INTO leaving VALUES (?, ?)", list(leaving))
            if change.permit is not None:
                self._save_permit(*change.permit)
            self._save_epoch(begin)
            remembered.save_head(self._db, begin)
            remembered.bury(self._db, pool, change.buried, change.puts, at)
            remembered.save_stands(self._db, pool, change.stands, stands_rev)

    def _save_epoch(self, begin: wire.Begin) -> None:
        """Take over epoch and revision; after another history what was final is told again."""
        left = self._db.execute(
            "INSERT OR IGNORE INTO past SELECT code, epoch FROM pool"
            " WHERE code = ? AND epoch NOT IN ('', ?)",
            (begin.pool, begin.epoch),
        )
        if left.rowcount:
            remembered.tell_again(self._db, begin.pool)
        self._db.execute(
            "UPDATE pool SET epoch = ?, rev = ? WHERE code = ?",
            (begin.epoch, begin.rev, begin.pool),
        )

    def _save_permit(self, permit: wire.Permit, signed: wire.SignedPermit) -> None:
        self._db.execute(
            "INSERT INTO permit VALUES (?, ?, ?) ON CONFLICT (line) DO UPDATE"
            " SET serial = excluded.serial, signed = excluded.signed"
            " WHERE excluded.serial >= permit.serial",
            (permit.line, permit.serial, wire.encode(signed).decode()),
        )

    def permits(self) -> dict[str, wire.SignedPermit]:
        """Return the permit with the highest serial of each line, as it was signed."""
        rows = self._db.execute("SELECT line, signed FROM permit")
        return {line: wire.decode(signed, wire.SignedPermit) for line, signed in rows}

    # --- counters of devices with a quota

    def elements(self) -> dict[int, Element]:
        """Return the counters of devices, by slot, as last persisted."""
        return self._elements("element")

    def lost(self) -> dict[int, Element]:
        """Return the counters, by slot, whose elements were lost and that have no next one yet."""
        return self._elements("lost")

    def _elements(self, table: str) -> dict[int, Element]:
        rows = self._db.execute(f"SELECT slot, record FROM {table}")  # noqa: S608 -- names from here
        return {slot: msgspec.json.decode(record, type=Element) for slot, record in rows}

    def save_elements(
        self,
        elements: Mapping[int, Element],
        *,
        gone: Mapping[int, wire.Usage] = NOTHING,
        lost: Mapping[int, Element] = NO_ELEMENT,
        last_number: int = 0,
    ) -> None:
        """Persist counters; of those that are gone keep what is to be reported as final.

        Args:
            lost: Of those that are gone, the ones whose rest the next counter of the slot gets.
            last_number: The highest number of an incarnation given so far; 0 for no news of it.
        """
        with self._transaction():
            if last_number:
                self.put("element", str(last_number))
            self._db.executemany("DELETE FROM element WHERE slot = ?", [(slot,) for slot in gone])
            self._db.executemany(
                "INSERT OR IGNORE INTO final (incarnation, usage) VALUES (?, ?)",
                [(usage.incarnation, wire.encode(usage).decode()) for usage in gone.values()],
            )
            self._db.executemany("DELETE FROM lost WHERE slot = ?", [(slot,) for slot in elements])
            for table, found in (("element", elements), ("lost", lost)):
                self._db.executemany(
                    f"INSERT OR REPLACE INTO {table} VALUES (?, ?)",  # noqa: S608 -- names from this line
                    [(slot, msgspec.json.encode(one).decode()) for slot, one in found.items()],
                )

    def drop_counters(self) -> None:
        """Forget what was counted in another place; finals stay, for they are true anywhere."""
        with self._transaction():
            for table in ("counter", "swept", "leaving", "element", "lost"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 -- names from this line

    # --- final values

    def finals(self, sequence: int, pools: Iterable[str] | None = None) -> list[wire.Usage]:
        """Return final values not yet acknowledged, and note the report that carries them.

        Args:
            pools: Only of these; None for whichever pool it was, also one that was left.
        """
        with self._transaction():
            return remembered.finals(self._db, sequence, pools)

    def acknowledge(self, sequence: int) -> None:
        """Put away the final values of a report that was taken, to be told again if need be."""
        with self._transaction():
            remembered.acknowledge(self._db, sequence, int(self.clock()))
