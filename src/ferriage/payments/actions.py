from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from ferriage.approvals import reasons
from ferriage.approvals.site import packs_on_file
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.ledger import queries as ledger
from ferriage.ledger.actions import TransferLine, post
from ferriage.orders import balance
from ferriage.orders.actions import Refused, settle
from ferriage.orders.balancemodels import CREDITED
from ferriage.orders.models import Order
from ferriage.payments import bounds, passing, queries, suspense
from ferriage.payments.capture import Captured, change_once, owe_back
from ferriage.payments.models import InboxEvent, Payment, Refund
from ferriage.payments.providers.bank.actions import (
    LONGEST_NUMBER,
    book_receipt,
    start_bank,
)
from ferriage.payments.providers.voucher import unused
from ferriage.payments.providers.voucher.actions import issue_vouchers, redeem_voucher
from ferriage.payments.starting import MeansNotOffered, NotPayable, start
from ferriage.payments.suspense import NotAssignable

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.core.actors import Actor

__all__ = [
    "Captured",
    "MeansNotOffered",
    "NotAssignable",
    "NotPayable",
    "NotRefundable",
    "assign_unallocated",
    "book_receipt",
    "credit_unallocated",
    "issue_vouchers",
    "mark_refund_paid",
    "queue_ended",
    "redeem_voucher",
    "refund_unallocated",
    "start",
    "start_bank",
]


class NotRefundable(FerriageError):
    """A refund without the number of the payment that made it."""

    slug = "not-refundable"
    status = 422


def assign_unallocated(*, payment: Payment, order: Order, now: datetime, actor: Actor) -> Payment:
    """Give money that came without a usable reference to the order it was meant for.

    Raises:
        NotAssignable: Another amount or currency, or the order cannot be settled now; or its payer
            took it back, or a part of it, or may be.
        StaleState: The money is not unallocated any more.
    """
    with writing():
        order = Order.objects.get(pk=order.pk)
        if Payment.objects.filter(order=order, outcome="settled").exists():
            raise NotAssignable(
                _("The order cannot take the money now."), _("Send the money back instead.")
            )
        received = suspense.take_whole(payment, outcome="settled", order=order)
        payment = Payment.objects.get(pk=payment.pk)
        if received != order.due:
            raise NotAssignable(
                _("The order asks for another amount."), _("Send the money back instead.")
            )
        result = settle(
            order=order,
            refundable_minor=received.amount_minor,
            payer_place=_payer_place(payment),
            now=now,
            actor=actor,
        )
        if isinstance(result, Refused):
            raise NotAssignable(_("The order cannot take the money now."), _why(result))
        audit.record(
            now=now, actor=actor, action="payment.assigned", subject=payment.code, order=order.code
        )
    return payment


def _payer_place(payment: Payment) -> str:
    """Return where the payer of kept money presumably is, whoever said it.

    Much is said of one payment, and in any order; what brought the money says it.
    """
    said = InboxEvent.objects.filter(payment=payment).order_by("pk")
    raws = said.values_list("raw", flat=True)
    places = (str(raw.get("event", raw).get("payer_place", "")) for raw in raws)
    return next(filter(None, places), "")


def credit_unallocated(
    *, payment: Payment, account: Account, now: datetime, actor: Actor
) -> Payment:
    """Give money that no order took to the balance of the account that it was meant for.

    Of what its payer took a part of back, what is left.

    Raises:
        NotAssignable: Its payer may be taking it back.
        StaleState: It is not unallocated any more.
    """
    with writing():
        money = suspense.take(payment, outcome="credited")
        balance.credit(
            account=account,
            money=money,
            source_code=payment.code,
            kind=CREDITED,
            against="liabilities:unallocated",
            now=now,
        )
        audit.record(
            now=now, actor=actor, action="payment.credited", subject=payment.code, amount=str(money)
        )
    payment.refresh_from_db()
    return payment


def _why(result: Refused) -> object:
    """Return what the register says against a settlement, or what to do where it says nothing."""
    if result.verdict is None or result.verdict.allowed:
        return _("Send the money back instead.")
    texts = reasons.sentences(result.verdict, packs_on_file())
    return texts.get(get_language() or "en", texts["en"])


def refund_unallocated(*, payment: Payment, now: datetime, actor: Actor) -> Refund:
    """Queue money that no order took for refund.

    Of what its payer took a part of back, what is left.

    Raises:
        NotAssignable: Its payer may be taking it back.
        StaleState: It is not unallocated any more.
    """
    with writing():
        money = suspense.take(payment, outcome="refund")
        payment.outcome = "refund"
        reason = "unallocated"
        refund = owe_back(payment, money, kind=Refund.Kind.UNALLOCATED, reason=reason, now=now)
        audit.record(now=now, actor=actor, action="refund.queued", subject=payment.code)
    return refund


def mark_refund_paid(
    *,
    refund: Refund,
    reference: str,
    from_account: str = "",
    now: datetime,
    actor: Actor,
) -> Refund:
    """Note that staff paid a queued refund out of the bank account.

    Args:
        from_account: Where the money lay in the books; where the payment came to, if empty.

    Raises:
        NotRefundable: No number of the payment; or its payer is taking it back, and nothing says
            that the money left.
        MoreThanCame: Its payer took back so much that less is left.
        StaleState: It is noted as paid already, or a provider pays it.
    """
    if not 0 < len(reference.strip()) <= LONGEST_NUMBER:
        raise NotRefundable(
            _("Paying a refund needs the bank's number of your payment."), _("Nothing was noted.")
        )
    with writing():
        waits = Refund.objects.filter(~bounds.may_go_by_itself(), pk=refund.pk)
        if not from_account and waits.exists():
            raise NotRefundable(
                _("The payer is taking money of this order back, so it may go back by that."),
                _("Decide that first; nothing was noted."),
            )
        bounds.check(refund)
        change_once(
            Refund.objects.filter(queries.BY_HAND, pk=refund.pk).update(
                state=Refund.State.PAID, paid_at=now, paid_reference=reference.strip()
            )
        )
        money = Money(refund.amount_minor, refund.currency)
        post(
            source_code=refund.code,
            kind="refund-paid",
            transfers=[
                TransferLine("liabilities:refunds", from_account or _came_to(refund), money)
            ],
            description=f"Refund {refund.code} of payment {refund.payment.code}",
            sequence=bounds.paid_before(refund),
            now=now,
        )
        audit.record(
            now=now, actor=actor, action="refund.paid", subject=refund.code, amount=str(money)
        )
    refund.refresh_from_db()
    return refund


def _came_to(refund: Refund) -> str:
    """Return the account of the books that a refund's payment came to: a bank's, or the till."""
    for posted in ledger.entries(refund.payment.code):
        if posted.debit.name.startswith(("assets:bank", "assets:cash")):
            return posted.debit.name
    return "assets:bank"


def queue_ended(*, order: Order, now: datetime, actor: Actor) -> Refund | None:
    """Queue what is owed for an order that was ended early and is not queued yet, if anything.

    The books hold it already. Two workers at once queue it once: what is due is read inside. What a
    given code paid is not whose order it is: it is passed on at once.
    """
    with writing():
        payment = Payment.objects.get(order=order, outcome="settled")
        minor = min(queries.ended_not_queued_minor(order), bounds.left_of(payment))
        if minor <= 0:
            return None
        way = passing.way_of(order=order, minor=minor)
        is_resold = unused.is_resold(order)
        is_passed = is_resold or (way is not None and way.minor > 0)
        refund = Refund.objects.create(
            payment=payment,
            kind=Refund.Kind.ENDED,
            amount_minor=way.minor if way and is_passed else minor,
            currency=payment.currency,
            reason="ended early",
            state=Refund.State.PASSED if is_passed else Refund.State.QUEUED,
            created_at=now,
        )
        audit.record(now=now, actor=actor, action="refund.queued", subject=payment.code)
        if way is not None and is_passed:
            passing.pass_on(refund=refund, way=way, now=now, actor=actor)
        if is_resold:
            order.refresh_from_db()
            unused.owe_less(refund=refund, order=order, now=now, actor=actor)
    return refund
