"""What an order's page says besides the order: its end, its bank transfer, its refunds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.approvals.queries import denial_of
from ferriage.approvals.reasons import sentence
from ferriage.approvals.site import packs_on_file
from ferriage.payments.models import Payment, Refund
from ferriage.plans import queries as plans

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.orders.models import Order
    from ferriage.plans.models import Price


def end_if_bought(*, customer: Account | None, price: Price, now: datetime) -> datetime:
    """Return when the customer's term would end if the price were paid now."""
    held = None
    if customer is not None:
        held = plans.subscription_for(account=customer, service=price.plan.service)
    return plans.preview(subscription=held, term_months=price.term_months, now=now).ends_at


def bank_payment(order: Order) -> Payment | None:
    """Return the order's latest bank transfer that is waited for, if one was begun."""
    begun = Payment.objects.filter(order=order, provider="bank")
    return begun.exclude(reference=None).order_by("-pk").first()


def refunds(order: Order) -> tuple[Refund, ...]:
    """Return what goes back to the customer for this order."""
    return tuple(Refund.objects.filter(payment__order=order).order_by("pk"))


def why_refused(order: Order, language: str) -> tuple[str, ...]:
    """Return what the register said when money came that the order could not take."""
    packs = packs_on_file()
    return tuple(sentence(reason, language, packs) for reason in denial_of(order.code))
