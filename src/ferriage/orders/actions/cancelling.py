"""Giving up orders that are not paid: asked for, out of time, or for what has ended.

Source: docs/explanation/subscriptions.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.core import audit
from ferriage.orders import balance
from ferriage.orders.actions.coupons import give_back
from ferriage.orders.actions.outcomes import change
from ferriage.orders.models import Order

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.plans.models import Subscription


def give_up(order: Order, state: Order.State, *, now: datetime, actor: Actor) -> None:
    """Let an open order be cancelled or expired and give back what it had taken, in a transaction.

    Raises:
        StaleState: It is not open any more.
    """
    change(order, Order.State.OPEN, state=state)
    balance.release(order=order, now=now)
    give_back(order=order)
    audit.record(now=now, actor=actor, action=f"order.{state}", subject=order.code)


def cancel_onto(
    subscription: Subscription,
    *,
    kinds: Iterable[str] = (Order.Kind.TERM, Order.Kind.CHANGE, Order.Kind.ADDON),
    now: datetime,
    actor: Actor,
) -> None:
    """Cancel what its customer ordered for a subscription that ends early, and did not pay.

    What somebody else ordered for it as a gift stays: it would tell them of the end, and paid it
    begins anew.
    """
    _cancel(now, actor, extends=subscription, recipient=None, kind__in=list(kinds))


def cancel_added(term: Order, *, now: datetime, actor: Actor) -> None:
    """Cancel additions to a term that is gone, as far as they are not paid."""
    _cancel(now, actor, with_term=term)


def _cancel(now: datetime, actor: Actor, **which: object) -> None:
    still = Order.objects.filter(state=Order.State.OPEN, **which).select_related("account")
    for order in still.order_by("pk"):
        give_up(order, Order.State.CANCELLED, now=now, actor=actor)
