"""Where the money of one payment lies after it came to balances and orders. Pure.

A balance spends its oldest money first, as `lots.py` says. What is spent on an order stays with
it, and comes back or goes on with what is left of it: the disputed part first, so that none of it
becomes anybody's own by going round.

    payment ──> balance ──spent──> order ──returned──> balance
                               └─> code of a gift ──not used──> balance of who gave it
                                      └──used──> order ──changed──> as any other
       └──────────────────────────> order ──changed──> order of the change ──returned──> balance

Source: docs/decisions/0023-disputes.md
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferriage.orders.balancemodels import (
    CHANGE,
    CREDITED,
    GIFT_RETURNED,
    RETURNED,
    SPENT,
    TAKEN_BACK,
    TOPUP,
    TOPUP_RETURNED,
)
from ferriage.orders.models import Order

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Move:
    """A move of a balance, as its row says it."""

    balance: int
    source: str
    kind: str
    minor: int


@dataclass(slots=True)
class _Lot:
    minor: int
    is_traced: bool


class Trace:
    """Follows what one payment brought, by its code, through all moves in their order.

    Args:
        order: What the payment settled, if it did.
        orders: All fulfilled orders that the money could have gone to.
        moves: All moves of the balances it could have come to, of the payment's currency.
    """

    def __init__(
        self,
        *,
        payment: str,
        order: Order | None,
        currency: str,
        orders: Iterable[Order],
        moves: Sequence[Move],
    ) -> None:
        self._payment = payment
        self._settled = order.code if order else ""
        self._lots: defaultdict[int, list[_Lot]] = defaultdict(list)
        self._paid: Counter[str] = Counter()
        self._otherwise: Counter[str] = Counter()
        self._arrived: Counter[str] = Counter()
        self._moved: Counter[str] = Counter()
        self._value: dict[str, int] = {}
        self._sources: defaultdict[str, list[str]] = defaultdict(list)
        self._bought_by: dict[str, str] = {}
        if order is not None:
            # A top-up has none: all of it went to the balance.
            gone = order.refund_due_minor + order.charged_back_minor + order.lost_minor
            self._paid[order.code] = max(order.paid_minor - gone, 0)
        self._read(list(orders), currency, moves)
        for move in moves:
            self._follow(move)

    def spend(self, balance: int, minor: int) -> None:
        """Let the oldest money of a balance be gone, as an open order will spend it."""
        _take(self._lots[balance], minor)

    def left(self, balance: int) -> int:
        """Return how much of the payment's money is on a balance."""
        return sum(lot.minor for lot in self._lots[balance] if lot.is_traced)

    def inside(self, order: str) -> int:
        """Return how much of the payment's money an order was paid with from a balance."""
        return self._otherwise[order]

    def _read(self, orders: list[Order], currency: str, moves: Sequence[Move]) -> None:
        """Note which change of plan took over from which orders, and how much went on."""
        changes: defaultdict[int | None, list[Order]] = defaultdict(list)
        for order in sorted(orders, key=_when):
            if order.kind == Order.Kind.CHANGE:
                changes[order.subscription_id].append(order)
                self._value[order.code] = order.value_minor if order.currency == currency else 0
        for order in orders:
            if order.gift is not None:
                # What paid for a code is in the term that the code paid.
                self._bought_by[order.code] = order.gift.code
            later = (one for one in changes[order.subscription_id] if _when(one) > _when(order))
            change = next(later, None)
            if change is not None and order.currency == currency:
                self._sources[change.code].append(order.code)
                self._moved[order.code] = order.moved_minor
        for move in moves:
            if move.kind == RETURNED:
                self._moved[move.source] -= move.minor

    def _follow(self, move: Move) -> None:
        lots = self._lots[move.balance]
        if move.minor > 0:
            traced = min(self._come(move), move.minor)
            lots += [_Lot(move.minor - traced, is_traced=False), _Lot(traced, is_traced=True)]
        elif move.kind in {TOPUP_RETURNED, TAKEN_BACK}:
            mine = move.source in {self._payment, self._settled}
            _take(sorted(lots, key=lambda lot: lot.is_traced is not mine), -move.minor)
        else:
            traced = _take(lots, -move.minor)
            if move.kind == SPENT:
                self._otherwise[move.source] += traced

    def _come(self, move: Move) -> int:
        """Return how much at most of what comes to a balance is the payment's."""
        if move.kind in {TOPUP, CREDITED}:
            mine = self._settled if move.kind == TOPUP else self._payment
            return move.minor if move.source == mine else 0
        if move.kind in {RETURNED, GIFT_RETURNED}:
            self._go_on(move.source)
            return self._pass(self._otherwise, move)
        if move.kind.startswith(CHANGE):
            self._arrive(move.source)
            return self._pass(self._arrived, move)
        return 0

    def _pass(self, holder: Counter[str], move: Move) -> int:
        traced = min(holder[move.source], move.minor)
        holder[move.source] -= traced
        return traced

    def _arrive(self, change: str) -> None:
        """Take what went on by a change of plan out of the orders before it, once."""
        for code in self._sources.pop(change, []):
            self._go_on(code)
            bought = self._bought_by.get(code, code)
            inside = self._paid.pop(bought, 0) + self._otherwise.pop(bought, 0)
            self._arrived[change] += min(inside, max(self._moved[code], 0))

    def _go_on(self, change: str) -> None:
        """Let what arrived by a change and did not go to a balance be in its order."""
        self._arrive(change)
        self._otherwise[change] += min(self._arrived.pop(change, 0), self._value.get(change, 0))


def _take(lots: list[_Lot], minor: int) -> int:
    """Take an amount from lots, the first one first; returns how much of it was traced."""
    traced = 0
    for lot in lots:
        taken = min(lot.minor, minor)
        lot.minor -= taken
        minor -= taken
        traced += taken if lot.is_traced else 0
    return traced


def _when(order: Order) -> tuple[float, int]:
    return (order.fulfilled_at.timestamp() if order.fulfilled_at else 0.0, order.pk)
