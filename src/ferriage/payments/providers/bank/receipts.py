"""Receipts typed by hand: money over the counter, or a transfer that no statement was read of.

Above the limit a receipt waits and does nothing until another member of staff confirms it.

Source: docs/decisions/0028-second-person-for-receipts.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import IntegrityError
from django.utils.translation import gettext_lazy as _

from ferriage.approvals.actions.evidence import keep_receipt
from ferriage.core import audit
from ferriage.core.codes import new_code
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money, exponent
from ferriage.payments.capture import Captured, change_once
from ferriage.payments.models import HandReceipt, Payment
from ferriage.payments.providers.bank import actions as bank
from ferriage.payments.providers.bank import numbers

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from ferriage.approvals.actions import EvidenceFile
    from ferriage.core.actors import Actor

CASH: Final = "assets:cash"
_AT_ONCE: Final = 500


class EvidenceMissing(FerriageError):
    """A receipt that needs a file to prove it, without one."""

    slug = "evidence-missing"
    status = 422


class SecondPersonNeeded(FerriageError):
    """Whoever entered a receipt cannot confirm it."""

    slug = "second-person-needed"


def enter(  # noqa: PLR0913 -- what a receipt is made of
    *,
    kind: str,
    reference: str,
    transaction_id: str,
    money: Money,
    payer_place: str = "",
    note: str = "",
    file: EvidenceFile | None = None,
    limit: int,
    store_dir: Path,
    now: datetime,
    actor: Actor,
) -> HandReceipt | Captured:
    """Enter a receipt; up to the limit it is booked at once, above it waits for another person.

    Args:
        transaction_id: The bank's number, or that of the receipt book for cash; compared and
            kept without blanks and in capitals.
        limit: Whole units of the currency.

    Returns:
        What became of the money; the receipt itself while it waits.

    Raises:
        ReceiptWrong: As `book_receipt`, or a statement brought it as something else.
        EvidenceMissing: Cash, or an amount above the limit, without a file.
    """
    number = numbers.plain(bank.check_receipt(transaction_id, money, payer_place))
    if kind == HandReceipt.Kind.CASH:
        number = f"cash {number}"[: bank.LONGEST_NUMBER]
    needs_second = money.amount_minor > limit * 10 ** exponent(money.currency)
    if file is None and (needs_second or kind == HandReceipt.Kind.CASH):
        raise EvidenceMissing(
            _("Cash, and every amount above the limit, needs a file that proves it."),
            _("Add a photograph or scan of the receipt; nothing was booked."),
        )
    if booked := _booked_before(number, money):
        return booked
    code = new_code("rcp")
    proof = (
        keep_receipt(file=file, subject=code, store_dir=store_dir, now=now, actor=actor)
        if file
        else None
    )
    try:
        with writing():
            receipt = HandReceipt.objects.create(
                code=code,
                kind=kind,
                reference=reference,
                transaction_id=number,
                amount_minor=money.amount_minor,
                currency=money.currency,
                payer_place=payer_place,
                note=note,
                evidence=proof,
                needs_second=needs_second,
                entered_by=actor.code,
                entered_at=now,
            )
            _record(receipt, "entered", now, actor)
    except IntegrityError as error:
        raise bank.ReceiptWrong(
            _("A receipt with this number was entered before, and waits."),
            _("Look at the list; nothing was entered."),
        ) from error
    return receipt if needs_second else book(receipt=receipt, now=now, actor=actor)


def confirm(*, receipt: HandReceipt, now: datetime, actor: Actor) -> Captured:
    """Confirm a receipt as another member of staff, and book it.

    Raises:
        SecondPersonNeeded: The actor entered it, or is no member of staff.
        ReceiptWrong: It came as something else meanwhile; it still waits, and can be dropped.
        StaleState: It was confirmed or dropped.
    """
    if actor.kind != "staff" or actor.is_called(receipt.entered_by):
        raise SecondPersonNeeded(
            _("A receipt is confirmed by another person than the one who entered it."),
            _("Ask a second member of staff. Nothing was booked."),
        )
    with writing():
        _booked_before(receipt.transaction_id, _money(receipt))
        change_once(
            HandReceipt.objects.filter(pk=receipt.pk, confirmed_at=None, dropped_at=None).update(
                confirmed_by=actor.code, confirmed_at=now
            )
        )
        _record(receipt, "confirmed", now, actor)
    return book(receipt=receipt, now=now, actor=actor)


def drop(*, receipt: HandReceipt, now: datetime, actor: Actor) -> None:
    """Drop a receipt that waits; any one member of staff may.

    Raises:
        StaleState: It was confirmed, dropped or booked.
    """
    with writing():
        waiting = HandReceipt.objects.filter(
            pk=receipt.pk, confirmed_at=None, dropped_at=None, booked_at=None
        )
        change_once(waiting.update(dropped_by=actor.code, dropped_at=now))
        _record(receipt, "dropped", now, actor)


def book(*, receipt: HandReceipt, now: datetime, actor: Actor) -> Captured:
    """Book a receipt that may be, once however often it is called.

    What a statement brought while it waited is booked already: it ends as a duplicate.

    Raises:
        SecondPersonNeeded: It still waits for another person.
        ReceiptWrong: It came as something else meanwhile.
    """
    with writing():
        receipt = HandReceipt.objects.get(pk=receipt.pk)
        if receipt.needs_second and receipt.confirmed_at is None:
            raise SecondPersonNeeded(_("This receipt waits for a second person."))
        money = _money(receipt)
        captured = _booked_before(receipt.transaction_id, money) or bank.book_receipt(
            reference=receipt.reference,
            transaction_id=receipt.transaction_id,
            money=money,
            payer_place=receipt.payer_place,
            note=receipt.note,
            account=CASH if receipt.kind == HandReceipt.Kind.CASH else bank.ACCOUNT,
            now=now,
            actor=actor,
        )
        HandReceipt.objects.filter(pk=receipt.pk, booked_at=None).update(
            booked_at=now, payment=captured.payment
        )
    return captured


def left() -> list[HandReceipt]:
    """Return what may be booked and was not: a crash, or a clock that stood wrong."""
    unbooked = HandReceipt.objects.filter(booked_at=None, dropped_at=None)
    ready = unbooked.exclude(needs_second=True, confirmed_at=None)
    return list(ready.order_by("pk")[:_AT_ONCE])


def waiting() -> list[HandReceipt]:
    """Return what waits for a second person, oldest first."""
    return list(
        HandReceipt.objects.filter(needs_second=True, confirmed_at=None, dropped_at=None).order_by(
            "pk"
        )
    )


def _booked_before(number: str, money: Money) -> Captured | None:
    """Return what was booked under this number, by hand or from a statement.

    Raises:
        ReceiptWrong: It was booked with another amount, or not as a customer's.
    """
    if event := numbers.typed(number):
        return _same(event.payment, money)
    line = numbers.lines(number).select_related("payment").first()
    if line is not None and line.payment is not None:
        return _same(line.payment, money)
    if line is not None or numbers.resellers_payment(number):
        raise bank.ReceiptWrong(
            _("Money of this number was booked before, and no customer paid it."),
            _("Look for it in the statements and with the resellers; nothing was booked now."),
        )
    return None


def _same(payment: Payment | None, money: Money) -> Captured | None:
    if payment is None:
        return None
    booked = Money(payment.received_minor or 0, payment.currency)
    if booked != money:
        raise bank.ReceiptWrong(
            _("A receipt with this number was booked before, with another amount: %(money)s.")
            % {"money": booked},
            _("Compare both with the statement; nothing was booked now."),
        )
    return Captured(payment, "duplicate", payment.outcome)


def _record(receipt: HandReceipt, verb: str, now: datetime, actor: Actor) -> None:
    amount = str(_money(receipt))
    audit.record(
        now=now, actor=actor, action=f"receipt.{verb}", subject=receipt.code, amount=amount
    )


def _money(receipt: HandReceipt) -> Money:
    return Money(receipt.amount_minor, receipt.currency)
