"""Rows of named tables out of a dump that mysqldump, mariadb-dump or phpMyAdmin wrote.

Pure. The file is mapped, not read: tables that nobody asked for, such as years of traffic records,
are passed over without being held in memory.

Source: docs/decisions/0026-customers-who-come-over.md
"""

from __future__ import annotations

import mmap
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    Value = str | None
    Row = Mapping[str, Value]

_STRING: Final = rb"'(?:[^'\\]++|\\.|'')*+'"
_QUOTED: Final = rb'"(?:[^"\\]++|\\.|"")*+"'
_TICKED: Final = rb"`(?:[^`]++|``)*+`"
_COMMENT: Final = rb"/\*(?:[^*]++|\*(?!/))*+\*/|--(?=\s)[^\n]*+|\#[^\n]*+"
_TOKEN: Final = re.compile(
    rb"(?:\s++|" + _COMMENT + rb")*+"
    rb"(?:(?P<bytes>0[xX][0-9A-Fa-f]++|[xX]'[0-9A-Fa-f]*+')"
    rb"|(?P<bits>[bB]'[01]*+')"
    rb"|(?P<string>" + _STRING + rb")"
    rb"|(?P<quoted>" + _QUOTED + rb")"
    rb"|(?P<ticked>" + _TICKED + rb")"
    rb"|(?P<number>[-+]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][-+]?\d++)?+)"
    rb"|(?P<word>[A-Za-z_][A-Za-z0-9_$]*+)"
    rb"|(?P<mark>[^'\"`/\#\s]))",
    re.DOTALL,
)
_REST: Final = re.compile(
    rb"(?:[^'\"`\#;/\-]++|"
    + b"|".join((_STRING, _QUOTED, _TICKED, _COMMENT))
    + rb"|[/\-](?!\*))*+;",
    re.DOTALL,
)
_BLANK: Final = re.compile(rb"(?:\s++|;|" + _COMMENT + rb")*+", re.DOTALL)
_DELIMITER: Final = re.compile(
    rb"DELIMITER[ \t]+\S+[^\n]*\n.*?^DELIMITER[ \t]+;[^\n]*$", re.DOTALL | re.MULTILINE
)
_BEGUN: Final = re.compile(rb"^-- (?:MySQL|MariaDB) dump ", re.MULTILINE)
_COMPLETE: Final = b"-- Dump completed"
_EDGE: Final = 500
_ESCAPES: Final = {
    b"0": b"\0",
    b"b": b"\b",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"Z": b"\x1a",
    b"%": b"\\%",
    b"_": b"\\_",
}
_INSIDE: Final = re.compile(rb"\\(.)|''|\"\"", re.DOTALL)
_NOT_COLUMNS: Final = frozenset(
    b"PRIMARY KEY UNIQUE CONSTRAINT INDEX FULLTEXT SPATIAL FOREIGN CHECK PERIOD".split()
)
_WORDS: Final = {b"NULL": None, b"TRUE": "1", b"FALSE": "0"}


class DumpWrong(ValueError):
    """A place in a dump that cannot be read; the message names its line."""


def rows(path: Path, tables: Collection[str]) -> Iterator[tuple[str, Row]]:
    """Yield each row of these tables with the table's name, in the file's order.

    Values are text as it stands in the dump, None for NULL. Text in another encoding than UTF-8
    comes with replacement characters.

    Raises:
        DumpWrong: The file ends within a statement, holds one of the tables twice, or a value
            that no dump of a table holds.
    """
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        if _BEGUN.search(text[:_EDGE]) and _COMPLETE not in text[-_EDGE:]:
            raise DumpWrong("The dump does not say at its end that it is complete. Make it again.")
        yield from _Reader(text, tables).rows()


class _Reader:
    """Goes through a dump from statement to statement; `at` is the next byte to read."""

    def __init__(self, text: mmap.mmap, tables: Collection[str]) -> None:
        self.text = text
        self.tables = tables
        self.at = 0
        self.columns: dict[str, list[str]] = {}

    def rows(self) -> Iterator[tuple[str, Row]]:
        while self._to_statement():
            start = self.at
            verb = self._word()
            if verb == b"CREATE" and self._word() == b"TABLE":
                self._create()
            elif verb in {b"INSERT", b"REPLACE"}:
                yield from self._insert()
            else:
                self.at = start
            self._to_end()

    def _to_statement(self) -> bool:
        """Move to the next statement; tell whether there is one."""
        while True:
            self.at = _match(_BLANK, self.text, self.at).end()
            program = _DELIMITER.match(self.text, self.at)
            if program is None:
                return self.at < len(self.text)
            # A trigger or a routine, whose statements end elsewhere than ours.
            self.at = program.end()

    def _to_end(self) -> None:
        end = _REST.match(self.text, self.at)
        if end is None:
            raise self._wrong("The dump ends in the middle of a statement. Make it again")
        self.at = end.end()

    def _create(self) -> None:
        table = self._table()
        if table not in self.tables:
            return
        if table in self.columns:
            raise self._wrong(f"The dump holds the table {table} twice. Dump one database alone")
        if self._token()[1] != b"(":
            raise self._wrong(f"The columns of {table} are missing")
        self.columns[table] = self._defined()

    def _defined(self) -> list[str]:
        """Return the names of columns between brackets; keys and checks are passed over."""
        names: list[str] = []
        depth, begins = 1, True
        while depth:
            kind, token = self._token()
            if begins and (
                kind in {"ticked", "quoted"}
                or (kind == "word" and token.upper() not in _NOT_COLUMNS)
            ):
                names.append(_name(kind, token))
            begins = token == b"," and depth == 1 and kind == "mark"
            depth += (token == b"(") - (token == b")") if kind == "mark" else 0
        return names

    def _insert(self) -> Iterator[tuple[str, Row]]:
        while (word := self._word()) in {b"IGNORE", b"DELAYED", b"LOW_PRIORITY", b"HIGH_PRIORITY"}:
            pass
        if word != b"INTO":
            raise self._wrong("INSERT is not followed by INTO")
        table = self._table()
        if table not in self.tables:
            return
        kind, token = self._token()
        columns = self.columns.get(table, [])
        if token == b"(":
            columns = self._defined()
            kind, token = self._token()
        if token.upper() not in {b"VALUES", b"VALUE"} or kind != "word":
            raise self._wrong(f"Rows of {table} stand in a form that no dump has")
        if not columns:
            raise self._wrong(f"Rows of {table} come before its CREATE TABLE. Dump both")
        while True:
            yield table, self._row(table, columns)
            mark = self.at
            if self._token()[1] != b",":
                self.at = mark
                return

    def _row(self, table: str, columns: list[str]) -> Row:
        if self._token()[1] != b"(":
            raise self._wrong(f"A row of {table} does not begin with a bracket")
        values: list[Value] = []
        while True:
            values.append(self._value())
            kind, token = self._token()
            if kind != "mark" or token not in {b",", b")"}:
                raise self._wrong(f"A value of {table} is neither text nor a number")
            if token == b")":
                break
        if len(values) != len(columns):
            raise self._wrong(f"A row of {table} has {len(values)} values, not {len(columns)}")
        return dict(zip(columns, values, strict=True))

    def _value(self) -> Value:
        kind, token = self._token()
        if kind == "word" and token.startswith(b"_"):
            kind, token = self._token()  # an introducer, such as _binary '…'
        if kind in {"string", "quoted"}:
            return _text(token)
        if kind == "number":
            return token.decode()
        if kind == "bytes":
            digits = token[2:].rstrip(b"'").decode()
            return bytes.fromhex(digits.rjust(len(digits) + len(digits) % 2, "0")).decode(
                errors="replace"
            )
        if kind == "bits":
            return str(int(token[2:-1] or b"0", 2))
        if kind == "word" and token.upper() in _WORDS:
            return _WORDS[token.upper()]
        raise self._wrong("A value is neither text nor a number")

    def _table(self) -> str:
        """Return the table's name that comes next, without its database."""
        kind, token = self._token()
        while kind == "word" and token.upper() in {b"IF", b"NOT", b"EXISTS"}:
            kind, token = self._token()
        mark = self.at
        if self._token()[1] == b".":
            kind, token = self._token()
        else:
            self.at = mark
        return _name(kind, token)

    def _word(self) -> bytes:
        return self._token()[1].upper()

    def _token(self) -> tuple[str, bytes]:
        found = _TOKEN.match(self.text, self.at)
        if found is None or found.lastgroup is None:
            raise self._wrong("The dump ends in the middle of a statement. Make it again")
        self.at = found.end()
        return found.lastgroup, found[found.lastgroup]

    def _wrong(self, what: str) -> DumpWrong:
        line = 1
        for start in range(0, self.at, 1 << 20):
            line += self.text[start : min(start + (1 << 20), self.at)].count(b"\n")
        return DumpWrong(f"{what} (line {line} of the dump).")


def _match(pattern: re.Pattern[bytes], text: mmap.mmap, at: int) -> re.Match[bytes]:
    found = pattern.match(text, at)
    assert found is not None  # noqa: S101 -- the pattern matches nothing, too
    return found


def _name(kind: str, token: bytes) -> str:
    if kind == "ticked":
        token = token[1:-1].replace(b"``", b"`")
    elif kind == "quoted":
        token = token[1:-1].replace(b'""', b'"')
    return token.decode(errors="replace")


def _text(token: bytes) -> str:
    """Return what a quoted string stands for; a doubled quote of the other kind stays doubled."""
    quote = token[:1]

    def plain(found: re.Match[bytes]) -> bytes:
        if found[1] is not None:
            return _ESCAPES.get(found[1], found[1])
        return quote if found[0][:1] == quote else found[0]

    return _INSIDE.sub(plain, token[1:-1]).decode(errors="replace")
