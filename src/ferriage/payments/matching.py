"""What a kept event means: the second step, repeatable, and done once.

Money is booked once under the provider's own name of it, whatever event, answer or second event
speaks of it, and in whatever order they come.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from ferriage.core.actors import Actor
from ferriage.core.compiled import Compiled, update
from ferriage.core.db import writing
from ferriage.orders.models import Order
from ferriage.payments import early, inbox, refunding
from ferriage.payments.capture import (
    Captured,
    change_once,
    finish,
    post_receipt,
    receipt_of,
    settle_or_refund,
)
from ferriage.payments.models import InboxEvent, Payment, Refund
from ferriage.payments.providers import registry
from ferriage.payments.providers.contract import Event, RefundResult
from ferriage.payments.starting import BEGUN

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.money import Money
    from ferriage.payments.models import ProviderAccount

_BEGUN: Final = Payment.objects.select_related("order__subscription")
_KEPT: Final = Compiled(
    3,
    lambda pk, money, code: (
        InboxEvent.objects.select_related("account")
        .annotate(is_awaited=early.is_awaited(money, code))
        .filter(pk=pk)
    ),
)
_BY_CODE: Final = Compiled(2, lambda account, code: _BEGUN.filter(account=account, code=code))
_BY_REF: Final = Compiled(2, lambda account, ref: _BEGUN.filter(account=account, provider_ref=ref))
_BY_MONEY: Final = Compiled(
    3,
    lambda provider, money, account: _BEGUN.filter(
        provider=provider, transaction_id=money, account=account
    ),
)
_BOOKED: Final = Compiled(
    2,
    lambda provider, money: Payment.objects.filter(provider=provider, transaction_id=money),
)
PROVIDER: Final = Actor("system", "provider")
DECLINED: Final = "declined"
"""Reason of a payment that is begun and whose payer was refused by the provider."""
PARKED: Final = frozenset({"order-fulfilled", "order-expired", "order-cancelled"})
"""Why exact money waits for staff: the customer may want another order instead of a refund."""


def handle(*, event: InboxEvent, now: datetime) -> str:
    """Do what a kept event means, once however often it is called; returns its outcome.

    Raises:
        ProviderDown: The provider had to be asked and does not answer; it stays in the inbox.
    """
    assert event.account is not None  # noqa: S101 -- what staff book is handled by the bank's room
    said = Event.from_json(event.raw["event"])
    if said.kind == "look" and event.handled_at is None:
        look(event.account, find(event.account, said), now)
    with writing():
        event = _KEPT.get(event.pk, said.transaction_id, said.payment)
        if event.handled_at is not None:
            return "duplicate"
        outcome, payment = _do(event, said, now)
        change_once(
            update(
                InboxEvent,
                {"pk": event.pk, "handled_at": None},
                handled_at=now,
                outcome=outcome,
                payment=payment,
            )
        )
    return outcome


def look(account: ProviderAccount, payment: Payment | None, now: datetime) -> None:
    """Ask the provider what became of a payment; keep what it says, and handle it."""
    if payment is None:
        return
    said = registry.opened(account).ask(payment)
    for event in inbox.keep_said(account, said, now):
        handle(event=event, now=now)


def find(account: ProviderAccount, said: Event) -> Payment | None:
    """Return the payment that an event speaks of: by our code, or by the provider's names."""
    found = _found(account, said)
    if found is not None:
        found.account = account
    return found


def _found(account: ProviderAccount, said: Event) -> Payment | None:
    if said.payment and (found := _BY_CODE.first(account, said.payment)):
        return found
    if said.provider_ref and (found := _BY_REF.first(account, said.provider_ref)):
        return found
    if said.kind == "paid" or not said.transaction_id:
        return None
    return _BY_MONEY.first(account.slug, said.transaction_id, account)


def _do(event: InboxEvent, said: Event, now: datetime) -> tuple[str, Payment | None]:
    assert event.account is not None  # noqa: S101 -- asserted by the caller
    if said.kind == "paid":
        captured = _capture(event.account, said, now)
        if event.is_awaited:  # type: ignore[attr-defined]  # asked with it
            early.catch_up(payment=captured.payment, said=said, now=now, actor=PROVIDER)
        return captured.outcome, captured.payment
    if said.kind.startswith("dispute-") and said.dispute:
        return _disputed(event.account, event, said, now)
    payment = find(event.account, said)
    if said.kind in {"refunded", "refund-failed"}:
        return _refunded(event.account, said, now), payment
    if payment is None:
        return "noted", None
    if said.kind == "failed":
        # Money that came before or comes later stands above a failure that is told late.
        begun = Payment.objects.filter(pk=payment.pk, state__in=BEGUN)
        begun.update(state=Payment.State.FAILED)
    elif said.kind == "declined":
        # The payer may try again there: it stays begun, and is asked about as before.
        Payment.objects.filter(pk=payment.pk, state__in=BEGUN).update(reason=DECLINED)
    return "noted", payment


def _disputed(
    account: ProviderAccount, event: InboxEvent, said: Event, now: datetime
) -> tuple[str, Payment | None]:
    """Do what is said of a dispute of money, which the provider names as it named it when it came.

    What was begun may be another row than the money's, so our code is only asked for without a
    name. The money may have come by another account of the shop's, whose keys were changed since;
    but what is tried out says nothing of real money.
    """
    if said.transaction_id:
        payment = _BOOKED.first(account.slug, said.transaction_id)
        if payment is not None and payment.account and payment.account.mode != account.mode:
            payment = None
    else:
        payment = find(account, said)
    outcome = early.dispute(event=event, said=said, payment=payment, now=now, actor=PROVIDER)
    return outcome, payment


def _refunded(account: ProviderAccount, said: Event, now: datetime) -> str:
    """Note a refund's end where it is told by a callback. Others are found in the settlement."""
    refund = Refund.objects.filter(code=said.refund, payment__account=account).first()
    if refund is None:
        return "noted"
    state: Literal["paid", "failed"] = "paid" if said.kind == "refunded" else "failed"
    result = RefundResult(state, said.transaction_id, said.reason)
    refunding.note(refund=refund, result=result, now=now, actor=PROVIDER)
    return "refund"


def _capture(account: ProviderAccount, said: Event, now: datetime) -> Captured:
    assert said.money is not None  # noqa: S101 -- the contract holds it of `paid`
    if booked := _BOOKED.first(account.slug, said.transaction_id):
        return Captured(booked, "duplicate", booked.reason)
    asked = find(account, said)
    exact = asked is not None and asked.order is not None and said.money == asked.order.due
    payment = _captured_row(account, asked if exact else None, asked, said, now)
    lies_in = [(account.asset, said.money.amount_minor)]
    if exact:
        return settle_or_refund(
            payment,
            refundable_minor=said.money.amount_minor,
            receipt=receipt_of(payment, lies_in),
            payer_place=said.payer_place,
            parked=PARKED,
            now=now,
            actor=PROVIDER,
        )
    post_receipt(payment, from_accounts=lies_in, now=now)
    reason = _mismatch(asked, said.money)
    finish(payment, outcome="unallocated", now=now, actor=PROVIDER, reason=reason)
    return Captured(payment, "unallocated", reason)


def _captured_row(
    account: ProviderAccount,
    expected: Payment | None,
    asked: Payment | None,
    said: Event,
    now: datetime,
) -> Payment:
    """Return the payment that was begun as captured, or a row of its own for any other money."""
    assert said.money is not None  # noqa: S101 -- the contract holds it of `paid`
    waiting = (*BEGUN, Payment.State.FAILED)
    if expected is not None and expected.state in waiting:
        captured = {
            "state": Payment.State.CAPTURED,
            "transaction_id": said.transaction_id,
            "received_minor": said.money.amount_minor,
            "captured_at": now,
            "ask_at": None,
        }
        change_once(update(Payment, {"pk": expected.pk, "state": expected.state}, **captured))
        for name, value in captured.items():
            setattr(expected, name, value)
        return expected
    return Payment.objects.create(
        order=asked.order if asked else None,
        provider=account.slug,
        account=account,
        state=Payment.State.CAPTURED,
        amount_minor=said.money.amount_minor,
        currency=said.money.currency,
        transaction_id=said.transaction_id,
        received_minor=said.money.amount_minor,
        created_at=now,
        captured_at=now,
    )


def _mismatch(asked: Payment | None, money: Money) -> str:
    if asked is None or asked.order is None:
        return "unknown-order"
    if asked.order.state == Order.State.FULFILLED:
        return "order-fulfilled"
    due = asked.order.due
    if due.currency != money.currency:
        return "other-currency"
    return "too-little" if money.amount_minor < due.amount_minor else "too-much"
