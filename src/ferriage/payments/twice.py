"""Money that went out twice: sent back by us, and taken back by its payer as well.

A refund that a provider was asked for cannot be called back. What the payer takes besides is booked
as a loss when that is decided, and nothing else need be booked when the refund arrives:

    lost ──the refund fails──> it is cut down to what is left: nothing went twice
      └──it arrives──> twice ──it comes again──> the loss is made good
                         └──nobody sends it──> given up, with a reason

Source: docs/decisions/0070-money-that-went-twice.md
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Sum
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.payments import bounds, suspense
from ferriage.payments.models import MadeGood, Payment, Refund

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.core.actors import Actor


class NotMadeGood(FerriageError):
    """Money that did not go out twice, not yet, or of another amount."""

    slug = "not-made-good"


@dataclass(frozen=True, slots=True)
class Twice:
    """What went out twice of a payment and did not come again yet.

    `is_awaited` while a provider has not said whether a refund of it arrived.
    """

    payment: Payment
    minor: int
    is_awaited: bool

    @property
    def money(self) -> Money:
        """How much."""
        return Money(self.minor, self.payment.currency)


def waiting() -> list[Twice]:
    """Return the payments of which money went out twice, oldest first, with four queries."""
    gone = bounds.gone_twice()
    made = MadeGood.objects.filter(payment__in=gone).order_by().values("payment")
    good = Counter(dict(made.annotate(total=Sum("amount_minor")).values_list("payment", "total")))
    sent = Refund.objects.filter(payment__in=gone, state=Refund.State.SENT)
    awaited = set(sent.values_list("payment", flat=True))
    payments = Payment.objects.filter(pk__in=gone).select_related("order").order_by("pk")
    found = [
        Twice(payment, gone[payment.pk] - good[payment.pk], payment.pk in awaited)
        for payment in payments
    ]
    return [one for one in found if one.minor > 0]


def of_payment(payment: Payment) -> Twice | None:
    """Return what went out twice of one payment, if anything."""
    return next((one for one in waiting() if one.payment == payment), None)


def fitting(one: Twice) -> QuerySet[Payment]:
    """Return money without an order that may be what came again: no more than is missing."""
    same = suspense.untouched().filter(currency=one.payment.currency)
    return same.filter(received_minor__lte=one.minor, received_minor__gt=0).order_by("-pk")


def make_good(*, payment: Payment, receipt: Payment, now: datetime, actor: Actor) -> MadeGood:
    """Let money without an order be what came again of money that went out twice.

    Raises:
        NotMadeGood: It is more than is missing, or the refund may still fail.
        NotAssignable: The payer of the receipt may be taking it back.
        StaleState: It is not unallocated any more.
    """
    with writing():
        one = _open(payment)
        money = suspense.take(receipt, outcome="made-good")
        if money.currency != one.money.currency or not 0 < money.amount_minor <= one.minor:
            raise NotMadeGood(
                _("No more than %(money)s are missing.") % {"money": one.money},
                _("Send the money back, or credit it; nothing was booked."),
            )
        post(
            source_code=receipt.code,
            kind="made-good",
            transfers=[TransferLine("liabilities:unallocated", bounds.LOSSES, money)],
            description=f"Payment {receipt.code}: what went out twice of {payment.code}",
            now=now,
        )
        return _note(one, money, now, actor, receipt=receipt)


def give_up(*, payment: Payment, reason: str, now: datetime, actor: Actor) -> MadeGood:
    """Note that what went out twice will not come again; the books hold it as a loss already.

    Raises:
        NotMadeGood: Nothing is missing, the refund may still fail, or no reason.
    """
    if not reason.strip():
        raise NotMadeGood(_("Say why it will not come again."), _("Nothing was noted."))
    with writing():
        one = _open(payment)
        return _note(one, one.money, now, actor, reason=reason.strip())


def _open(payment: Payment) -> Twice:
    one = of_payment(payment)
    if one is None:
        raise NotMadeGood(
            _("Nothing of this payment is missing any more."), _("Look at the list again.")
        )
    if one.is_awaited:
        raise NotMadeGood(
            _("The provider has not said yet whether the refund arrived."),
            _("Wait until it does: if it failed, nothing went twice."),
        )
    return one


def _note(
    one: Twice,
    money: Money,
    now: datetime,
    actor: Actor,
    *,
    receipt: Payment | None = None,
    reason: str = "",
) -> MadeGood:
    made = MadeGood.objects.create(
        payment=one.payment,
        receipt=receipt,
        amount_minor=money.amount_minor,
        currency=money.currency,
        reason=reason,
        by=actor.code,
        at=now,
    )
    audit.record(
        now=now,
        actor=actor,
        action="twice.made-good" if receipt else "twice.given-up",
        subject=one.payment.code,
        amount=str(money),
        receipt=receipt.code if receipt else "",
        reason=reason,
    )
    return made
