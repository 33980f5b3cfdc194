"""How much of an order's price is earned at an instant. Pure integers.

An order's stretch is counted in its own time, which stands still while no line may serve the
customer. So each second of it is earned once, whenever it comes.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ferriage.core.money import split

if TYPE_CHECKING:
    from ferriage.orders.models import Order

_TICK = timedelta(microseconds=1)


def earned_minor(*, amount_minor: int, starts_at: datetime, ends_at: datetime, at: datetime) -> int:
    """Return what is earned of an amount by the time used, rounded down.

    0 before the stretch begins, the whole amount from its end on.
    """
    used = min(max(at, starts_at), ends_at) - starts_at
    return amount_minor * (used // _TICK) // ((ends_at - starts_at) // _TICK)


def own_time(order: Order, at: datetime) -> datetime:
    """Return what the order's own time is at an instant: real time less what it stood still."""
    return (at if order.frozen_from is None else min(at, order.frozen_from)) - order.frozen


def earned_of(order: Order, at: datetime, *, counts_to: datetime | None = None) -> int:
    """Return what is earned of a fulfilled order: no further than where it was cut.

    A term that was cut may count beyond that by the data that was used of it.

    Args:
        counts_to: Where it would count to if it were cut now, in its own time.
    """
    own = own_time(order, at)
    assert order.period_starts_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    assert order.period_ends_at is not None  # noqa: S101 -- the same
    at = own
    if order.cut_at is not None and own >= order.cut_at:
        at = order.counts_to_at or order.cut_at
    at = max(at, counts_to or at)
    if order.is_pack:
        return _earned_by_use(order, order.period_starts_at, order.period_ends_at, at)
    return earned_minor(
        amount_minor=order.amount_minor,
        starts_at=order.period_starts_at,
        ends_at=order.period_ends_at,
        at=at,
    )


def _earned_by_use(order: Order, starts_at: datetime, ends_at: datetime, at: datetime) -> int:
    """Return what is earned of a quota pack: the part that was used, and all of it at its end.

    However little time has passed, so that nobody uses it up and has it refunded.
    """
    if at < starts_at:
        return 0
    if at >= ends_at or not order.quota_bytes:
        return order.amount_minor
    return order.amount_minor * order.used_bytes // order.quota_bytes


def parts_of(order: Order, unused_minor: int) -> tuple[int, int]:
    """Split what was paid and is unused: what a payment brought, and what came otherwise.

    Otherwise is from the balance, or by the value of a plan before.

    In the proportion in which the order was paid, by the largest remainder. So each part grows
    with the whole, and neither is ever above what it was.
    """
    otherwise = order.refundable_minor - order.paid_minor
    if not otherwise:
        return unused_minor, 0
    credited, paid = split(unused_minor, [otherwise, order.paid_minor])
    return paid, credited


def by_payment_of(order: Order, unused_minor: int, left_minor: int) -> int:
    """Return how much of what is left goes back the way it came; all where nobody has a balance.

    Args:
        unused_minor: What of the order was paid and is unused, whatever went back before.
        left_minor: What of it is to go back now.
    """
    if order.account_id is None:
        return left_minor
    gone = order.refund_due_minor + order.charged_back_minor + order.lost_minor
    return max(min(parts_of(order, unused_minor)[0] - gone, left_minor), 0)


def gone_back_of(order: Order) -> int:
    """Return what of an order was paid and has gone back since, went on, or is owed back."""
    return order.refund_due_minor + order.moved_minor + order.charged_back_minor


def left_to_owe(order: Order, unused_minor: int) -> int:
    """Return what of an unused part is still to go back: neither gone before, nor lost for good.

    What a payer took back is not owed to them a second time, however much of the term is left.
    """
    return max(unused_minor - gone_back_of(order) - order.lost_minor, 0)


def unused_bps(order: Order, at: datetime, *, counts_to: datetime | None = None) -> int:
    """Return which share of an order is unused at an instant, in basis points, rounded down."""
    if not order.amount_minor:
        return 0
    unused = order.amount_minor - earned_of(order, at, counts_to=counts_to)
    return unused * 10_000 // order.amount_minor


def unused_of(order: Order, at: datetime, *, counts_to: datetime | None = None) -> tuple[int, int]:
    """Split what is unused at an instant: what was paid for, owed if it ended, and what was a gift.

    What is earned was rounded down, so what is unused is rounded up, for the customer.

    Args:
        counts_to: As for `earned_of`.
    """
    if not order.amount_minor:
        return 0, 0
    gift = order.amount_minor - order.refundable_minor
    unused = order.amount_minor - earned_of(order, at, counts_to=counts_to)
    paid, given = split(unused, [order.refundable_minor, gift])
    return paid, given
