"""Payments that their payer takes back: the service is held while the dispute is open.

Source: docs/decisions/0023-disputes.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.money import Money
from ferriage.devices import actions as devices
from ferriage.ledger.actions import TransferLine, post
from ferriage.orders import actions as orders
from ferriage.payments import actions, gifts
from ferriage.payments.models import Dispute, Payment, Refund
from ferriage.plans import actions as plans

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.payments.models import ProviderAccount
    from ferriage.payments.providers.contract import Event

HELD: Final = "payment-disputed"
State = Dispute.State


def take(
    *, account: ProviderAccount, payment: Payment, said: Event, now: datetime, actor: Actor
) -> Dispute:
    """Note what a provider says of a dispute, in the caller's transaction.

    Events may come out of order: one that tells the end opens it too, and what is closed stays.
    """
    with writing():
        dispute = _opened(account, payment, said, now, actor)
        if said.kind == "dispute-won":
            _close(dispute, State.WON, now, actor)
        elif said.kind == "dispute-lost" and _close(dispute, State.LOST, now, actor):
            _lose(dispute, now, actor)
    return dispute


def _opened(
    account: ProviderAccount, payment: Payment, said: Event, now: datetime, actor: Actor
) -> Dispute:
    money = said.money or Money(payment.received_minor or payment.amount_minor, payment.currency)
    dispute, made = Dispute.objects.get_or_create(
        account=account,
        reference=said.dispute,
        defaults={
            "payment": payment,
            "amount_minor": money.amount_minor,
            "currency": money.currency,
            "reason": said.reason[:200],
            "opened_at": now,
        },
    )
    if not made:
        return dispute
    audit.record(
        now=now, actor=actor, action="dispute.opened", subject=dispute.code, payment=payment.code
    )
    subscription = payment.order.subscription if payment.order else None
    if payment.outcome == "settled" and subscription is not None:
        plans.hold(
            subscription=subscription,
            source_code=dispute.code,
            reason=HELD,
            now=now,
            actor=actor,
        )
        devices.refresh(subscription=subscription, now=now, actor=actor)
    return dispute


def _close(dispute: Dispute, state: str, now: datetime, actor: Actor) -> bool:
    """Close a dispute once, and release what it held; tells whether this was the first word."""
    still = Dispute.objects.filter(pk=dispute.pk, state=State.OPEN)
    if not still.update(state=state, closed_at=now):
        return False
    dispute.refresh_from_db()
    audit.record(now=now, actor=actor, action=f"dispute.{state}", subject=dispute.code)
    subscription = plans.release(source_code=dispute.code, now=now, actor=actor)
    if subscription is not None:
        devices.refresh(subscription=subscription, now=now, actor=actor)
    return True


def _lose(dispute: Dispute, now: datetime, actor: Actor) -> None:
    """Let the money go back: out of the order that it settled, or from where it waits."""
    payment = Payment.objects.select_related("order").get(pk=dispute.payment_id)
    if payment.outcome == "settled" and payment.order is not None:
        actions.queue_ended(order=payment.order, now=now, actor=actor)
    left = dispute.amount_minor - _refunded_by(dispute, payment, now, actor)
    if left <= 0:
        return
    money = Money(left, dispute.currency)
    if payment.outcome == "settled" and payment.order is not None:
        gifts.end_code(order=payment.order, now=now)
        orders.charge_back(
            order=payment.order,
            money=money,
            asset=dispute.account.asset,
            source_code=dispute.code,
            now=now,
            actor=actor,
        )
        return
    _lose_unsettled(dispute, payment, money, now)


def _refunded_by(dispute: Dispute, payment: Payment, now: datetime, actor: Actor) -> int:
    """Let a dispute pay the refunds that wait: the money that is owed back went back by it."""
    paid = 0
    for refund in Refund.objects.filter(
        payment=payment, state__in=[Refund.State.QUEUED, Refund.State.BY_HAND]
    ).order_by("pk"):
        if paid + refund.amount_minor > dispute.amount_minor:
            break
        paid += refund.amount_minor
        Refund.objects.filter(pk=refund.pk).update(
            state=Refund.State.PAID, paid_at=now, paid_reference=dispute.code, ask_at=None
        )
        money = Money(refund.amount_minor, refund.currency)
        post(
            source_code=refund.code,
            kind="refund-paid",
            transfers=[TransferLine("liabilities:refunds", dispute.account.asset, money)],
            description=f"Refund {refund.code}, taken by dispute {dispute.code}",
            now=now,
        )
        audit.record(now=now, actor=actor, action="refund.disputed", subject=refund.code)
    return paid


def _lose_unsettled(dispute: Dispute, payment: Payment, money: Money, now: datetime) -> None:
    """Take back money that no order took, or that went on otherwise."""
    waits = Payment.objects.filter(
        pk=payment.pk, outcome="unallocated", received_minor=dispute.amount_minor
    )
    source = "expenses:disputes"
    if waits.update(outcome="charged-back"):
        source = "liabilities:unallocated"
    post(
        source_code=dispute.code,
        kind="dispute-lost",
        transfers=[TransferLine(source, dispute.account.asset, money)],
        description=f"Dispute {dispute.code} of payment {payment.code}",
        now=now,
    )
