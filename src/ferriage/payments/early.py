"""Disputes that are told before the money that they are about came: they wait for it.

Providers promise no order, and money may come late for reasons of ours: a callback that was lost, a
clock that stood behind its records.

    dispute of money that we do not have ──> kept, and `awaits` its name
    that money comes ──> captured, and all that awaits it is done, in one transaction

Source: docs/decisions/0064-claims-on-money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Exists, OuterRef, Q

from ferriage.payments import disputes
from ferriage.payments.models import InboxEvent, Payment
from ferriage.payments.providers.contract import Event

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.core.actors import Actor

EARLY: Final = "early"
"""Outcome of an event that awaits money; it is `noted` when that came."""


def dispute(
    *, event: InboxEvent, said: Event, payment: Payment | None, now: datetime, actor: Actor
) -> str:
    """Do what a provider says of a dispute, or let it wait for its money; returns the outcome.

    In the caller's transaction.
    """
    account = payment.account if payment else None
    if payment is None or account is None or payment.state != Payment.State.CAPTURED:
        awaits = said.transaction_id or said.payment or None
        InboxEvent.objects.filter(pk=event.pk).update(awaits=awaits)
        return EARLY if awaits else "noted"
    disputes.take(account=account, payment=payment, said=said, now=now, actor=actor)
    return "noted"


def catch_up(*, payment: Payment, said: Event, now: datetime, actor: Actor) -> None:
    """Do what disputes said of money that just came, once, in the order in which they said it.

    Args:
        said: What brought the money.
    """
    told = InboxEvent.objects.filter(
        awaits_money(said.transaction_id, said.payment), provider=payment.provider
    )
    # Read anew: what it settled has a subscription only now.
    payment = Payment.objects.select_related("order__subscription", "account").get(pk=payment.pk)
    for event in told.order_by("pk"):
        before = Event.from_json(event.raw["event"])
        outcome = dispute(event=event, said=before, payment=payment, now=now, actor=actor)
        told.filter(pk=event.pk).update(awaits=None, payment=payment, outcome=outcome)


def awaits_money(transaction_id: object, code: object) -> Q:
    """Return the condition that events await money of this name, or of our payment's code."""
    # Said of the column, so that both databases read the index of what awaits, and nothing else.
    return Q(awaits__isnull=False) & (Q(awaits=transaction_id) | Q(awaits=code))


def is_awaited(transaction_id: object, code: object) -> Exists:
    """Return whether anything of an event's provider awaits money, to be asked with the event.

    So money that nobody disputed costs no question of its own.
    """
    told: QuerySet[InboxEvent] = InboxEvent.objects.filter(
        awaits_money(transaction_id, code), provider=OuterRef("provider")
    )
    return Exists(told)
