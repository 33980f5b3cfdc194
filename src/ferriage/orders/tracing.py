"""Where the money of payments lies after it came to balances and orders. Pure.

A balance spends its oldest money first, as `lots.py` says. What is spent on an order stays with
it, and comes back or goes on with what is left of it: the part that is followed first, so that of a
disputed payment none becomes anybody's own by going round. Of several that are followed, the first
one named goes first, and no money is of two.

    payment ──> balance ──spent──> order ──returned──> balance
                               └─> code of a gift ──not used──> balance of who gave it
       └──────────────────────────> order ──changed──> order of the change ──returned──> balance

Source: docs/decisions/0023-disputes.md, docs/decisions/0069-balances-paid-back.md
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ferriage.orders.balancemodels import (
    CHANGE,
    CREDITED,
    GIFT_RETURNED,
    PAID_BACK,
    RETURNED,
    SPENT,
    TAKEN_BACK,
    TOPUP,
    TOPUP_RETURNED,
)
from ferriage.orders.models import Order

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

UNKNOWN: Final = ""
"""The origin of money that no followed payment brought."""


@dataclass(frozen=True, slots=True)
class Move:
    """A move of a balance, as its row says it."""

    balance: int
    source: str
    kind: str
    minor: int


@dataclass(frozen=True, slots=True)
class Brought:
    """A payment that is followed, by its code; `order` is what it settled, if it did."""

    payment: str
    order: Order | None


@dataclass(slots=True)
class _Lot:
    minor: int
    origin: str


class Trace:
    """Follows what payments brought, by their codes, through all moves in their order.

    Args:
        brought: The payments to follow; each is the origin of what it brought.
        orders: All fulfilled orders that the money could have gone to.
        moves: All moves of the balances it could have come to, of the payments' currency.
        through_changes: Whether what a change of plan put on a balance is still of its payment.
    """

    def __init__(
        self,
        *,
        brought: Iterable[Brought],
        currency: str,
        orders: Iterable[Order],
        moves: Sequence[Move],
        through_changes: bool = True,
    ) -> None:
        self._through_changes = through_changes
        self._origins: dict[str, str] = {}
        self._lots: defaultdict[int, list[_Lot]] = defaultdict(list)
        self._paid: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._otherwise: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._arrived: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._moved: Counter[str] = Counter()
        self._value: dict[str, int] = {}
        self._sources: defaultdict[str, list[str]] = defaultdict(list)
        for one in brought:
            self._origins[one.payment] = one.payment
            if one.order is not None:
                # A top-up has none: all of it went to the balance.
                gone = (
                    one.order.refund_due_minor + one.order.charged_back_minor + one.order.lost_minor
                )
                self._origins[one.order.code] = one.payment
                self._paid[one.order.code][one.payment] = max(one.order.paid_minor - gone, 0)
        self._read(list(orders), currency, moves)
        for move in moves:
            self._follow(move)

    def spend(self, balance: int, minor: int) -> None:
        """Let the oldest money of a balance be gone, as an open order will spend it."""
        _take(self._lots[balance], minor)

    def left(self, balance: int) -> Counter[str]:
        """Return how much lies on a balance, by origin, the oldest first."""
        left: Counter[str] = Counter()
        for lot in self._lots[balance]:
            left[lot.origin] += lot.minor
        return left

    def inside(self, order: str) -> int:
        """Return how much of the followed money an order was paid with from a balance."""
        return self._otherwise[order].total()

    def _read(self, orders: list[Order], currency: str, moves: Sequence[Move]) -> None:
        """Note which change of plan took over from which orders, and how much went on."""
        changes: defaultdict[int | None, list[Order]] = defaultdict(list)
        for order in sorted(orders, key=_when):
            if order.kind == Order.Kind.CHANGE:
                changes[order.subscription_id].append(order)
                self._value[order.code] = order.value_minor if order.currency == currency else 0
        for order in orders:
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
            came = self._come(move)
            lots.append(_Lot(move.minor - came.total(), UNKNOWN))
            lots += [_Lot(minor, origin) for origin, minor in came.items()]
        elif move.kind in {TOPUP_RETURNED, TAKEN_BACK, PAID_BACK}:
            own = self._origins.get(move.source, UNKNOWN)
            _take(sorted(lots, key=lambda lot: lot.origin != own), -move.minor)
        else:
            taken = _take(lots, -move.minor)
            if move.kind == SPENT:
                self._otherwise[move.source] += taken

    def _come(self, move: Move) -> Counter[str]:
        """Return what at most of what comes to a balance is of which payment."""
        if move.kind in {TOPUP, CREDITED} and move.source in self._origins:
            return Counter({self._origins[move.source]: move.minor})
        if move.kind in {RETURNED, GIFT_RETURNED}:
            self._go_on(move.source)
            return _draw(self._otherwise[move.source], move.minor)
        if move.kind.startswith(CHANGE):
            self._arrive(move.source)
            came = _draw(self._arrived[move.source], move.minor)
            return came if self._through_changes else Counter()
        return Counter()

    def _arrive(self, change: str) -> None:
        """Take what went on by a change of plan out of the orders before it, once."""
        for code in self._sources.pop(change, []):
            self._go_on(code)
            inside = self._paid.pop(code, Counter()) + self._otherwise.pop(code, Counter())
            self._arrived[change] += _draw(inside, max(self._moved[code], 0))

    def _go_on(self, change: str) -> None:
        """Let what arrived by a change and did not go to a balance be in its order."""
        self._arrive(change)
        arrived = self._arrived.pop(change, Counter())
        self._otherwise[change] += _draw(arrived, self._value.get(change, 0))


def _draw(held: Counter[str], minor: int) -> Counter[str]:
    """Take up to an amount out of what is held, the first origin first; returns what was taken."""
    drawn: Counter[str] = Counter()
    for origin in held:
        drawn[origin] = min(held[origin], minor - drawn.total())
    held -= drawn
    return +drawn


def _take(lots: list[_Lot], minor: int) -> Counter[str]:
    """Take an amount from lots, the first one first; returns what of it was of which payment."""
    taken: Counter[str] = Counter()
    for lot in lots:
        part = min(lot.minor, minor)
        lot.minor -= part
        minor -= part
        if lot.origin != UNKNOWN:
            taken[lot.origin] += part
    return +taken


def _when(order: Order) -> tuple[float, int]:
    return (order.fulfilled_at.timestamp() if order.fulfilled_at else 0.0, order.pk)
