"""What a page says besides the order: its end, whether and how it can be paid, its refunds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from ferriage.approvals.queries import denial_of
from ferriage.approvals.reasons import sentence
from ferriage.approvals.site import packs_on_file
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.orders import balance, lots
from ferriage.orders.actions import fulfilling, targets
from ferriage.orders.models import Buyer, Document, Order
from ferriage.orders.owedmodels import OwedTo
from ferriage.orders.tax import setup_now
from ferriage.payments.matching import DECLINED
from ferriage.payments.models import Dispute, Payment, Refund
from ferriage.payments.providers.bank.models import HandReceipt
from ferriage.payments.providers.bank.provider import TITLE as BANK
from ferriage.payments.providers.registry import means_for
from ferriage.payments.providers.voucher.provider import TITLE as VOUCHER
from ferriage.payments.providers.voucher.provider import is_paid_in_part
from ferriage.payments.queries import has_voucher_for, takes_money
from ferriage.plans import queries as plans
from ferriage.plans import several
from ferriage.web.portal.register import why_not
from ferriage.web.shared.papers import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.accounts.models import Account
    from ferriage.payments.payback import Offer
    from ferriage.payments.providers.contract import Means
    from ferriage.plans.models import Price


_PAID_BACK: Final = Q(refunds__kind=Refund.Kind.ENDED, refunds__state=Refund.State.PAID)


class NoWayToPay(FerriageError):
    """An order could not be paid by anybody, so none is placed."""

    slug = "no-way-to-pay"


def check_payable(price: Price) -> None:
    """Refuse what nobody could pay for: over the net, by transfer, or by a voucher made for it.

    Raises:
        NoWayToPay: None is there.
    """
    if settings.FERRIAGE.shop.bank_details or takes_money() or has_voucher_for(price):
        return
    raise NoWayToPay(
        _("This shop cannot take a payment yet, so it takes no order."),
        _("Come back later, or ask whoever runs it."),
    )


def end_if_bought(*, customer: Account | None, price: Price, now: datetime) -> datetime:
    """Return when the customer's term would end if the price were paid now."""
    held = several.proposed(customer, price.plan, now=now) if customer is not None else None
    return plans.preview(subscription=held, term_months=price.term_months, now=now).ends_at


def end_if_paid(order: Order, *, now: datetime) -> datetime:
    """Return when the customer's term would end if the order were paid now."""
    held = targets.target_of(order, now=now) if order.account is not None else None
    return fulfilling.end_if_paid(order, held, now)


def balance_left(order: Order) -> Money | None:
    """Return how much more of an open order the customer's balance could pay, if anything."""
    if order.state != "open" or order.account is None or order.kind == order.Kind.TOPUP:
        return None
    left = min(balance.available(order.account, order.currency), order.due_minor)
    return Money(left, order.currency) if left > 0 else None


def returnable(order: Order) -> Money | None:
    """Return how much of a top-up can go back to where it came from, if anything."""
    if order.kind != order.Kind.TOPUP or order.state != "fulfilled":
        return None
    left = lots.returnable(order)
    return Money(left, order.currency) if left > 0 else None


def too_long(order: Order, *, ends_at: datetime, now: datetime) -> datetime | None:
    """Return the end of the line's approval if an open order's term would now run past it."""
    if order.state != "open":
        return None
    views = plans.offers_of(plan=order.plan_sold, now=now, place=order.place)
    sold_until = plans.end_of_sale(views)
    return None if plans.fits(ends_at, sold_until) else sold_until


def bank_payment(order: Order) -> Payment | None:
    """Return the order's latest bank transfer that is waited for, if one was begun."""
    begun = Payment.objects.filter(order=order, provider="bank")
    return begun.exclude(reference=None).order_by("-pk").first()


@dataclass(frozen=True, slots=True)
class Way:
    """One way to pay, and why it is not for this order, if it is not."""

    means: Means
    why_not: tuple[str, ...]


def ways(order: Order, *, now: datetime, language: str) -> tuple[Way, ...]:
    """Return every way to pay an open order; none where it is not open."""
    if order.state != "open":
        return ()
    return tuple(
        Way(means, why_not(means.contrary, language) if means.contrary else ())
        for means in means_for(order, now)
    )


def misses_voucher(order: Order) -> bool:
    """Tell whether a voucher could pay an open order but for its coupon or its part in balance."""
    return order.state == "open" and order.kind == Order.Kind.TERM and is_paid_in_part(order)


def waits_for_word(order: Order) -> bool:
    """Tell whether a payment over the net was begun whose outcome nobody knows yet."""
    return _begun(order).exclude(reason=DECLINED).exists()


def was_declined(order: Order) -> bool:
    """Tell whether a means of payment was refused over the net, and nothing else is waited for."""
    return not waits_for_word(order) and _begun(order).filter(reason=DECLINED).exists()


def _begun(order: Order) -> QuerySet[Payment]:
    begun = Payment.objects.filter(order=order, account__isnull=False)
    return begun.filter(state=Payment.State.PENDING)


def waiting(orders: Sequence[Order]) -> tuple[Payment, ...]:
    """Return money that came for orders and that the shop has to decide about, oldest first."""
    came = Payment.objects.filter(order__in=orders, outcome="unallocated")
    return tuple(came.select_related("order").order_by("pk"))


def disputed(orders: Sequence[Order]) -> tuple[Dispute, ...]:
    """Return the open disputes about what orders were paid with, oldest first.

    What an order did not take is nothing that is held.
    """
    still = Dispute.objects.filter(payment__order__in=orders, state=Dispute.State.OPEN)
    return tuple(
        still.exclude(payment__outcome="refund").select_related("payment__order").order_by("pk")
    )


def lost(order: Order) -> tuple[Dispute, ...]:
    """Return the disputes by which an order's money went back for good, oldest first."""
    gone = Dispute.objects.filter(payment__order=order, state=Dispute.State.LOST)
    return tuple(gone.order_by("pk"))


def paid_by(order: Order) -> object:
    """Return by what means an order was paid, in words; empty where no money came for it."""
    settled = Payment.objects.filter(order=order, outcome="settled").select_related("account")
    payment = settled.first()
    if payment is None:
        return ""
    if payment.account is not None:
        return payment.account.label
    if HandReceipt.objects.filter(payment=payment, kind=HandReceipt.Kind.CASH).exists():
        return _("In cash")
    return VOUCHER if payment.provider == "voucher" else BANK


def refunds(order: Order) -> tuple[Refund, ...]:
    """Return what goes back to the customer for this order."""
    mine = Refund.objects.filter(payment__order=order)
    return tuple(mine.select_related("reseller_credit").order_by("pk"))


@dataclass(frozen=True, slots=True)
class Owed:
    """Money that the shop still owes for an order, and in a sentence where it goes."""

    order: Order
    money: Money
    goes: str


_GOES: Final = {
    "bank": _("It goes back to the bank account that it came from. You need to do nothing."),
    "btcpay": _(
        "You paid with bitcoin. As soon as it can be claimed, the page of the order asks you for"
        " the address to send it to."
    ),
    "cash": _("You paid in cash. Tell the shop how you want it back, with the code of your order."),
    "voucher": _(
        "You paid with a voucher, so we do not know where to send it. Tell the shop, with the code"
        " of your order."
    ),
}


def owed(orders: Sequence[Order]) -> tuple[Owed, ...]:
    """Return what is still owed of orders that ended early, with one query."""
    due = [one for one in orders if one.refund_due_minor and one.owed_to == OwedTo.PAYER]
    settled = Payment.objects.filter(order__in=due, outcome="settled").select_related("account")
    settling = settled.annotate(
        back=Coalesce(Sum("refunds__amount_minor", filter=_PAID_BACK), 0),
        in_cash=Exists(HandReceipt.objects.filter(payment=OuterRef("pk"), kind="cash")),
    )
    payments = {payment.order_id: payment for payment in settling}
    found = []
    for order in due:
        payment = payments[order.pk]
        left = order.refund_due_minor - payment.back
        if left > 0:
            goes = way_back(payment, in_cash=payment.in_cash)
            found.append(Owed(order, Money(left, order.currency), goes))
    return tuple(found)


def way_back(payment: Payment, *, in_cash: bool) -> str:
    """Return where money that is owed back goes: the way it came, where that has a way back."""
    if payment.account is None:
        return str(_GOES["cash" if in_cash else payment.provider])
    if payment.provider in _GOES:
        return str(_GOES[payment.provider])
    way = _("It goes back the way you paid: %(means)s. You need to do nothing.")
    return way % {"means": payment.account.label}


def ways_back(found: Offer) -> tuple[str, ...]:
    """Return in sentences where what a customer asks back of a balance goes, each once."""
    payments = [part.payment for part in found.parts]
    cash = HandReceipt.objects.filter(payment__in=payments, kind=HandReceipt.Kind.CASH)
    in_cash = set(cash.values_list("payment", flat=True))
    with_account = Payment.objects.filter(pk__in=[one.pk for one in payments])
    return tuple(
        dict.fromkeys(
            way_back(payment, in_cash=payment.pk in in_cash)
            for payment in with_account.select_related("account").order_by("-pk")
        )
    )


def shown_papers() -> QuerySet[Document]:
    """Return the documents that customers see: not those that say what a reseller pays."""
    return Document.objects.exclude(order__owed_to=OwedTo.RESELLER)


def papers_of_account(account: Account) -> QuerySet[Document]:
    """Return the documents that an account sees."""
    return shown_papers().filter(order__account=account)


def papers(order: Order) -> dict[str, object]:
    """Return what an order's page says of its documents, and whom the next one is made out to."""
    return {
        "papers": shown_papers().filter(order=order).order_by("pk"),
        "is_resold": order.owed_to == OwedTo.RESELLER,
        "paper_languages": LANGUAGES,
        "invoices": setup_now() is not None,
        "buyer": Buyer.objects.filter(order=order).first(),
    }


def why_refused(order: Order, language: str) -> tuple[str, ...]:
    """Return what the register said when money came that the order could not take."""
    packs = packs_on_file()
    return tuple(sentence(reason, language, packs) for reason in denial_of(order.code))
