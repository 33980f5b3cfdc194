"""Every SQL statement of the hub, on SQLite and PostgreSQL; it only ever reads.

The tables belong to the rooms `fleet` and `core`, whose models name them explicitly; a test
runs each statement against the migrated schema on both engines.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from ferriage.hub.errors import DatabaseAway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ferriage.config import Config, DatabaseConfig

CHANNEL: Final = "ferriage_pool"
POLL_SECONDS: Final = 0.02

_SITE: Final = "SELECT epoch, feed_format FROM core_sitestate"
_REVISIONS: Final = "SELECT code, revision FROM fleet_pool"
_NEWEST: Final = "SELECT at FROM fleet_poolchange ORDER BY id DESC LIMIT 1"
_SIGNING_KEY: Final = """
SELECT signing_key FROM fleet_gateway
WHERE code = ? AND state IN ('active', 'closed') AND signing_key <> ''
"""
_CLOSED: Final = "SELECT 1 FROM fleet_gateway WHERE code = ? AND state = 'closed'"
_HEAD: Final = """
SELECT pool.id, pool.revision, pool.digest, site.epoch
FROM core_sitestate AS site, fleet_poolgateway AS member
JOIN fleet_pool AS pool ON pool.id = member.pool_id
JOIN fleet_gateway AS gateway ON gateway.id = member.gateway_id
WHERE gateway.code = ? AND gateway.state = 'active' AND pool.code = ?
"""
_CHANGES: Final = """
SELECT rev, payload, digest FROM fleet_poolchange
WHERE pool_id = ? AND rev > ? ORDER BY rev LIMIT ?
"""
_CURRENT: Final = """
SELECT payload FROM fleet_poolcurrent
WHERE pool_id = ? ORDER BY CASE kind WHEN 'permit' THEN 0 ELSE 1 END, rev
"""
_NEWER: Final = "SELECT payload FROM fleet_poolcurrent WHERE pool_id = ? AND needs > ?"


@dataclass(frozen=True, slots=True)
class Site:
    """The one row of facts about the shop's database."""

    epoch: str
    feed_format: int


@dataclass(frozen=True, slots=True)
class Head:
    """A pool as one of its gateways may see it."""

    pk: int
    revision: int
    digest: str
    epoch: str


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a pool's log, with the pool's digest after it."""

    rev: int
    payload: str
    digest: str


class Connection(Protocol):
    """What the two engines have in common here."""

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT whose places are question marks."""

    def begin(self) -> None:
        """Let the reads up to `end` see one moment of the database."""

    def end(self) -> None:
        """End what `begin` began."""

    def wait(self, seconds: float) -> None:
        """Return as soon as something may have changed, or when the time is over."""

    def close(self) -> None:
        """Close the connection."""


class Reader:
    """Typed reads over a connection that is opened when needed, and again after it broke.

    Belongs to one thread at a time.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._connection: Connection | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let all reads inside see one moment of the database.

        Raises:
            DatabaseAway: It did not answer; the next use connects anew.
        """
        with self._guarded() as connection:
            connection.begin()
            try:
                yield
            finally:
                connection.end()

    def site(self) -> Site | None:
        """Return the shop's row, if there is one."""
        rows = self._rows(_SITE)
        return Site(*rows[0]) if rows else None

    def revisions(self) -> dict[str, int]:
        """Return every pool's newest revision by its code."""
        return dict(self._rows(_REVISIONS))

    def newest_change(self) -> float:
        """Return when the newest change was made, in Unix seconds; 0 when there is none."""
        rows = self._rows(_NEWEST)
        return _seconds(rows[0][0]) if rows else 0.0

    def signing_key(self, gateway: str) -> str | None:
        """Return the key that a gateway signs with, or signed with until it was closed."""
        rows = self._rows(_SIGNING_KEY, gateway)
        return rows[0][0] if rows else None

    def closed(self, gateway: str) -> bool:
        """Tell whether staff closed the gateway for good."""
        return bool(self._rows(_CLOSED, gateway))

    def head(self, gateway: str, pool: str) -> Head | None:
        """Return a pool, if it is the gateway's and the gateway is active."""
        rows = self._rows(_HEAD, gateway, pool)
        return Head(*rows[0]) if rows else None

    def changes(self, head: Head, after: int, limit: int) -> list[Change]:
        """Return the oldest changes above a revision, in order."""
        return [Change(*row) for row in self._rows(_CHANGES, head.pk, after, limit)]

    def current(self, head: Head) -> list[str]:
        """Return the pool's current items, the permit first, then in order of revision."""
        return [payload for (payload,) in self._rows(_CURRENT, head.pk)]

    def newer(self, head: Head, spoken: int) -> list[str]:
        """Return the pool's current items that cannot be said in a format."""
        return [payload for (payload,) in self._rows(_NEWER, head.pk, spoken)]

    def wait(self, seconds: float) -> None:
        """Block until something may have changed, or the time is over."""
        with self._guarded() as connection:
            connection.wait(seconds)

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._guarded() as connection:
            return connection.rows(statement, *values)

    @contextmanager
    def _guarded(self) -> Iterator[Connection]:
        try:
            if self._connection is None:
                self._connection = _connect(self._config)
            yield self._connection
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise DatabaseAway(str(error)) from error


class SqliteConnection:
    """A read-only connection to the shop's file; it must be able to write the file's `-shm`."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(
            f"file:{quote(str(path))}?mode=ro",
            uri=True,
            timeout=20,
            isolation_level=None,
            check_same_thread=False,
        )
        self._version = -1

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """See `Connection`."""
        return self._db.execute(statement, values).fetchall()

    def begin(self) -> None:
        """See `Connection`."""
        self._db.execute("BEGIN")

    def end(self) -> None:
        """See `Connection`."""
        self._db.execute("COMMIT")

    def wait(self, seconds: float) -> None:
        """Ask every 20 ms whether another process has committed; that costs 3 µs."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            (version,) = self._db.execute("PRAGMA data_version").fetchone()
            if version != self._version:
                self._version = version
                return
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """See `Connection`."""
        self._db.close()


class PostgresConnection:
    """A read-only connection that also listens to the doorbell."""

    def __init__(self, database: DatabaseConfig) -> None:
        import psycopg

        self._away = psycopg.Error
        with self._translated():
            self._db = psycopg.connect(autocommit=True, **database.parameters())
            # Not as an option of the connection: libpq would take the primary for a standby.
            self._db.execute("SET default_transaction_read_only = on")
        self._listening = False

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """See `Connection`."""
        with self._translated():
            return self._db.execute(statement.replace("?", "%s").encode(), values).fetchall()

    def begin(self) -> None:
        """See `Connection`."""
        with self._translated():
            self._db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def end(self) -> None:
        """See `Connection`."""
        with self._translated():
            self._db.execute("COMMIT")

    def wait(self, seconds: float) -> None:
        """See `Connection`; what rang before the first call is covered by the first return."""
        with self._translated():
            if not self._listening:
                self._db.execute(f"LISTEN {CHANNEL}")
                self._listening = True
                return
            for _ in self._db.notifies(timeout=seconds, stop_after=1):
                pass

    def close(self) -> None:
        """See `Connection`."""
        self._db.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._away as error:
            raise OSError(str(error)) from error


def _seconds(at: datetime | str) -> float:
    """Return an instant as Unix seconds; SQLite keeps it as text in UTC."""
    if isinstance(at, str):
        return datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
    return at.timestamp()


def _connect(config: Config) -> Connection:
    if config.database.url:
        return PostgresConnection(config.database)
    return SqliteConnection(config.database_path)
