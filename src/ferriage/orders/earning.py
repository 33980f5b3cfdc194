"""How much of an order's price is earned at an instant. Pure integers.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ferriage.orders.models import Order

_TICK = timedelta(microseconds=1)


def earned_minor(*, amount_minor: int, starts_at: datetime, ends_at: datetime, at: datetime) -> int:
    """Return what is earned of an amount by the time used, rounded down.

    0 before the stretch begins, the whole amount from its end on.
    """
    used = min(max(at, starts_at), ends_at) - starts_at
    return amount_minor * (used // _TICK) // ((ends_at - starts_at) // _TICK)


def earned_of(order: Order, at: datetime) -> int:
    """Return what is earned of a fulfilled order: no further than where it was cut."""
    assert order.period_starts_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    assert order.period_ends_at is not None  # noqa: S101 -- the same
    return earned_minor(
        amount_minor=order.amount_minor,
        starts_at=order.period_starts_at,
        ends_at=order.period_ends_at,
        at=min(at, order.cut_at) if order.cut_at else at,
    )
