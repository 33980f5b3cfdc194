"""Money that no order took: how much of it waits, and that it goes on once.

    what came = what its payer took back for good (lost disputes) + what waits

A payer may take a part of it back. Until that is decided nothing of it goes anywhere, or it would
go out twice. What is left of it then goes to a balance or back; an order asks for all that came.

Source: docs/decisions/0057-recalls.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef, Q, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.payments.capture import change_once
from ferriage.payments.models import Dispute, Payment

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from ferriage.orders.models import Order

State = Dispute.State
_LOST = Q(disputes__state=State.LOST)


class NotAssignable(FerriageError):
    """Money without an order does not go there now; it stays where it is."""

    slug = "not-assignable"


def waiting() -> QuerySet[Payment]:
    """Return the payments that no order took.

    Each has `gone_minor`, which its payer took back, and `is_disputed` while more may go.
    """
    still = Dispute.objects.filter(payment=OuterRef("pk"), state=State.OPEN)
    return Payment.objects.filter(outcome="unallocated").annotate(
        gone_minor=Coalesce(Sum("disputes__amount_minor", filter=_LOST), 0),
        is_disputed=Exists(still),
    )


def untouched() -> QuerySet[Payment]:
    """Return those of them of which nothing was taken back, nor may be."""
    taken = [State.OPEN, State.LOST]
    return Payment.objects.filter(outcome="unallocated").exclude(disputes__state__in=taken)


def total_minor(currency: str) -> int:
    """Return how much of them waits altogether."""
    mine = Q(outcome="unallocated", currency=currency)
    came = Payment.objects.filter(mine).aggregate(total=Sum("received_minor"))["total"] or 0
    lost = Dispute.objects.filter(
        state=State.LOST, payment__outcome="unallocated", payment__currency=currency
    )
    return came - (lost.aggregate(total=Sum("amount_minor"))["total"] or 0)


def rest(payment: Payment) -> Money:
    """Return what of a payment was not taken back for good."""
    lost = Dispute.objects.filter(payment=payment, state=State.LOST)
    gone = lost.aggregate(total=Sum("amount_minor"))["total"] or 0
    return Money((payment.received_minor or 0) - gone, payment.currency)


def free(payment: Payment) -> Money:
    """Return what may go on of a payment.

    Raises:
        NotAssignable: Its payer may be taking it back.
    """
    if payment.disputes.filter(state=State.OPEN).exists():
        raise NotAssignable(
            _("The payer may be taking this money back."),
            _("Decide the dispute first, or wait until it is over; nothing was booked."),
        )
    return rest(payment)


def take(payment: Payment, *, outcome: str) -> Money:
    """Let what waits of a payment go on, once; returns how much. In the caller's transaction.

    Raises:
        NotAssignable: As `free`.
        StaleState: It waits no more.
    """
    money = free(payment)
    waits = Payment.objects.filter(pk=payment.pk, outcome="unallocated")
    change_once(waits.update(outcome=outcome))
    return money


def take_whole(payment: Payment, *, outcome: str, order: Order | None = None) -> Money:
    """Let all that came by a payment go on, for an order if one is named. As `take` otherwise.

    Raises:
        NotAssignable: Its payer took a part of it back, too.
    """
    money = take(payment, outcome=outcome)
    if money.amount_minor != payment.received_minor:
        raise NotAssignable(
            _("The payer took a part of this money back."),
            _("Credit what is left to a balance, or send it back; nothing was booked."),
        )
    if order is not None:
        Payment.objects.filter(pk=payment.pk).update(order=order)
    return money


def give_up(payment: Payment, minor: int) -> int:
    """Let a dispute that was just lost take what waits; returns how much of `minor` it found."""
    if not Payment.objects.filter(pk=payment.pk, outcome="unallocated").exists():
        return 0
    left = rest(payment).amount_minor
    if left <= 0:
        Payment.objects.filter(pk=payment.pk).update(outcome="charged-back")
    return minor + min(left, 0)
