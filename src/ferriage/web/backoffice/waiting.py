"""How much work with money waits for staff: beside the links of the menu, and on the first page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import ngettext

from ferriage.payments.providers.bank.queries import waiting_lines
from ferriage.payments.queries import refunds_to_pay, waits_for_staff

if TYPE_CHECKING:
    from collections.abc import Callable

PAYMENTS: Final = "staff-payments"
TRANSFERS: Final = "staff-bank"
STATEMENTS: Final = "staff-statements"
_COUNTS: Final[dict[str, Callable[[], int]]] = {
    PAYMENTS: waits_for_staff,
    TRANSFERS: lambda: refunds_to_pay().count(),
    STATEMENTS: lambda: waiting_lines().count(),
}


def counts(may: Callable[[str], bool]) -> dict[str, int]:
    """Return how much waits by the page where it is done, of those that a role may see."""
    found = {name: count() for name, count in _COUNTS.items() if may(name)}
    return {name: count for name, count in found.items() if count}


def said(name: str, count: int) -> str:
    """Return in words what waits on a page."""
    if name == TRANSFERS:
        text = ngettext("one refund is to be paid", "%(count)s refunds are to be paid", count)
    elif name == STATEMENTS:
        text = ngettext(
            "one line of a statement waits for you",
            "%(count)s lines of statements wait for you",
            count,
        )
    else:
        text = ngettext("one payment waits for you", "%(count)s payments wait for you", count)
    return text % {"count": count}
