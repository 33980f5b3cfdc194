"""What is owed for an order that a given code paid: it goes to whoever gave the code.

    order ended ──> refund of the code's payment, passed on ──> refund of the giver's payment
                                                            └─> the giver's balance

In the proportion in which the code was bought. Whoever used it is told that it goes to the giver,
and neither of them learns who the other is.

Source: docs/decisions/0067-gifts-go-back.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Sum

from ferriage.core import audit
from ferriage.core.money import Money, split
from ferriage.orders import balance
from ferriage.orders.owedmodels import OwedTo
from ferriage.payments import bounds
from ferriage.payments.models import Gift, Payment, Refund

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.core.actors import Actor
    from ferriage.orders.models import Order


@dataclass(frozen=True, slots=True)
class Way:
    """How an amount goes back to whoever gave a code: to their payment, and to their balance."""

    gift: Order
    payment: Payment | None
    paid_minor: int
    balance_minor: int

    @property
    def minor(self) -> int:
        """All that goes back; less than is owed where the giver is gone and had a balance."""
        return self.paid_minor + self.balance_minor


def used_by(gift: Order) -> Order | None:
    """Return the order that the code of a gift paid, if somebody used it."""
    given = Gift.objects.select_related("voucher__payment__order").filter(order=gift).first()
    payment = given.voucher.payment if given else None
    return payment.order if payment else None


def given_by(order: Order) -> Order | None:
    """Return the order by which a giver bought the code that paid an order, if one did."""
    given = Gift.objects.select_related("order__account").filter(voucher__payment__order=order)
    found = given.first() if order.owed_to == OwedTo.GIVER else None
    return found.order if found else None


def way_of(*, order: Order, minor: int) -> Way | None:
    """Return how an amount that is owed for an order goes to its giver; None where nobody gave it.

    What the payment cannot take back any more goes to the balance, and all of what a giver is owed
    who has no account any more to the payment, as far as it can take it.
    """
    gift = given_by(order)
    if gift is None:
        return None
    payment = Payment.objects.filter(order=gift, outcome="settled").first()
    left = bounds.left_of(payment) if payment else 0
    if gift.account is None:
        return Way(gift, payment, max(min(minor, left), 0), 0)
    passed = _sum(Refund.objects.filter(payment__order=order, state=Refund.State.PASSED))
    before = _sum(Refund.objects.filter(payment__order=gift, kind=Refund.Kind.GIFT))
    otherwise = gift.refundable_minor - gift.paid_minor
    whole = split(passed + minor, [otherwise, gift.paid_minor])[1]
    paid = max(min(whole - before, minor, left), 0)
    return Way(gift, payment, paid, minor - paid)


def pass_on(*, refund: Refund, way: Way, now: datetime, actor: Actor) -> None:
    """Let a refund of what a code paid be the giver's, in the transaction that wrote it."""
    if way.paid_minor and way.payment is not None:
        back = Refund.objects.create(
            payment=way.payment,
            kind=Refund.Kind.GIFT,
            passed_from=refund,
            amount_minor=way.paid_minor,
            currency=refund.currency,
            reason="gift not used up",
            created_at=now,
        )
        audit.record(
            now=now,
            actor=actor,
            action="refund.queued",
            subject=way.payment.code,
            refund=back.code,
        )
    if way.balance_minor:
        money = Money(way.balance_minor, refund.currency)
        balance.return_gift(order=way.gift, money=money, now=now)
    audit.record(
        now=now,
        actor=actor,
        action="refund.passed-on",
        subject=refund.code,
        gift=way.gift.code,
        to_payment=str(Money(way.paid_minor, refund.currency)),
        to_balance=str(Money(way.balance_minor, refund.currency)),
    )


def _sum(refunds: QuerySet[Refund]) -> int:
    return refunds.aggregate(total=Sum("amount_minor"))["total"] or 0
