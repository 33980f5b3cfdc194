"""The operator's list of who got which number: a file that only its owner may read.

The shop keeps no such list. A line is on the disk before the account that it names is committed,
so nobody's number is lost; what was written for accounts that never came to be goes at the next
start.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
import stat
from typing import TYPE_CHECKING, Final, Self

from django.utils.translation import gettext as _

from ferriage.accounts.queries import numbers_in_use
from ferriage.core.codes import grouped, normalise
from ferriage.core.errors import FerriageError
from ferriage.members.userfile import harmless

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ferriage.arrivals.actions import HandedOut

COLUMNS: Final = ("customer", "name", "number", "plan", "until", "balance")
_HEADER: Final = ",".join(COLUMNS) + "\r\n"
_NUMBER: Final = COLUMNS.index("number")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_PAGE: Final = 500


class ListUnusable(FerriageError):
    """The list cannot be written where it was asked for, or not so that nobody else reads it."""

    slug = "number-list"


class NumberList:
    """A list that is open for writing; nobody else writes it meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = -1

    def __enter__(self) -> Self:
        """Open the list, or make it, and take out lines at its end that open no account.

        Raises:
            ListUnusable: Others may read it, another import writes it, or it cannot be opened.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self.descriptor = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise self._unusable(str(error)) from error
        try:
            self._begin()
        except BaseException:
            os.close(self.descriptor)
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self.descriptor)

    def add(self, handed: Sequence[HandedOut]) -> None:
        """Write lines and wait until they are on the disk."""
        self._write([_cells(one) for one in handed])

    def _begin(self) -> None:
        status = os.fstat(self.descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & _OTHERS:
            raise self._unusable(_("it is not a file that only you may read"))
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise self._unusable(_("another import writes it")) from error
        lines = self.path.read_bytes().splitlines(keepends=True)
        first = lines[0].decode(errors="replace") if lines else ""
        if not _HEADER.startswith(first):
            raise self._unusable(_("it is another file"))
        if first != _HEADER:
            # A header that was cut, and nothing else.
            os.ftruncate(self.descriptor, 0)
            self._write([COLUMNS])
        else:
            os.ftruncate(self.descriptor, _committed(lines))

    def _write(self, rows: Sequence[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        with os.fdopen(os.dup(self.descriptor), "ab") as file:
            file.write(text.getvalue().encode())
            file.flush()
            os.fsync(file.fileno())

    def _unusable(self, why: str) -> ListUnusable:
        return ListUnusable(
            _("The list of numbers %(file)s cannot be used: %(why)s.")
            % {"file": self.path, "why": why},
            _("Name another file with `--list`."),
        )


def _committed(lines: Sequence[bytes]) -> int:
    """Return the length of the lines that stand for accounts that are there, and of the header."""
    kept = len(lines)
    while kept > 1:
        page = lines[max(1, kept - _PAGE) : kept]
        used = numbers_in_use([_number(line) for line in page])
        alive = [place for place, line in enumerate(page) if _number(line) in used]
        kept -= len(page) - (alive[-1] + 1 if alive else 0)
        if alive:
            break
    return sum(map(len, lines[:kept]))


def _cells(handed: HandedOut) -> list[str]:
    planned = handed.planned
    return [
        planned.customer.id,
        one_line(planned.customer.name),
        grouped(handed.number),
        one_line(planned.plan.name) if planned.plan else "",
        f"{planned.ends_at:%Y-%m-%dT%H:%M:%SZ}" if planned.ends_at else "",
        str(planned.balance) if planned.balance else "",
    ]


def one_line(text: str) -> str:
    """Return what somebody once typed as a cell: on one line, and no formula for a spreadsheet."""
    return harmless("".join(char if char.isprintable() else " " for char in text))


def _number(line: bytes) -> str:
    """Return the number of a line as bare characters; empty where the line was cut."""
    cells = next(csv.reader([line.decode(errors="replace")]), [])
    whole = line.endswith(b"\n") and len(cells) == len(COLUMNS)
    return normalise(cells[_NUMBER]) if whole else ""
