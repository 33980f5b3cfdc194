"""Payments that their payer takes back: the service is held while the dispute is open.

Source: docs/decisions/0023-disputes.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.core.db import writing
from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.orders import actions as orders
from ferriage.payments import actions, bounds, disputed, gifts, passing, suspense
from ferriage.payments.models import Dispute, Payment, Refund
from ferriage.payments.providers.voucher import returned as resellers

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.payments.models import ProviderAccount
    from ferriage.payments.providers.contract import Event

State = Dispute.State


def take(
    *, account: ProviderAccount, payment: Payment, said: Event, now: datetime, actor: Actor
) -> Dispute:
    """Note what a provider says of a dispute, in the caller's transaction.

    Events may come out of order: one that tells the end opens it too, and what is closed stays.
    What is told in another currency than the payment's is taken as all of it, and staff see what
    was told: nobody knows here how much of the payment it is.
    """
    whole = Money(payment.received_minor or payment.amount_minor, payment.currency)
    money, reason = said.money or whole, said.reason
    if money.currency != whole.currency:
        money, reason = whole, f"{money} {said.reason}".strip()
    with writing():
        dispute, _new = disputed.opened(
            payment=payment,
            account=account,
            reference=said.dispute,
            money=money,
            reason=reason,
            now=now,
            actor=actor,
        )
        if said.kind == "dispute-won":
            disputed.close(dispute=dispute, state=State.WON, now=now, actor=actor)
        elif said.kind == "dispute-lost":
            lose(dispute=dispute, now=now, actor=actor)
    return dispute


def lose(*, dispute: Dispute, now: datetime, actor: Actor) -> bool:
    """Let the money be gone, unless the dispute is over; tells whether this was the first word."""
    with writing():
        payment = Payment.objects.select_related("order").get(pk=dispute.payment_id)
        if payment.outcome == "settled" and payment.order is not None:
            # What is owed goes by the dispute, so it is queued while the money counts as here.
            for order in filter(None, (payment.order, passing.used_by(payment.order))):
                actions.queue_ended(order=order, now=now, actor=actor)
        if not disputed.close(dispute=dispute, state=State.LOST, now=now, actor=actor):
            return False
        _lose(dispute, payment, now, actor)
        orders.let_go(source_code=dispute.code, now=now)
    return True


def _lose(dispute: Dispute, payment: Payment, now: datetime, actor: Actor) -> None:
    """Let the money go back: out of the order that it settled, or from where it waits."""
    left = dispute.amount_minor - _refunded_by(dispute, payment, now, actor)
    if left <= 0:
        return
    money = Money(left, dispute.currency)
    refunded = dispute.amount_minor - left
    gifts.end_codes(dispute=dispute, refunded=refunded, now=now, actor=actor)
    if payment.outcome == "settled" and payment.order is not None:
        if not gifts.end_code(order=payment.order, now=now):
            gifts.owe_less(order=payment.order, minor=left)
        orders.charge_back(
            order=payment.order,
            money=money,
            whole=bounds.left_of(payment) <= 0,
            asset=dispute.asset,
            source_code=dispute.code,
            now=now,
            actor=actor,
        )
        return
    gone = resellers.owe_again(dispute=dispute, money=money, now=now, actor=actor)
    if left > gone:
        _lose_unsettled(dispute, payment, Money(left - gone, money.currency), now)


def _refunded_by(dispute: Dispute, payment: Payment, now: datetime, actor: Actor) -> int:
    """Let a dispute pay the refunds that wait: the money that is owed back went back by it.

    Of one that is more than that, a part: the rest goes on waiting.
    """
    paid = 0
    waiting = Refund.objects.filter(payment=payment, state__in=bounds.WAITS)
    for refund in waiting.order_by("pk"):
        left = dispute.amount_minor - paid
        if left <= 0:
            break
        paid += bounds.pay_by_dispute(
            refund=refund, dispute=dispute, most=left, asset=dispute.asset, now=now, actor=actor
        )
    return paid


def _lose_unsettled(dispute: Dispute, payment: Payment, money: Money, now: datetime) -> None:
    """Take back money that no order took, or that was credited, or that went on otherwise."""
    credited = orders.take_credited(
        payment_code=payment.code,
        money=money,
        asset=dispute.asset,
        source_code=dispute.code,
        now=now,
    )
    left = money.amount_minor - credited
    if not left:
        return
    waited = suspense.give_up(payment, left)
    sources = {"liabilities:unallocated": waited, "expenses:disputes": left - waited}
    post(
        source_code=dispute.code,
        kind="dispute-lost",
        transfers=[
            TransferLine(source, dispute.asset, Money(minor, money.currency))
            for source, minor in sources.items()
            if minor
        ],
        description=f"Dispute {dispute.code} of payment {payment.code}",
        now=now,
    )
