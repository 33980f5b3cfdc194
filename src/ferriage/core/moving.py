"""Moves every row of a shop from SQLite to PostgreSQL: in chunks, resumable, counted, compared.

The source is held the whole time by SQLite's own exclusive lock, which nobody gets while any
other process has the file open; so it also proves that site, worker and hub are stopped. What is
done is written down in the target, in the transaction that did it: killed at any instant, the
move goes on where it was.

Source: docs/how-to/several-hosts.md
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from graphlib import TopologicalSorter
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from psycopg import sql

from ferriage import wire
from ferriage.core.errors import FerriageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from psycopg import Connection

CHUNK: Final = 5000
_NOT_COPIED: Final = "django_migrations"
_LAST: Final = "core_sitestate"
"""Without its row there is no shop: nobody can open a target that is not whole."""
_HEADER_BYTES: Final = 100
_MODULUS: Final = 1 << 256


class MoveRefused(FerriageError):
    """The shop cannot be moved as things are; nothing of the source was changed."""

    slug = "move-refused"


class Sum(NamedTuple):
    """How many rows a table has, and a sum over them that no order changes."""

    rows: int
    digest: str


@dataclass(frozen=True)
class Source:
    """The SQLite file while nobody else has it open."""

    db: sqlite3.Connection
    fingerprint: str
    """Names the file's content, so that a move goes on only with the rows it began with."""

    def tables(self) -> list[str]:
        """Return the tables to copy, each after those it refers to, the shop's row last."""
        found = self.db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        names = sorted({name for (name,) in found} - {_NOT_COPIED})
        graph = {name: self._referred(name) - {name} for name in names}
        ordered = list(TopologicalSorter(graph).static_order())
        return [name for name in ordered if name != _LAST] + [_LAST]

    def refers_to_itself(self, table: str) -> bool:
        """Say whether rows of the table name others of it, which may come later."""
        return table in self._referred(table)

    def _referred(self, table: str) -> set[str]:
        return {row[2] for row in self.db.execute(f'PRAGMA foreign_key_list("{table}")')}

    def migrations(self) -> set[tuple[str, str]]:
        """Return what was applied to it."""
        return set(self.db.execute("SELECT app, name FROM django_migrations"))

    def has_moved(self) -> bool:
        """Say whether an earlier run came to its end."""
        return self.db.execute("SELECT feed_format FROM core_sitestate").fetchall() == [
            (wire.FEED_FORMAT_MOVED,)
        ]

    def close_for_good(self) -> None:
        """Let no site, worker or hub open the file again: its feed format is nobody's."""
        with self.db:
            self.db.execute("UPDATE core_sitestate SET feed_format = ?", [wire.FEED_FORMAT_MOVED])


@contextmanager
def held(path: Path) -> Iterator[Source]:
    """Hold the source against everybody while the block runs.

    Raises:
        MoveRefused: Another process has the file open.
    """
    # Opened first and closed last: closing it in between would drop SQLite's lock, for POSIX
    # locks belong to the process.
    with path.open("rb") as file:
        db = sqlite3.connect(path, timeout=2)
        try:
            try:
                db.execute("PRAGMA locking_mode = EXCLUSIVE")
                # Leaving WAL is refused while anybody else, even an idle reader, is connected.
                db.execute("PRAGMA journal_mode = DELETE")
                db.execute("BEGIN EXCLUSIVE")
                db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise MoveRefused(
                    f"The shop's database is in use ({error}).",
                    remedy="Stop site, worker and hub, or `ferriage up`, and start this again.",
                ) from error
            # Not the header: it counts changes of the mode too, and each run changes that.
            file.seek(_HEADER_BYTES)
            yield Source(db, hashlib.file_digest(file, "sha256").hexdigest())
        finally:
            db.close()


@dataclass(frozen=True)
class Target:
    """The PostgreSQL database that the rows go to; one connection, autocommit."""

    db: Connection[Any]

    def claim(self, source: Source) -> str:
        """Take an empty database for this move, or one that this move has begun with.

        Returns:
            The phase it is in: `made`, `copying` or `done`.

        Raises:
            MoveRefused: It holds something else.
        """
        release = _release(source)
        with self.db.transaction():
            if not self._tables():
                self.db.execute(
                    "CREATE TABLE ferriage_move"
                    " (fingerprint text NOT NULL, release text NOT NULL, phase text NOT NULL)"
                )
                self.db.execute(
                    "CREATE TABLE ferriage_move_table"
                    " (name text PRIMARY KEY, last bigint NOT NULL, complete boolean NOT NULL)"
                )
                self.db.execute(
                    "INSERT INTO ferriage_move VALUES (%s, %s, 'made')",
                    [source.fingerprint, release],
                )
        return self._phase_of(source, release)

    def _phase_of(self, source: Source, release: str) -> str:
        if "ferriage_move" not in self._tables():
            raise MoveRefused(
                "The target holds tables that are not of this move.",
                remedy="Name an empty database; CREATE DATABASE makes one.",
            )
        ((fingerprint, other_release, phase),) = self.db.execute("SELECT * FROM ferriage_move")
        if source.has_moved() and phase == "done":
            return "done"
        if other_release != release:
            raise MoveRefused(
                "The target was begun by another release.",
                remedy="Go on with that release, or name an empty database.",
            )
        if fingerprint != source.fingerprint:
            raise MoveRefused(
                "The target was begun with other rows: the shop was in use since, or it is"
                " another shop's.",
                remedy="Drop the target, create it anew and start again; the source is whole.",
            )
        return str(phase)

    def begin_copying(self, source: Source) -> None:
        """Take away what the migrations wrote by themselves; from here on rows are copied.

        Raises:
            MoveRefused: The target was not brought to the source's release.
        """
        applied = set(self.db.execute("SELECT app, name FROM django_migrations"))
        if applied != source.migrations():
            raise MoveRefused(
                "Source and target are of different releases.",
                remedy="Run `ferriage init` with this release, then start again.",
            )
        with self.db.transaction():
            self.db.execute("DELETE FROM auth_permission")
            self.db.execute("DELETE FROM django_content_type")
            self.db.execute("UPDATE ferriage_move SET phase = 'copying'")

    def copy(self, source: Source, table: str, *, chunk: int = CHUNK) -> int:
        """Copy what the target lacks of a table, a chunk a transaction; return how many rows.

        The target's own triggers are off while rows come: the source's have admitted each row
        when it was written, some by what was true at that time only. Constraints and foreign keys
        are not off.
        """
        state = self.db.execute(
            "SELECT last, complete FROM ferriage_move_table WHERE name = %s", [table]
        ).fetchone()
        last, complete = state or (-1, False)
        columns = self.columns(table)
        names = ", ".join(f'"{column.name}"' for column in columns)
        size = -1 if source.refers_to_itself(table) else chunk
        select = f'SELECT rowid, {names} FROM "{table}" WHERE rowid > ? ORDER BY rowid LIMIT ?'  # noqa: S608 -- names of our own tables
        done = 0
        while not complete:
            rows = source.db.execute(select, [last, size]).fetchall()
            last = rows[-1][0] if rows else last
            complete = size < 0 or len(rows) < size
            self._write(table, columns, rows, last=last, complete=complete)
            done += len(rows)
        return done

    def _write(
        self,
        table: str,
        columns: Sequence[Column],
        rows: Sequence[tuple[Any, ...]],
        *,
        last: int,
        complete: bool,
    ) -> None:
        name = sql.Identifier(table)
        names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
        with self.db.transaction():
            self.db.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(name))
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(name, names)
            with self.db.cursor().copy(statement) as copy:
                for _, *values in rows:
                    copy.write_row(
                        [
                            column.convert(value)
                            for column, value in zip(columns, values, strict=True)
                        ]
                    )
            # A trigger cannot be put back while foreign keys wait for the commit to be looked at.
            self.db.execute("SET CONSTRAINTS ALL IMMEDIATE")
            self.db.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(name))
            self.db.execute(
                "INSERT INTO ferriage_move_table VALUES (%s, %s, %s) ON CONFLICT (name)"
                " DO UPDATE SET last = excluded.last, complete = excluded.complete",
                [table, last, complete],
            )

    def columns(self, table: str) -> list[Column]:
        """Return a table's columns in the target's order, with how SQLite's values become theirs.

        Raises:
            MoveRefused: A type that this program does not move.
        """
        found = self.db.execute(
            "SELECT column_name, udt_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position",
            [table],
        ).fetchall()
        unknown = [f"{table}.{name} ({kind})" for name, kind in found if kind not in _CONVERT]
        if unknown or not found:
            raise MoveRefused(f"This program cannot move {', '.join(unknown) or table}.")
        return [Column(name, kind) for name, kind in found]

    def set_sequences(self, source: Source) -> None:
        """Let new rows get the numbers they would have got in the source."""
        for table, last in source.db.execute("SELECT name, seq FROM sqlite_sequence"):
            if table != _NOT_COPIED and last:
                self.db.execute(
                    "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [f'"{table}"', last]
                )

    def disabled_triggers(self) -> list[str]:
        """Return the triggers that are not on."""
        found = self.db.execute(
            "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'O'"
        )
        return [name for (name,) in found]

    def finish(self) -> None:
        """Write down that every row was compared and the shop verified."""
        self.db.execute("UPDATE ferriage_move SET phase = 'done'")

    def _tables(self) -> set[str]:
        found = self.db.execute(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"
        )
        return {name for (name,) in found}


def sums(source: Source, target: Target, table: str) -> tuple[Sum, Sum]:
    """Return count and checksum of a table in source and target, each read from there."""
    columns = target.columns(table)
    names = ", ".join(f'"{column.name}"' for column in columns)
    select = f'SELECT {names} FROM "{table}"'  # noqa: S608 -- names of our own tables
    theirs = _sum(
        [column.convert(value) for column, value in zip(columns, row, strict=True)]
        for row in source.db.execute(select)
    )
    with target.db.transaction(), target.db.cursor(name="ferriage_sum") as cursor:
        cursor.itersize = CHUNK
        cursor.execute(select.encode())
        ours = _sum(
            [column.normal(value) for column, value in zip(columns, row, strict=True)]
            for row in cursor
        )
    return theirs, ours


def _sum(rows: Iterator[list[Any]]) -> Sum:
    count = total = 0
    for row in rows:
        text = repr([_spelled(value) for value in row])
        total += int.from_bytes(hashlib.sha256(text.encode()).digest())
        count += 1
    return Sum(count, f"{total % _MODULUS:064x}")


def _spelled(value: object) -> str:
    match value:
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat()
        case Decimal():
            return str(value.normalize())
        case bytes():
            return value.hex()
    return repr(value)


class Column(NamedTuple):
    """A column of the target; `kind` is PostgreSQL's name of its type."""

    name: str
    kind: str

    def convert(self, value: Any) -> Any:
        """Return what SQLite holds as PostgreSQL takes it."""
        return None if value is None else _CONVERT[self.kind](value)

    def normal(self, value: Any) -> Any:
        """Return what PostgreSQL gave as `convert` would have made it."""
        return _dumped(value) if self.kind == "jsonb" and value is not None else value


def _dumped(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _json(text: str) -> str:
    return _dumped(json.loads(text))


def _instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


_CONVERT: Final[dict[str, Callable[[Any], Any]]] = {
    "bool": bool,
    "bytea": bytes,
    "date": dt.date.fromisoformat,
    "float8": float,
    "int2": int,
    "int4": int,
    "int8": int,
    "interval": lambda microseconds: dt.timedelta(microseconds=microseconds),
    "jsonb": _json,
    "numeric": lambda value: Decimal(str(value)),
    "text": str,
    "time": dt.time.fromisoformat,
    "timestamptz": _instant,
    "uuid": UUID,
    "varchar": str,
    "bpchar": str,
    "inet": ip_address,
}


def _release(source: Source) -> str:
    text = json.dumps(sorted(source.migrations()))
    return hashlib.sha256(text.encode()).hexdigest()
