"""Money that a bank took back after it was booked: in transit until staff decide what it is.

    taken ──> open ──┬─ won: the same amount came again, by its reference or as staff say
                     ├─ lost: what it paid for ends, as after a lost dispute (`disputes.lose`)
                     └─ void: it was of another payment, or something else

A card's provider keeps the money until a dispute is over; a bank takes it first.

Source: docs/decisions/0057-recalls.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Q, Sum
from django.utils.translation import gettext_lazy as _

from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.payments import disputed, suspense
from ferriage.payments.capture import Captured, change_once, finish
from ferriage.payments.models import Dispute, Payment

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor

IN_TRANSIT: Final = "assets:disputed"
OTHER_ACCOUNTS: Final = ("expenses:fees", "expenses:other", "equity:owner")
"""What money that a bank took may have been for instead."""
State = Dispute.State


class RecallWrong(FerriageError):
    """A recall of more than the payment brought, or an end that does not fit it."""

    slug = "recall-wrong"
    status = 422


def take_back(
    *,
    payment: Payment,
    money: Money,
    reference: str,
    from_account: str,
    now: datetime,
    actor: Actor,
) -> Dispute:
    """Note that a bank took a payment back: the money is in transit, and the service held.

    Of money that came again the payment is held that it stands for.

    Args:
        reference: What the bank's line is called here; one line takes back one payment.
        from_account: The account of the books that it was taken from.

    Raises:
        RecallWrong: More than the payment brought and was not taken back before.
    """
    with writing():
        dispute = _opened(payment, money, reference, now, actor)
        post(
            source_code=dispute.code,
            kind="recalled",
            transfers=[TransferLine(IN_TRANSIT, from_account, money)],
            description=f"Payment {payment.code}: taken back by its bank",
            now=now,
        )
    return dispute


def is_taken(payment: Payment) -> bool:
    """Tell whether a payment was taken back already, or may have been."""
    first = _stands_for(payment)
    return _left(first) < (first.received_minor or 0)


def answering(asked: Payment, money: Money) -> Dispute | None:
    """Return the open recall of a payment, or of its order's, that money of its reference ends."""
    mine = Q(payment=asked)
    if asked.order_id is not None:
        mine |= Q(payment__order=asked.order_id)
    open_recalls = Dispute.objects.filter(mine, account=None, state=State.OPEN)
    same = open_recalls.filter(amount_minor=money.amount_minor, currency=money.currency)
    return same.order_by("pk").first()


def come_again(*, dispute: Dispute, payment: Payment, now: datetime, actor: Actor) -> Captured:
    """Let money that was just captured end a recall, in the caller's transaction."""
    change_once(int(disputed.close(dispute=dispute, state=State.WON, now=now, actor=actor)))
    Dispute.objects.filter(pk=dispute.pk).update(came_again=payment)
    post(
        source_code=dispute.code,
        kind="recall-returned",
        transfers=[TransferLine("liabilities:unallocated", IN_TRANSIT, _money(dispute))],
        description=f"Recall {dispute.code}: payment {payment.code} brought it again",
        now=now,
    )
    finish(payment, outcome="returned", now=now, actor=actor)
    return Captured(payment, "returned")


def win(*, dispute: Dispute, payment: Payment, now: datetime, actor: Actor) -> Captured:
    """Say that money which waits for an order is what a bank had taken: the service goes on.

    Raises:
        NotAssignable: It is being taken back itself, or a part of it was.
        RecallWrong: Another amount or currency.
        StaleState: The recall is over, or the money waits no more, or it came by no bank.
    """
    with writing():
        waits = Payment.objects.filter(pk=payment.pk, account=None).first()
        change_once(int(waits is not None))
        assert waits is not None  # noqa: S101 -- the line before
        if suspense.take_whole(waits, outcome="returned") != _money(dispute):
            raise RecallWrong(
                _("This money is of another amount."),
                _("Choose what came again; nothing was booked."),
            )
        return come_again(dispute=dispute, payment=waits, now=now, actor=actor)


def move(*, dispute: Dispute, payment: Payment, now: datetime, actor: Actor) -> Dispute:
    """Say that a bank took back another payment than we thought.

    Raises:
        RecallWrong: As `take_back`, or it is the same payment.
        StaleState: The recall is over.
    """
    money = _money(dispute)
    with writing():
        if _stands_for(payment).pk == dispute.payment_id:
            raise RecallWrong(_("It is held for this payment already."))
        _void(dispute, now, actor)
        return _opened(payment, money, dispute.reference, now, actor)


def void(*, dispute: Dispute, account: str, reason: str, now: datetime, actor: Actor) -> None:
    """Say that what a bank took was no payment's: the service goes on, and it is booked elsewhere.

    Raises:
        RecallWrong: No reason, or an account that this is not booked to.
        StaleState: The recall is over.
    """
    reason = reason.strip()
    if account not in OTHER_ACCOUNTS or not 0 < len(reason) <= 200:  # noqa: PLR2004 -- a page's length
        raise RecallWrong(_("Say what it was for, in at most 200 characters."))
    with writing():
        _void(dispute, now, actor)
        post(
            source_code=dispute.code,
            kind="recall-void",
            transfers=[TransferLine(account, IN_TRANSIT, _money(dispute))],
            description=f"Recall {dispute.code} was something else: {reason}",
            now=now,
        )


def _void(dispute: Dispute, now: datetime, actor: Actor) -> None:
    change_once(int(disputed.close(dispute=dispute, state=State.VOID, now=now, actor=actor)))


def _opened(payment: Payment, money: Money, reference: str, now: datetime, actor: Actor) -> Dispute:
    first = _stands_for(payment)
    most = min(_left(first), payment.received_minor or 0)
    if payment.currency != money.currency or money.amount_minor > most:
        raise RecallWrong(
            _("More was taken back than this payment brought."),
            _("Look for another payment; nothing was booked."),
        )
    dispute, is_new = disputed.opened(
        payment=first,
        account=None,
        reference=reference,
        money=money,
        reason="",
        now=now,
        actor=actor,
    )
    change_once(int(is_new))
    return dispute


def _stands_for(payment: Payment) -> Payment:
    """Return the payment whose money came again by this one; any other stands for itself.

    That one may have brought what was taken before it, and so on.
    """
    won = Dispute.objects.select_related("payment__order")
    while again := won.filter(came_again=payment).first():
        payment = again.payment
    return payment


def _left(payment: Payment) -> int:
    """Return how much of what a payment brought was not taken back yet."""
    taken = Dispute.objects.filter(payment=payment, state__in=[State.OPEN, State.LOST])
    gone = taken.aggregate(total=Sum("amount_minor"))["total"] or 0
    return (payment.received_minor or 0) - gone


def _money(dispute: Dispute) -> Money:
    return Money(dispute.amount_minor, dispute.currency)
