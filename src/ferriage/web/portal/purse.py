"""What a page says besides the order: its end, whether and how it can be paid, its refunds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from ferriage.approvals.queries import denial_of
from ferriage.approvals.reasons import sentence
from ferriage.approvals.site import packs_in_force
from ferriage.core.errors import FerriageError
from ferriage.payments.models import Payment, Refund
from ferriage.payments.queries import has_voucher_for
from ferriage.plans import queries as plans

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.orders.models import Order
    from ferriage.plans.models import Price


class NoWayToPay(FerriageError):
    """An order could not be paid by anybody, so none is placed."""

    slug = "no-way-to-pay"


def check_payable(price: Price) -> None:
    """Refuse what nobody could pay for: by transfer, or by a voucher that was made for it.

    Raises:
        NoWayToPay: Neither is there.
    """
    if settings.FERRIAGE.shop.bank_details or has_voucher_for(price):
        return
    raise NoWayToPay(
        _("This shop cannot take a payment yet, so it takes no order."),
        _("Come back later, or ask whoever runs it."),
    )


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
    packs = packs_in_force()
    return tuple(sentence(reason, language, packs) for reason in denial_of(order.code))
