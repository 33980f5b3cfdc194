"""Amounts in a bank's CSV: which mark stands before decimals, and what a cell says.

Two decimals cannot be taken for a group of thousands. Where a currency has none, every mark groups;
where it has three, `12.500` may be either, so a mark is believed only where a cell leaves no doubt.

Source: docs/decisions/0027-bank-statements.md
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core.money import Money, exponent
from ferriage.payments.providers.bank.statement import MOST_MINOR

if TYPE_CHECKING:
    from collections.abc import Sequence

DECIMALS: Final = (",", ".")
_GROUP: Final = 3
"""Digits between two marks that group thousands."""
_SIGNS: Final = str.maketrans(
    {"−": "-", "–": "-", "+": "", "\u00a0": "", "¥": "", "￥": "", "€": ""}
)
_WHOLE: Final = re.compile(r"(-?(?:\d+|[1-9]\d{0,2}([.,])\d{3}(?:\2\d{3})*))(?:[.,]0{1,2})?")
"""An amount without decimals: grouped by one mark or by none; some banks put zeros behind it."""


def parsed(text: str, decimal: str, currency: str) -> int:
    """Return the minor units of a cell; thousands are marked in any way but by the decimal mark.

    Args:
        decimal: What stands before decimals; a currency that has none does not ask.

    Raises:
        ValueError: It is no amount of the currency, or may be two.
    """
    plain = _bare(text)
    if not plain:
        return 0
    number = _number(plain, decimal, exponent(currency))
    if number is None:
        raise _no_amount(text, currency)
    try:
        minor = Money.parse(number, currency).amount_minor
    except ValueError as error:
        raise _no_amount(text, currency) from error
    if abs(minor) > MOST_MINOR:
        raise _no_amount(text, currency)
    return minor


def decimal_mark(cells: Sequence[str], currency: str) -> str:
    """Return what stands before decimals in these cells; empty where they leave that open."""
    if exponent(currency) == _GROUP:
        told = {mark for cell in cells if (mark := _told(_bare(cell)))}
        return told.pop() if len(told) == 1 else ""
    return max(DECIMALS, key=lambda mark: sum(_ends_in(cell, mark) for cell in cells))


def is_open(decimal: str, currency: str) -> bool:
    """Tell whether somebody must say first which mark stands before decimals."""
    return not decimal and exponent(currency) > 0


def _bare(text: str) -> str:
    """Return a cell's digits and marks with a sign before them, as far as a bank's ways go."""
    plain = text.translate(_SIGNS).replace(" ", "").replace("'", "")
    plain = re.sub(r"[A-Z]{3}$|^[A-Z]{3}", "", plain)
    if plain.endswith(("-", "S")):
        plain = "-" + plain[:-1]
    return plain.removesuffix("H")


def _number(plain: str, decimal: str, places: int) -> str | None:
    if places == 0:
        found = _WHOLE.fullmatch(plain)
        return re.sub(r"[.,]", "", found[1]) if found else None
    group, mark = (re.escape(one) for one in (DECIMALS if decimal == "." else DECIMALS[::-1]))
    whole = rf"-?(?:\d+|\d{{1,3}}(?:{group}\d{{2,3}})*{group}\d{{3}})"
    found = re.fullmatch(rf"({whole})(?:{mark}(\d+))?", plain)
    if found is None:
        return None
    return f"{re.sub(group, '', found[1])}.{(found[2] or '').rstrip('0') or '0'}"


def _told(plain: str) -> str:
    """Return the mark before decimals that a cell proves; empty where it may as well group."""
    found = re.fullmatch(r"-?(\d+(?:[.,]\d+)*)([.,])(\d+)", plain)
    if found is None:
        return ""
    before, mark, after = found.groups()
    other = next(one for one in DECIMALS if one != mark)
    if mark in before:
        return "" if other in before else other
    groups = len(after) == _GROUP and len(before) <= _GROUP and not before.startswith("0")
    return "" if groups else mark


def _ends_in(amount: str, mark: str) -> bool:
    return bool(re.search(rf"{re.escape(mark)}\d{{1,2}}\D*$", amount))


def _no_amount(text: str, currency: str) -> ValueError:
    return ValueError(
        _("“%(cell)s” is no amount of %(currency)s") % {"cell": text, "currency": currency}
    )
