"""A bank's statement as its file says it, whatever the format: no database, no clock.

Names and account numbers of payers are left in the file on purpose: the shop has no use for them.

Source: docs/decisions/0027-bank-statements.md
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ferriage.core.errors import FerriageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

LARGEST_BYTES: Final = 10 * 1024 * 1024
MOST_LINES: Final = 20_000
LONGEST_TEXT: Final = 1000
MOST_MINOR: Final = 10**15
"""As large as a receipt may be; what is kept must be bookable."""
_NO_REFERENCE: Final = frozenset({"", "NONREF", "NOTPROVIDED", "NOREF", "N/A", "0"})


class StatementUnreadable(FerriageError):
    """The file is no statement that this release can read; nothing was kept."""

    slug = "statement-unreadable"
    status = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One booked movement.

    `amount_minor` is above zero for money that came and below for money that went.

    Attributes:
        reference: The bank's own name of it; empty where the bank gives none.
        text: What the payer wrote, with the end-to-end reference, as one line.
        payer_place: Country of the payer's bank, where the statement says it.
        is_fee: The bank's own charge.
        is_return: Money that comes back: a transfer that could not be delivered, or was recalled.
        key: What tells it from every other line of the account; set by `with_keys`.
    """

    booked_on: date
    amount_minor: int
    currency: str
    reference: str = ""
    text: str = ""
    payer_place: str = ""
    is_fee: bool = False
    is_return: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What the bank says the account held, at the end of a day."""

    on: date
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of one account. Balances are missing where the format has none.

    Attributes:
        format: `camt.053.001.08`, or `csv`.
        account: Number of the account as the file says it, without spaces; may be empty.
        passed_over: Entries that are not booked yet, such as pending ones.
        is_doubtful: Every line has a balance, and in no order do they follow from the lines: some
            are missing, or an amount is read wrongly.
    """

    format: str
    account: str
    currency: str
    lines: tuple[Line, ...]
    number: str = ""
    opening: Balance | None = None
    closing: Balance | None = None
    passed_over: int = 0
    is_doubtful: bool = False

    @property
    def sum_minor(self) -> int:
        """What the lines add up to."""
        return sum(line.amount_minor for line in self.lines)

    @property
    def adds_up(self) -> bool:
        """Tell whether opening balance and lines make the closing balance; true without them."""
        if self.opening is None or self.closing is None:
            return True
        return self.opening.amount_minor + self.sum_minor == self.closing.amount_minor


def with_keys(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return the lines, each with the key under which it is stored once.

    The key is made of what the bank never changes about a line: day, amount, its reference, and,
    where there is none, the text. Equal lines of one day are told apart by their number, so that
    a statement that overlaps another one names the same lines alike.
    """
    seen: Counter[str] = Counter()
    keyed = []
    for line in lines:
        content = _content(line)
        seen[content] += 1
        digest = hashlib.sha256(f"{content}\n{seen[content]}".encode()).hexdigest()
        keyed.append(replace(line, key=digest))
    return tuple(keyed)


def bank_reference(*texts: str | None) -> str:
    """Return the first text that is a reference and not a word for having none."""
    for text in texts:
        plain = (text or "").strip()
        if plain.upper() not in _NO_REFERENCE:
            return plain[:100]
    return ""


def one_line(*texts: str | None) -> str:
    """Return what stands in several fields or lines as one, without doubled spaces."""
    return " ".join(" ".join(text for text in texts if text).split())[:LONGEST_TEXT]


def _content(line: Line) -> str:
    said = f"ref {line.reference}" if line.reference else f"text {''.join(line.text.split())}"
    day = line.booked_on.isoformat()
    return f"{day}\n{line.amount_minor} {line.currency}\n{said}"
