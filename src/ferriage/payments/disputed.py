"""Disputes from their first word to their last: what is held while one is open.

Source: docs/decisions/0023-disputes.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage.core import audit
from ferriage.core.money import Money
from ferriage.devices import actions as devices
from ferriage.orders import actions as orders
from ferriage.payments.models import Dispute
from ferriage.plans import actions as plans

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.payments.models import Payment, ProviderAccount

HELD: Final = "payment-disputed"
State = Dispute.State


def opened(
    *,
    payment: Payment,
    account: ProviderAccount | None,
    reference: str,
    money: Money,
    reason: str,
    now: datetime,
    actor: Actor,
) -> tuple[Dispute, bool]:
    """Return the dispute of this name and whether it is new; a new one holds the service.

    In the caller's transaction.
    """
    dispute, made = Dispute.objects.exclude(state=State.VOID).get_or_create(
        account=account,
        reference=reference,
        defaults={
            "payment": payment,
            "amount_minor": money.amount_minor,
            "currency": money.currency,
            "reason": reason[:200],
            "opened_at": now,
        },
    )
    if made:
        audit.record(
            now=now,
            actor=actor,
            action="dispute.opened",
            subject=dispute.code,
            payment=payment.code,
        )
        _hold(dispute, payment, now, actor)
    return dispute, made


def _hold(dispute: Dispute, payment: Payment, now: datetime, actor: Actor) -> None:
    order = payment.order if payment.outcome == "settled" else None
    if order is None and payment.outcome != "credited":
        return
    orders.hold(
        order=order,
        payment_code=payment.code,
        money=Money(dispute.amount_minor, dispute.currency),
        source_code=dispute.code,
        now=now,
        actor=actor,
    )
    subscription = order.subscription if order else None
    if subscription is not None:
        plans.hold(
            subscription=subscription,
            source_code=dispute.code,
            reason=HELD,
            now=now,
            actor=actor,
        )
        devices.refresh(subscription=subscription, now=now, actor=actor)


def close(*, dispute: Dispute, state: str, now: datetime, actor: Actor) -> bool:
    """Close a dispute once, and release what it held; tells whether this was the first word.

    In the caller's transaction. What a lost one holds of balances is for the caller to take.
    """
    still = Dispute.objects.filter(pk=dispute.pk, state=State.OPEN)
    if not still.update(state=state, closed_at=now):
        return False
    dispute.refresh_from_db()
    audit.record(now=now, actor=actor, action=f"dispute.{state}", subject=dispute.code)
    if state != State.LOST:
        orders.let_go(source_code=dispute.code, now=now)
    subscription = plans.release(source_code=dispute.code, now=now, actor=actor)
    if subscription is not None:
        devices.refresh(subscription=subscription, now=now, actor=actor)
    return True
