"""Why an order that sells something would not be settled now: asked by booking and by previews.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.orders.actions import fulfilling
from ferriage.orders.actions.onsale import best_offer, outlives
from ferriage.orders.actions.outcomes import RefusalReason, state_refuses
from ferriage.plans.several import ASKED, Holdings

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ferriage.orders.models import Order
    from ferriage.plans.models import Plan, Subscription
    from ferriage.plans.queries import OfferView

    type BestOffer = Callable[[Plan, str, datetime], OfferView | None]


def refusal(
    order: Order,
    held: Subscription | None,
    now: datetime,
    *,
    by: Holdings = ASKED,
    best: BestOffer = best_offer,
) -> tuple[RefusalReason | None, OfferView | None]:
    """Return why an order cannot be settled, or the offer it is settled on.

    Where the payment comes from is not asked here.

    Args:
        held: What it goes onto, as `targets.target_of` says.
        by: Whom to ask what is booked for that; a preview has read it for many orders.
        best: As `onsale.best_offer`; a preview asks once for each plan and place.
    """
    if reason := state_refuses(order):
        return reason, None
    if order.expires_at <= now or order.holder is None:
        return "order-expired", None
    if overtaken := fulfilling.overtaken(order, held, now, by=by):
        return overtaken, None
    chosen = best(order.plan_sold, order.place, now)
    if chosen is not None and chosen.sells(fulfilling.end_if_paid(order, held, now)):
        return None, chosen
    return ("term-outlives-approval" if outlives(chosen) else "not-authorised"), chosen
