"""Reading a bank's CSV: every bank has its own, so a layout is guessed once and kept.

A layout says how the file is written and which column holds what. It is guessed from the file,
corrected by a person on the preview, and kept with the bank account for the next file.

Source: docs/decisions/0027-bank-statements.md
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from charset_normalizer import from_bytes
from django.utils.translation import gettext_lazy as _

from ferriage.payments.providers.bank import amounts
from ferriage.payments.providers.bank.headings import columns_named
from ferriage.payments.providers.bank.statement import (
    LARGEST_BYTES,
    MOST_LINES,
    Balance,
    Line,
    Statement,
    StatementUnreadable,
    bank_reference,
    one_line,
    with_keys,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

ENCODINGS: Final = ("utf-8-sig", "utf-16", "gb18030", "cp1252", "big5", "iso-8859-15")
DELIMITERS: Final = (";", ",", "\t", "|")
DATE_FORMATS: Final = (
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%d.%m.%y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%Y年%m月%d日",
)
_EXAMPLE: Final = date(2026, 3, 31)
_PENDING: Final = frozenset(
    {"umsatz vorgemerkt", "vorgemerkt", "ausstehend", "pending", "处理中", "等待付款", "交易关闭"}
)
"""What banks put into a column of a row that is not booked yet, or never will be."""
_MOST_PREAMBLE: Final = 40
_NO_COLUMN: Final = frozenset(
    {"encoding", "delimiter", "heading", "date_format", "decimal", "text"}
)
_WORD: Final = re.compile(r"[^\W\d_]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How one bank writes its CSV. Columns are numbers from 0; None where there is none.

    Attributes:
        heading: Number of the row that names the columns; lines follow below it.
        decimal: What stands before decimals; empty where the file leaves it open.
        text: Columns of what the payer wrote, in order.
        currency_column: None: every line is in the account's currency.
        balance: What the account held after the line.
    """

    encoding: str
    delimiter: str
    heading: int
    date_format: str
    decimal: str
    day: int
    amount: int | None = None
    incoming: int | None = None
    outgoing: int | None = None
    currency_column: int | None = None
    text: tuple[int, ...] = ()
    reference: int | None = None
    balance: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what is kept with the account."""
        return asdict(self) | {"text": list(self.text)}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Layout:
        """Return what was kept with an account."""
        return cls(**{**kept, "text": tuple(kept["text"])})


def rows(data: bytes, encoding: str, delimiter: str) -> list[list[str]]:
    """Return the cells of a file, without blanks around them.

    Raises:
        StatementUnreadable: Too large, or not written in this encoding.
    """
    if len(data) > LARGEST_BYTES:
        raise StatementUnreadable(_("The file is larger than 10 MiB."))
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise StatementUnreadable(
            _("The file is not written in the encoding %s.") % encoding,
            _("Choose another encoding."),
        ) from error
    reader = csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=delimiter)
    try:
        found = [[cell.strip() for cell in row] for row in reader]
    except csv.Error as error:
        raise StatementUnreadable(
            _("The file is not CSV: %s.") % error, _("Fetch it from your bank again.")
        ) from error
    if len(found) > MOST_LINES:
        raise StatementUnreadable(
            _("The file has more than %d lines.") % MOST_LINES, _("Fetch fewer days at once.")
        )
    return found


def guess(data: bytes, *, currency: str) -> Layout:
    """Guess a layout; a person looks at what comes of it before anything is posted.

    Args:
        currency: The account's; it says how many decimals to look for.

    Raises:
        StatementUnreadable: No row names a day and an amount in words that are known here.
    """
    encoding, delimiter = guess_writing(data)
    table = rows(data, encoding, delimiter)
    for number, row in enumerate(table[:_MOST_PREAMBLE]):
        columns = columns_named(row)
        if columns.get("day") is not None and _has_amount(columns):
            layout = Layout(
                encoding=encoding,
                delimiter=delimiter,
                heading=number,
                date_format="",
                decimal="",
                **columns,
            )
            return _written(layout, table[number + 1 :], currency)
    raise StatementUnreadable(
        _("No row of the file names a day and an amount in words that are known here."),
        _("Say below which row and columns they are."),
    )


def guess_writing(data: bytes) -> tuple[str, str]:
    """Guess encoding and delimiter of a file whose columns nobody knows yet.

    Raises:
        StatementUnreadable: It is too large.
    """
    encoding = _encoding(data)
    return encoding, max(DELIMITERS, key=lambda char: _regular(rows(data, encoding, char)))


def read(data: bytes, layout: Layout, *, account: str, currency: str) -> Statement:
    """Return the statement that a file holds by a layout.

    Rows without a day are passed over, and those that say that they are not booked yet.

    Args:
        account: Number of the account that the file is of; CSV seldom says it.
        currency: The account's; a line in another one is refused.

    Raises:
        StatementUnreadable: A cell is not what the layout says, the layout has no amount, or it
            does not say what stands before decimals.
    """
    if not _has_amount(asdict(layout)):
        raise StatementUnreadable(_("No column holds the amount."))
    if amounts.is_open(layout.decimal, currency):
        raise StatementUnreadable(
            _("The amounts may be read in two ways: a mark may group thousands or begin decimals."),
            _("Look at a line that you know, and say below what decimals stand behind."),
        )
    table = rows(data, layout.encoding, layout.delimiter)
    lines: list[Line] = []
    held: list[int | None] = []
    passed_over = 0
    for number, row in enumerate(table[layout.heading + 1 :], start=layout.heading + 2):
        if not re.search(r"\d", _cell(row, layout.day)) or _is_pending(row):
            passed_over += any(row)
            continue
        try:
            line = _line(row, layout, currency)
            after = _held(row, layout, currency)
        except ValueError as error:
            raise StatementUnreadable(
                _("Row %(row)d: %(why)s.") % {"row": number, "why": error},
                _("Correct the columns or how they are written."),
            ) from error
        if line.amount_minor:
            lines.append(line)
            held.append(after)
    if not lines:
        raise StatementUnreadable(_("There is no line in this file."))
    told = _balances(lines, held)
    opening, closing = next(iter(told)) if len(told) == 1 else (None, None)
    # Two files that overlap must number equal lines of a day alike, whichever way they are sorted;
    # equal lines are equal, so their order among each other does not matter.
    return Statement(
        format="csv",
        account=account,
        currency=currency,
        lines=with_keys(sorted(lines, key=lambda line: line.booked_on)),
        opening=opening,
        closing=closing,
        is_doubtful=not told and None not in held,
        passed_over=passed_over,
    )


def unread(data: bytes, layout: Layout) -> list[tuple[int, str]]:
    """Return number and name of each column with words in it that the layout does not read.

    Args:
        layout: One that reads the file.
    """
    table = rows(data, layout.encoding, layout.delimiter)[layout.heading :]
    used = {value for name, value in asdict(layout).items() if name not in _NO_COLUMN}
    used |= set(layout.text)
    return [
        (column, name)
        for column, name in enumerate(table[0] if table else [])
        if column not in used and any(_WORD.search(_cell(row, column)) for row in table[1:])
    ]


def _is_pending(row: Sequence[str]) -> bool:
    return any(cell.strip("\t '\"").casefold() in _PENDING for cell in row)


def _line(row: Sequence[str], layout: Layout, currency: str) -> Line:
    if layout.currency_column is not None:
        said = _cell(row, layout.currency_column).upper().replace("人民币", "CNY") or currency
        if said != currency:
            raise ValueError(
                _("it is in %(said)s, and the account in %(ours)s")
                % {"said": said, "ours": currency}
            )
    return Line(
        booked_on=_day(_cell(row, layout.day), layout.date_format),
        amount_minor=_minor(row, layout, currency),
        currency=currency,
        reference=bank_reference(_cell(row, layout.reference)),
        text=one_line(*(_cell(row, column) for column in layout.text)),
    )


def _minor(row: Sequence[str], layout: Layout, currency: str) -> int:
    """Return signed minor units: from one signed column, or from one for each direction.

    Banks write what went with a minus or without. What came has none: below zero there stands what
    they took back again.
    """
    if layout.amount is not None:
        return amounts.parsed(_cell(row, layout.amount), layout.decimal, currency)
    came = amounts.parsed(_cell(row, layout.incoming), layout.decimal, currency)
    went = amounts.parsed(_cell(row, layout.outgoing), layout.decimal, currency)
    return came - abs(went)


def _held(row: Sequence[str], layout: Layout, currency: str) -> int | None:
    cell = _cell(row, layout.balance)
    return amounts.parsed(cell, layout.decimal, currency) if cell else None


def _balances(lines: Sequence[Line], held: Sequence[int | None]) -> set[tuple[Balance, Balance]]:
    """Return what the account held before and after, where each line's balance follows the last.

    Banks put the newest line first or last. Where both ways fit and say different things, as with
    a line and its return on one day, neither is to be believed.
    """
    paired = list(zip(lines, held, strict=True))
    return {ends for way in (paired, paired[::-1]) if (ends := _ends(way))}


def _ends(paired: Sequence[tuple[Line, int | None]]) -> tuple[Balance, Balance] | None:
    """Return what stood before the first and after the last of lines; None if they do not run."""
    (first, after_first), (last, after_last) = paired[0], paired[-1]
    if after_first is None or after_last is None:
        return None
    for (before, stood), (line, stands) in pairwise(paired):
        if stood is None or stands != stood + line.amount_minor:
            return None
        if line.booked_on < before.booked_on:
            return None
    return (
        Balance(on=first.booked_on, amount_minor=after_first - first.amount_minor),
        Balance(on=last.booked_on, amount_minor=after_last),
    )


def _day(text: str, date_format: str) -> date:
    """Read the day of a cell; a time of day behind it does not matter."""
    # A bank's table is in its own time: the day is what it prints, not an instant.
    plain = re.split(r"[\sT]", text)[0]
    try:
        return datetime.strptime(plain, date_format).date()  # noqa: DTZ007 -- a day, no instant
    except ValueError as error:
        raise ValueError(
            _("“%(cell)s” is no day that is written like %(example)s")
            % {"cell": text, "example": _EXAMPLE.strftime(date_format)}
        ) from error


def _cell(row: Sequence[str], column: int | None) -> str:
    # Chinese banks put a tab or a quote before numbers, so that spreadsheets leave them alone.
    return row[column].strip("\t '=\"") if column is not None and column < len(row) else ""


# --- guessing ---------------------------------------------------------------------------------


def _encoding(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        isolated = ["gb18030", "cp1252", "big5"]
        best = from_bytes(data, cp_isolation=isolated).best()
        return best.encoding if best and best.encoding in ENCODINGS else "cp1252"
    return "utf-8-sig"


def _regular(table: list[list[str]]) -> int:
    """Say how much a file looks like a table: rows of the commonest width, times that width."""
    widths = Counter(len(row) for row in table if len(row) > 1)
    return max((width * count for width, count in widths.items()), default=0)


def _has_amount(columns: dict[str, Any]) -> bool:
    both = (columns.get("incoming"), columns.get("outgoing"))
    return columns.get("amount") is not None or None not in both


def _written(layout: Layout, lines: list[list[str]], currency: str) -> Layout:
    """Return the layout with how days and amounts are written in these lines."""
    days = [cell for row in lines if re.search(r"\d", cell := _cell(row, layout.day))][:200]
    fitting = [form for form in DATE_FORMATS if all(_fits(day, form) for day in days)]
    columns = (layout.amount, layout.incoming, layout.outgoing, layout.balance)
    cells = [cell for row in lines[:200] for column in columns if (cell := _cell(row, column))]
    return replace(
        layout,
        date_format=fitting[0] if fitting else DATE_FORMATS[0],
        decimal=amounts.decimal_mark(cells, currency),
    )


def _fits(text: str, date_format: str) -> bool:
    try:
        _day(text, date_format)
    except ValueError:
        return False
    return True
