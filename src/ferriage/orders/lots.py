"""Which money of a balance is still there. Pure; the oldest money is spent first.

So a top-up can go back to the payment it came from as far as it was not spent, and no further.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.orders.balance import available
from ferriage.orders.balancemodels import PAID_BACK, TAKEN_BACK, TOPUP, TOPUP_RETURNED
from ferriage.orders.models import BalanceMove

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ferriage.orders.models import Order

    type Move = tuple[str, str, int]


def left_of(moves: Iterable[Move], topup: str) -> int:
    """Return how much of a top-up is left.

    Args:
        moves: Source code, kind and signed amount of all moves of a balance, oldest first.
        topup: Code of the top-up's order.
    """
    lots: list[tuple[str, int]] = []
    for source, kind, minor in moves:
        if minor > 0:
            lots.append((source if kind == TOPUP else "", minor))
        elif kind in {TOPUP_RETURNED, TAKEN_BACK}:
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
    moves = BalanceMove.objects.filter(
        balance__account=order.account_id, balance__currency=order.currency
    ).order_by("pk")
    left = left_of(moves.values_list("source_code", "kind", "amount_minor"), order.code)
    return min(left, available(order.account, order.currency))
