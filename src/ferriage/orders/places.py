"""Where a customer presumably is, from what was declared, paid and shown.

Source: docs/decisions/0015-place-evidence.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage.orders.models import Order, PlaceEvidence
from ferriage.plans import queries as plans

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.plans.queries import OfferView

Kind = PlaceEvidence.Kind

SHOWN: Final = (Kind.RESIDENCE_PAPER, Kind.LOCAL_BILL, Kind.TELEPHONE)
"""Kinds that a customer shows to staff: neither their word nor where their money comes from."""
ENOUGH: Final = 2
"""So many kinds shown outweigh the country that a payment comes from."""


def contradicting(order: Order, *, payer_place: str, now: datetime) -> OfferView | None:
    """Return why the presumable place of a payer stands against an order, if it does.

    It does where it lies in another country than the customer says, the plan may not be sold
    there, and nothing else was shown that says where they are.

    A top-up sells nothing yet; what it pays for later asks then (`places_of_balance`).

    Args:
        payer_place: The ISO 3166 code that the means of payment presumes; empty presumes nothing.

    Returns:
        An offer of the plan as the register judges it for that place.
    """
    nothing_sold = order.plan_id is None
    if nothing_sold or not payer_place or payer_place[:2] == order.place[:2]:
        return None
    views = plans.offers_of(plan=order.plan_sold, now=now, place=payer_place)
    if any(view.verdict.allowed for view in views) or is_shown(order):
        return None
    return next(iter(views), None)


def places_of_balance(order: Order) -> list[str]:
    """Return where the money came from that the account of an order paid with before.

    Its balance may be made of that money, so it presumes what a payment presumes.
    """
    rows = PlaceEvidence.objects.filter(kind=Kind.PAYMENT_COUNTRY, order__account=order.account_id)
    return sorted(set(rows.values_list("place", flat=True)))


def is_shown(order: Order) -> bool:
    """Tell whether enough was shown that the customer is where they say, now or before."""
    rows = PlaceEvidence.objects.filter(kind__in=SHOWN, place=order.place)
    of_customer = rows.filter(order__account=order.account_id) if order.account_id else rows.none()
    return of_customer.values("kind").distinct().count() >= ENOUGH


def evidence_of(order: Order) -> Iterable[PlaceEvidence]:
    """Return what is known of where the customer of an order is, in the order it came."""
    return order.place_evidence.order_by("pk")
