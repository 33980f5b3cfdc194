"""What an order does when it is paid, by its kind; `sales.settle` calls it.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ferriage.orders import addons, values
from ferriage.orders.actions import freezing, takeover
from ferriage.orders.models import Order
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries
from ferriage.plans import terms
from ferriage.plans.several import ASKED, Holdings

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.plans.models import Subscription

Overtaken = Literal["other-plan-held", "change-overtaken", "addon-overtaken"]


@dataclass(frozen=True, slots=True)
class Fulfilled:
    """What an order gave, and how much of it was paid by the value of what it took over."""

    extension: plans.Extension
    value_minor: int = 0


def overtaken(
    order: Order, held: Subscription | None, now: datetime, *, by: Holdings = ASKED
) -> Overtaken | None:
    """Return why an order cannot do any more what it was placed for, or nothing."""
    if order.kind == Order.Kind.CHANGE:
        assert held is not None  # noqa: S101 -- a constraint of changes
        return None if values.still_holds(order, held, now=now) else "change-overtaken"
    if order.kind == Order.Kind.ADDON:
        return None if addons.still_fits(order, now=now) else "addon-overtaken"
    try:
        plans.refuse_other_plan(held, order.plan_sold, now, by=by)
    except plans.OtherPlanHeld:
        return "other-plan-held"
    return None


def end_if_paid(order: Order, held: Subscription | None, now: datetime) -> datetime:
    """Return when what an order buys would end if it were paid now."""
    if order.kind == Order.Kind.CHANGE:
        return terms.boundary(now, order.term_months)
    if order.kind == Order.Kind.ADDON:
        return addons.stretch_of(order, now=now)[1]
    return plan_queries.preview(subscription=held, term_months=order.term_months, now=now).ends_at


def fulfil(order: Order, held: Subscription | None, now: datetime, actor: Actor) -> Fulfilled:
    """Give what an order bought, in the transaction that settles it."""
    if order.kind == Order.Kind.CHANGE:
        assert held is not None  # noqa: S101 -- a constraint of changes
        return Fulfilled(*takeover.change(order, held, now, actor))
    if held is not None:
        freezing.thaw_served(held, now=now, actor=actor)
    if order.kind == Order.Kind.ADDON:
        assert held is not None  # noqa: S101 -- a constraint of add-ons
        return Fulfilled(_add(order, held, now, actor))
    assert order.holder is not None  # noqa: S101 -- an order without an account is not settled
    extension = plans.extend(
        account=order.holder,
        plan=order.plan_sold,
        subscription=held,
        term_months=order.term_months,
        source_code=order.code,
        now=now,
        actor=actor,
    )
    return Fulfilled(extension)


def _add(order: Order, held: Subscription, now: datetime, actor: Actor) -> plans.Extension:
    """Give what an add-on bought: a place for a device, or bytes in a month of the quota."""
    starts_at, ends_at = addons.stretch_of(order, now=now)
    where: dict[str, Any] = {
        "subscription": held,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "source_code": order.code,
        "now": now,
        "actor": actor,
    }
    if order.quota_bytes is not None:
        plans.add_pack(quota_bytes=order.quota_bytes, **where)
    else:
        plans.add_slot(**where)
    return plans.Extension(held, starts_at, ends_at)
