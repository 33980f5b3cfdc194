"""Which money of a balance is still there. Pure; the oldest money is spent first.

So a top-up can go back to the payment it came from as far as it was not spent, and no further; and
what staff typed by mistake can be taken back.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage.orders.balance import available
from ferriage.orders.balancemodels import (
    OPENED,
    PAID_BACK,
    TAKEN_BACK,
    TOPUP,
    TOPUP_RETURNED,
    UNOPENED,
)
from ferriage.orders.models import BalanceMove

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ferriage.accounts.models import Account
    from ferriage.orders.models import Order

    type Move = tuple[str, str, int]


_LOTS: Final = {TOPUP, OPENED}
_FROM_THEIR_LOT: Final = {TOPUP_RETURNED, TAKEN_BACK, UNOPENED}


def left_of(moves: Iterable[Move], topup: str) -> int:
    """Return how much of a top-up is left, or of what a customer brought along.

    Args:
        moves: Source code, kind and signed amount of all moves of a balance, oldest first.
        topup: Code of the top-up's order, or of the opening balance.
    """
    lots: list[tuple[str, int]] = []
    for source, kind, minor in moves:
        if minor > 0:
            lots.append((source if kind in _LOTS else "", minor))
        elif kind in _FROM_THEIR_LOT:
            lots = _gone(lots, source, -minor)
        elif kind == PAID_BACK:
            lots = _paid_back(lots, source, -minor)
        else:
            lots = _spent(lots, -minor)
    return sum(left for of, left in lots if of == topup)


def _gone(lots: list[tuple[str, int]], topup: str, minor: int) -> list[tuple[str, int]]:
    """Take money back where it came from; what was spent of it goes from the oldest."""
    own = min(minor, sum(left for of, left in lots if of == topup))
    rest = [(of, left - own if of == topup else left) for of, left in lots]
    return _spent(rest, minor - own)


def _paid_back(lots: list[tuple[str, int]], source: str, minor: int) -> list[tuple[str, int]]:
    """Take money back where it came from, else what no top-up brought, before other top-ups."""
    own = min(minor, sum(left for of, left in lots if of == source))
    return _gone(_gone(lots, source, own), "", minor - own)


def _spent(lots: list[tuple[str, int]], minor: int) -> list[tuple[str, int]]:
    rest = []
    for of, left in lots:
        taken = min(left, minor)
        minor -= taken
        rest.append((of, left - taken))
    return rest


def returnable(order: Order) -> int:
    """Return how much of a settled top-up can go back now: not what open orders reserve."""
    if order.kind != order.Kind.TOPUP or order.account is None:
        return 0
    return free_of(order.account, order.currency, order.code)


def free_of(account: Account, currency: str, source: str) -> int:
    """Return how much is left of what came by a source and is not reserved for open orders."""
    moves = BalanceMove.objects.filter(
        balance__account=account, balance__currency=currency
    ).order_by("pk")
    left = left_of(moves.values_list("source_code", "kind", "amount_minor"), source)
    return min(left, available(account, currency))
