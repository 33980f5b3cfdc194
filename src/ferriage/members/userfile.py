"""The user file as CSV: read strictly, line by line, and written so that no cell is a formula.

Pure: what a file would change on a list is worked out here, and done in `actions`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from django.utils.translation import gettext as _

from ferriage.members.models import Member

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

MOST_ROWS: Final = 5000
MOST_CHARACTERS: Final = 500_000
COLUMNS: Final = ("reference", "name", "language")
TOLD: Final = ("state", "entered", "active_since", "left", "devices")
"""Columns of the export that say what is; a file cannot set them."""
LONGEST_REFERENCE: Final = 60
LONGEST_NAME: Final = 100

_FORMULA: Final = re.compile(r"'*\s*[=+\-@]|'*[\t\r\n]")

Change = Literal["new", "renamed", "returns", "same"]


@dataclass(frozen=True, slots=True)
class Row:
    """One person as a line of the file names them; `line` counts from 1, as editors do."""

    line: int
    reference: str
    name: str
    language: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the user file: a member, and how many devices are registered."""

    member: Member
    devices: int


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line; nothing of a file with a fault is taken over."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Planned:
    """What a line would do: put somebody on the list (again), or correct their name."""

    row: Row
    change: Change
    member: Member | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a file would change. `digest` stands for file and list together.

    `missing` are on the list and not in the file.
    """

    planned: tuple[Planned, ...]
    faults: tuple[Fault, ...]
    missing: tuple[Member, ...]
    digest: str

    def count(self, change: Change) -> int:
        """Return how many lines would do this."""
        return sum(planned.change == change for planned in self.planned)


def read(text: str, languages: Iterable[str]) -> tuple[list[Row], list[Fault]]:
    """Return the rows of a file, and what is wrong with it.

    The first line names the columns: `reference`, `name` and, if wanted, `language`, in any
    order; commas or semicolons stand between them. Columns that only `export` writes are passed
    over, and so is the mark that spreadsheets put at the front.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > MOST_CHARACTERS:
        return [], [Fault(1, _("The file is longer than 500,000 characters."))]
    head = text.split("\n", 1)[0]
    delimiter = ";" if head.count(";") > head.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    faults: list[Fault] = []
    columns: list[str] = []
    known = {language.lower() for language in languages}
    line = 1
    try:
        for cells in reader:
            if not columns:
                columns = [cell.strip().lower() for cell in cells]
                wrong = _wrong_columns(columns)
                if wrong:
                    return [], [Fault(1, wrong)]
            elif any(cell.strip() for cell in cells):
                rows.append(_row(line, columns, cells))
                faults += _faults(rows[-1], len(cells) - len(columns), known)
            line = reader.line_num + 1
    except csv.Error as error:
        faults.append(Fault(line, _("This is not CSV: %(error)s.") % {"error": error}))
    if len(rows) > MOST_ROWS:
        faults.append(Fault(line, _("The file has more than %d people.") % MOST_ROWS))
    return rows, faults + _twice(rows)


def report(*, text: str, members: Sequence[Member], languages: Iterable[str]) -> Report:
    """Return what a file would change on a list.

    Args:
        members: Everybody on the list, those who left too.
    """
    rows, faults = read(text, languages)
    by_reference = {member.reference: member for member in members}
    named = {row.reference for row in rows}
    planned = tuple(_planned(row, by_reference.get(row.reference)) for row in rows)
    missing = tuple(
        member
        for member in members
        if member.state != Member.State.LEFT and member.reference not in named
    )
    if not rows and not faults:
        faults = [Fault(1, _("The file names nobody."))]
    return Report(planned, tuple(faults), missing, _digest(text, members))


def export(entries: Iterable[Entry]) -> str:
    """Return the user file: who, since when, with how many devices, until when."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow((*COLUMNS, *TOLD))
    for entry in entries:
        member = entry.member
        cells = (
            *(member.reference, member.name, member.language, member.state),
            *map(_instant, (member.entered_at, member.active_at, member.left_at)),
            str(entry.devices),
        )
        writer.writerow([harmless(cell) for cell in cells])
    return file.getvalue()


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: with an apostrophe before it."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _meant(cell: str) -> str:
    """Return what a cell said before `harmless` had it."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def _wrong_columns(columns: Sequence[str]) -> str:
    unknown = [name for name in columns if name not in {*COLUMNS, *TOLD}]
    if unknown or not {"reference", "name"} <= set(columns) or len(set(columns)) < len(columns):
        return _("The first line must name the columns: reference, name and, if wanted, language.")
    return ""


def _row(line: int, columns: Sequence[str], cells: Sequence[str]) -> Row:
    named = dict(zip(columns, (_meant(cell.strip()) for cell in cells), strict=False))
    return Row(
        line, named.get("reference", ""), named.get("name", ""), named.get("language", "").lower()
    )


def _faults(row: Row, too_many: int, languages: set[str]) -> list[Fault]:
    found = []
    if too_many > 0:
        found.append(_("There are more cells than columns."))
    if not 0 < len(row.reference) <= LONGEST_REFERENCE:
        found.append(_("The reference needs 1 to %d characters.") % LONGEST_REFERENCE)
    if not 0 < len(row.name) <= LONGEST_NAME:
        found.append(_("The name needs 1 to %d characters.") % LONGEST_NAME)
    if row.language and row.language not in languages:
        found.append(_("The shop does not speak the language “%s”.") % row.language)
    if not (row.reference + row.name).isprintable():
        found.append(_("There are control characters in it."))
    return [Fault(row.line, text) for text in found]


def _twice(rows: Sequence[Row]) -> list[Fault]:
    seen: dict[str, int] = {}
    found = []
    for row in rows:
        first = seen.setdefault(row.reference, row.line)
        if first != row.line:
            text = _("The reference “%(reference)s” stands in line %(line)d too.")
            found.append(Fault(row.line, text % {"reference": row.reference, "line": first}))
    return found


def _planned(row: Row, member: Member | None) -> Planned:
    change: Change = "same"
    if member is None:
        change = "new"
    elif member.state == Member.State.LEFT:
        change = "returns"
    elif member.name != row.name:
        change = "renamed"
    return Planned(row, change, member)


def _digest(text: str, members: Iterable[Member]) -> str:
    listed = sorted(f"{member.code} {member.state} {member.name}" for member in members)
    return hashlib.sha256("\n".join((text, *listed)).encode()).hexdigest()


def _instant(at: datetime | None) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else ""
