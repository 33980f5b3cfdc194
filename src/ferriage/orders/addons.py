"""Add-ons: which terms they may go with, what they cost, and the stretch they give.

Source: docs/explanation/subscriptions.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.orders.models import Order
from ferriage.orders.queries import running
from ferriage.plans import quota, terms
from ferriage.plans.models import AddOnPrice

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.plans.models import Plan, Subscription


def terms_to_join(subscription: Subscription, *, now: datetime) -> list[Order]:
    """Return the terms that an add-on may go with: the running one, and those bought ahead."""
    return [
        order
        for order in running([subscription], at=now)
        if order.kind != Order.Kind.ADDON and order.cut_at is None
    ]


def prices(plan: Plan, *, now: datetime) -> QuerySet[AddOnPrice]:
    """Return what add-ons to a plan cost for a month, those in force."""
    begun = AddOnPrice.objects.filter(plan=plan, valid_from__lte=now)
    return begun.exclude(valid_to__lte=now).order_by("kind", "currency")


def stretch(term: Order, *, now: datetime) -> tuple[datetime, datetime]:
    """Return what an add-on bought now would cover of a term: the rest of it, or all of it."""
    assert term.period_starts_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    assert term.period_ends_at is not None  # noqa: S101 -- the same
    return max(term.period_starts_at + term.frozen, now), term.period_ends_at + term.frozen


def pack_stretch(term: Order, *, now: datetime) -> tuple[datetime, datetime]:
    """Return what a quota pack bought now would be for: the rest of the month of the quota.

    Or of the term, where that ends before. A term that has not begun has no month that runs.
    """
    assert term.subscription is not None  # noqa: S101 -- a constraint of fulfilled orders
    starts_at, ends_at = stretch(term, now=now)
    return starts_at, min(ends_at, quota.stretch_of(term.subscription, starts_at)[1])


def stretch_of(order: Order, *, now: datetime) -> tuple[datetime, datetime]:
    """Return what an add-on's order would cover if it were paid now."""
    assert order.with_term is not None  # noqa: S101 -- a constraint of add-ons
    if order.is_pack:
        return pack_stretch(order.with_term, now=now)
    return stretch(order.with_term, now=now)


def cost_minor(price: AddOnPrice, starts_at: datetime, ends_at: datetime) -> int:
    """Return what an add-on costs for a stretch: its price for each month, a part by the second.

    Rounded down, for the customer, and at least one minor unit. A pack costs its price.
    """
    if price.kind == AddOnPrice.Kind.QUOTA_PACK:
        return price.amount_minor
    months = terms.months_back(starts_at, ends_at)
    return max(price.amount_minor * months.numerator // months.denominator, 1)


def still_fits(order: Order, *, now: datetime) -> bool:
    """Tell whether the term that an add-on was ordered for still runs, or will.

    A pack also needs the month of a quota to add to: the plan may have been changed, or its quota
    lifted.
    """
    assert order.with_term_id is not None  # noqa: S101 -- a constraint of add-ons
    term = Order.objects.select_related("subscription__plan").get(pk=order.with_term_id)
    assert term.period_ends_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    if order.is_pack and (term.subscription is None or not takes_packs(term, now=now)):
        return False
    return term.cut_at is None and term.period_ends_at + term.frozen > now


def takes_packs(term: Order, *, now: datetime) -> bool:
    """Tell whether a term runs on a plan with a quota, with its subscription's plan loaded."""
    assert term.subscription is not None  # noqa: S101 -- a constraint of fulfilled orders
    plan = term.subscription.plan
    has_begun = stretch(term, now=now)[0] <= now
    return has_begun and plan.quota_bytes is not None and plan.pk == term.plan_id
