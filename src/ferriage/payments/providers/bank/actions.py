"""Bank transfers: a reference for the payer, receipts booked from the bank's statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.packfile import is_place
from ferriage.core.actors import Actor
from ferriage.core.compiled import Compiled, update
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.orders.models import Order
from ferriage.payments import recalls
from ferriage.payments.capture import (
    Captured,
    change_once,
    finish,
    post_receipt,
    receipt_of,
    settle_or_refund,
)
from ferriage.payments.inbox import keep
from ferriage.payments.models import InboxEvent, Payment
from ferriage.payments.providers.bank import reference as references
from ferriage.payments.providers.bank.provider import TITLE, BankProvider
from ferriage.payments.providers.contract import Means, Urls
from ferriage.payments.starting import start_by

if TYPE_CHECKING:
    from datetime import datetime

PROVIDER: Final = "bank"
ACCOUNT: Final = "assets:bank"
LONGEST_NUMBER: Final = 100
_EVENT: Final = Compiled(1, lambda pk: InboxEvent.objects.select_related("payment").filter(pk=pk))
_NAMED: Final = Compiled(
    1, lambda reference: Payment.objects.select_related("order").filter(reference=reference)
)
MOST_MINOR: Final = 10**15
"""What is kept must be bookable, or it would stay in the inbox for ever."""


class ReceiptWrong(FerriageError):
    """A receipt that cannot have come from a bank statement."""

    slug = "receipt-wrong"
    status = 422


def start_bank(*, order: Order, payer_place: str = "", now: datetime, actor: Actor) -> Payment:
    """Begin a bank transfer for an open order, or return the one that was begun.

    Args:
        payer_place: Where transfers to the shop's account presume the payer; empty presumes
            nothing.

    Raises:
        NotPayable: The order is paid, cancelled or expired.
        MeansNotOffered: The payer's presumable place stands against the order's.
    """
    return start_by(
        provider=BankProvider(),
        account=None,
        means=Means(PROVIDER, TITLE, payer_place=payer_place),
        order=order,
        urls=Urls("", "", ""),
        now=now,
        actor=actor,
    )


def book_receipt(
    *,
    reference: str,
    transaction_id: str,
    money: Money,
    payer_place: str = "",
    now: datetime,
    actor: Actor,
    note: str = "",
    account: str = ACCOUNT,
) -> Captured:
    """Book money that came to the bank account: kept first, matched and posted second.

    Whatever is wrong with it, it is never dropped: what matches an open order exactly settles
    it; what a bank had taken back and sends again ends the recall; what an order cannot take any
    more is queued for refund; the rest waits unallocated.

    Args:
        reference: As the payer wrote it, with whatever stands around it.
        transaction_id: The bank's own name of the receipt; one is booked once.
        payer_place: The country of the payer's bank; empty where nobody knows.
        account: Where it lies in the books.

    Raises:
        ReceiptWrong: No transaction number, or an amount that is not above zero; both in bounds;
            or a number that was kept with another amount; or a place that is none.
    """
    transaction_id = check_receipt(transaction_id, money, payer_place)
    event = keep(
        PROVIDER,
        transaction_id,
        {
            "reference": reference,
            "amount_minor": money.amount_minor,
            "currency": money.currency,
            "note": note,
            "payer_place": payer_place,
            "account": account,
            "actor": [actor.kind, actor.code],
        },
        now,
    )
    kept = _money(event)
    if kept != money:
        raise ReceiptWrong(
            _("A receipt with this number was booked before, with another amount: %(money)s.")
            % {"money": kept},
            _("Compare both with the statement; nothing was booked now."),
        )
    return handle(event=event, now=now)


def check_receipt(transaction_id: str, money: Money, payer_place: str) -> str:
    """Return the bank's number without blanks, or refuse what cannot be booked.

    Raises:
        ReceiptWrong: As `book_receipt`, but for numbers that were kept before.
    """
    transaction_id = transaction_id.strip()
    plausible = 0 < money.amount_minor <= MOST_MINOR
    if not 0 < len(transaction_id) <= LONGEST_NUMBER or not plausible:
        raise ReceiptWrong(
            _("A receipt needs the bank's number of it and an amount above zero."),
            _("Copy both from the statement; nothing was booked."),
        )
    if payer_place and not is_place(payer_place):
        raise ReceiptWrong(
            _("“%s” is not the code of a country.") % payer_place,
            _("Use the ISO 3166 code, such as SE or CN, or leave it empty; nothing was booked."),
        )
    return transaction_id


def handle(*, event: InboxEvent, now: datetime) -> Captured:
    """Match and post a receipt that is in the inbox, once however often it is called."""
    with writing():
        event = _EVENT.get(event.pk)
        if event.handled_at is not None:
            assert event.payment is not None  # noqa: S101 -- set with handled_at
            return Captured(event.payment, "duplicate", event.outcome)
        captured = _capture(event, now)
        change_once(
            update(
                InboxEvent,
                {"pk": event.pk, "handled_at": None},
                handled_at=now,
                outcome=captured.outcome,
                payment=captured.payment,
            )
        )
    return captured


def _capture(event: InboxEvent, now: datetime) -> Captured:
    actor = Actor(*event.raw["actor"])
    money = _money(event)
    candidates = references.found_in(event.raw["reference"])
    named = _named(candidates)
    # Money that names two orders is for staff to judge.
    asked = named[0] if len(named) == 1 else None
    expected = asked is not None and asked.state == Payment.State.PENDING and money == _asked(asked)
    payment = _captured_row(asked if expected else None, asked, event.event_id, money, now)
    lies_in = [(event.raw.get("account", ACCOUNT), money.amount_minor)]
    recall = recalls.answering(asked, money) if asked is not None and not expected else None
    if recall is not None:
        post_receipt(payment, from_accounts=lies_in, now=now)
        return recalls.come_again(dispute=recall, payment=payment, now=now, actor=actor)
    if asked is not None and (expected or money == _asked(asked)):
        return settle_or_refund(
            payment,
            refundable_minor=money.amount_minor,
            receipt=receipt_of(payment, lies_in),
            payer_place=event.raw.get("payer_place", ""),
            now=now,
            actor=actor,
        )
    post_receipt(payment, from_accounts=lies_in, now=now)
    reason = (
        _mismatch(asked, money) if asked else _unmatched(event.raw["reference"], candidates, named)
    )
    finish(payment, outcome="unallocated", now=now, actor=actor, reason=reason)
    return Captured(payment, "unallocated", reason)


def _named(references: list[str]) -> list[Payment]:
    """Return up to two of the payments that ask for their payer's money by these."""
    if len(references) == 1:
        return _NAMED(references[0])
    return list(Payment.objects.select_related("order").filter(reference__in=references)[:2])


def _money(event: InboxEvent) -> Money:
    return Money(event.raw["amount_minor"], event.raw["currency"])


def _asked(payment: Payment) -> Money:
    """Return what is due now of a payment's open order; of another, what its payer was told."""
    if payment.order is None or payment.order.state != Order.State.OPEN:
        return Money(payment.amount_minor, payment.currency)
    return payment.order.due


def _captured_row(
    expected: Payment | None,
    asked: Payment | None,
    transaction_id: str,
    money: Money,
    now: datetime,
) -> Payment:
    """Return the awaited payment as captured, or a row of its own for any other money."""
    if expected is not None:
        captured = {
            "state": Payment.State.CAPTURED,
            "transaction_id": transaction_id,
            "received_minor": money.amount_minor,
            "captured_at": now,
        }
        pending = {"pk": expected.pk, "state": Payment.State.PENDING}
        change_once(update(Payment, pending, **captured))
        for name, value in captured.items():
            setattr(expected, name, value)
        return expected
    return Payment.objects.create(
        order=asked.order if asked else None,
        provider=PROVIDER,
        state=Payment.State.CAPTURED,
        amount_minor=money.amount_minor,
        currency=money.currency,
        transaction_id=transaction_id,
        received_minor=money.amount_minor,
        created_at=now,
        captured_at=now,
    )


def _mismatch(asked: Payment, money: Money) -> str:
    if asked.order is not None and asked.order.state == Order.State.FULFILLED:
        return "order-fulfilled"
    if asked.currency != money.currency:
        return "other-currency"
    return "too-little" if money.amount_minor < _asked(asked).amount_minor else "too-much"


def _unmatched(text: str, candidates: list[str], named: list[Payment]) -> str:
    if named:
        return "two-references"
    if candidates:
        return "unknown-reference"
    return "reference-mistyped" if references.looks_tried(text) else "no-reference"
