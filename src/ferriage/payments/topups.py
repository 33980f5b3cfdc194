"""Sending a top-up back to the payment it came from, as far as it was not spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.orders import balance
from ferriage.orders.lots import returnable
from ferriage.orders.models import Order
from ferriage.payments import bounds
from ferriage.payments.models import Payment, Refund

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor


class NothingToReturn(FerriageError):
    """All of the top-up was spent, or is reserved for open orders."""

    slug = "nothing-to-return"


def return_topup(*, order: Order, now: datetime, actor: Actor) -> Refund:
    """Queue what is left of a top-up for refund; it leaves the balance at once.

    Raises:
        NothingToReturn: Nothing is left of it.
    """
    with writing():
        order = Order.objects.select_related("account").get(pk=order.pk)
        payment = Payment.objects.filter(order=order, outcome="settled").first()
        # What its payer took back is not owed again, though other money lies on the balance.
        minor = min(returnable(order), bounds.left_of(payment)) if payment else 0
        if minor <= 0 or payment is None or order.account is None:
            raise NothingToReturn(
                _("Nothing is left of this top-up."),
                _("Cancel the orders that are to be paid from your balance first, if there are."),
            )
        money = Money(minor, order.currency)
        balance.return_topup(account=order.account, money=money, source_code=order.code, now=now)
        refund = Refund.objects.create(
            payment=payment,
            kind=Refund.Kind.TOPUP,
            amount_minor=minor,
            currency=order.currency,
            reason="top-up returned",
            created_at=now,
        )
        audit.record(now=now, actor=actor, action="refund.queued", subject=payment.code)
    return refund
