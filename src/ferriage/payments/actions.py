from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.payments import queries
from ferriage.payments.capture import Captured, change_once, owe_back
from ferriage.payments.models import Payment, Refund
from ferriage.payments.providers.bank.actions import (
    LONGEST_NUMBER,
    MeansNotOffered,
    book_receipt,
    start_bank,
)
from ferriage.payments.providers.voucher.actions import issue_vouchers, redeem_voucher

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.orders.models import Order

__all__ = [
    "Captured",
    "MeansNotOffered",
    "NotRefundable",
    "book_receipt",
    "issue_vouchers",
    "mark_refund_paid",
    "queue_ended",
    "redeem_voucher",
    "refund_unallocated",
    "start_bank",
]


class NotRefundable(FerriageError):
    """A refund without the number of the payment that made it."""

    slug = "not-refundable"
    status = 422


def refund_unallocated(*, payment: Payment, now: datetime, actor: Actor) -> Refund:
    """Queue money that no order took for refund.

    Raises:
        StaleState: It is not unallocated any more.
    """
    with writing():
        change_once(
            Payment.objects.filter(pk=payment.pk, outcome="unallocated").update(outcome="refund")
        )
        payment.outcome = "refund"
        reason = "unallocated"
        refund = owe_back(payment, kind=Refund.Kind.UNALLOCATED, reason=reason, now=now)
        audit.record(now=now, actor=actor, action="refund.queued", subject=payment.code)
    return refund


def mark_refund_paid(*, refund: Refund, reference: str, now: datetime, actor: Actor) -> Refund:
    """Note that staff paid a queued refund out of the bank account.

    Raises:
        NotRefundable: No number of the payment.
        StaleState: It is noted as paid already.
    """
    if not 0 < len(reference.strip()) <= LONGEST_NUMBER:
        raise NotRefundable(
            _("Paying a refund needs the bank's number of your payment."), _("Nothing was noted.")
        )
    with writing():
        change_once(
            Refund.objects.filter(pk=refund.pk, state=Refund.State.QUEUED).update(
                state=Refund.State.PAID, paid_at=now, paid_reference=reference.strip()
            )
        )
        money = Money(refund.amount_minor, refund.currency)
        post(
            source_code=refund.code,
            kind="refund-paid",
            transfers=[TransferLine("liabilities:refunds", "assets:bank", money)],
            description=f"Refund {refund.code} of payment {refund.payment.code}",
            now=now,
        )
        audit.record(
            now=now, actor=actor, action="refund.paid", subject=refund.code, amount=str(money)
        )
    refund.refresh_from_db()
    return refund


def queue_ended(*, order: Order, now: datetime, actor: Actor) -> Refund | None:
    """Queue what is owed for an order that was ended early and is not queued yet, if anything.

    The books hold it already. Two workers at once queue it once: what is due is read inside.
    """
    with writing():
        payment = Payment.objects.get(order=order, outcome="settled")
        minor = queries.ended_not_queued_minor(order)
        if minor <= 0:
            return None
        refund = Refund.objects.create(
            payment=payment,
            kind=Refund.Kind.ENDED,
            amount_minor=minor,
            currency=payment.currency,
            reason="ended early",
            created_at=now,
        )
        audit.record(now=now, actor=actor, action="refund.queued", subject=payment.code)
    return refund
