"""Selling: an order from its placing to the term it buys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.actions import check_clock, write_decision
from ferriage.core import audit
from ferriage.core.compiled import Compiled
from ferriage.core.db import joining, writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.devices import actions as devices
from ferriage.fleet.queries import line_facts
from ferriage.ledger.actions import Posting, TransferLine, post_all
from ferriage.orders import balance
from ferriage.orders.actions import begun, fulfilling, papers, refusing, targets, topups
from ferriage.orders.actions.cancelling import give_up
from ferriage.orders.actions.coupons import take
from ferriage.orders.actions.onsale import check_on_sale, check_room
from ferriage.orders.actions.outcomes import (
    RefusalReason,
    Refused,
    Settled,
    change,
)
from ferriage.orders.actions.places import keep
from ferriage.orders.coupons import coupon_by_word, discount_of
from ferriage.orders.models import Order
from ferriage.orders.places import Kind, contradicting, places_of_balance
from ferriage.orders.tax import basis_of
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.core.actors import Actor
    from ferriage.plans.models import Price, Subscription
    from ferriage.plans.queries import OfferView

PAGE: Final = 500
_TO_SETTLE: Final = Compiled(
    1,
    lambda pk: Order.objects.select_related(
        "plan__service", "account", "recipient", "price", "with_term"
    ).filter(pk=pk),
)
UNEARNED: Final = "liabilities:unearned"
VOUCHERS: Final = "liabilities:vouchers"


class PriceGone(FerriageError):
    """The price was replaced or the plan withdrawn."""

    slug = "price-gone"


class NotForSale(FerriageError):
    """Accounts of closed services do not buy."""

    slug = "not-for-sale"
    status = 403


def place(  # noqa: PLR0913 -- what an order is made of
    *,
    account: Account,
    price: Price,
    place: str,
    coupon: str = "",
    kind: str = Order.Kind.TERM,
    recipient: Account | None = None,
    extends: Subscription | None = None,
    beside: bool = False,
    now: datetime,
    expires_at: datetime,
    actor: Actor,
) -> Order:
    """Place an order with price and term copied, or return the same one that is still open.

    Args:
        place: Where who will use it says to be; the register is asked with it.
        coupon: The word of a coupon that makes it cheaper.
        kind: `term`, or `gift` for a code that whoever has it turns into a term.
        recipient: The account that the term is for, where it is a gift to another one.
        extends: The subscription that it is to go onto. Not said, the house proposes one.
        beside: It is to begin another subscription of the service.

    Raises:
        NotOnSale: The register, or a line's state, does not allow the sale.
        TermOutlivesApproval: Bought now it would end after the approvals that it rests on.
        PriceGone: Another price holds now.
        OtherPlanHeld: The subscription it would go onto is of another plan.
        WrongSubscription: That one is not the account's, or of another service.
        NotForSale: The account belongs to a closed service.
        CouponNotUsable: The coupon does not apply.
        NoRoom: The devices would find no room on a line of the plan.
    """
    plan = price.plan
    check_buyer(account, price, now)
    with writing():
        held = targets.chosen(
            recipient or account,
            plan,
            extends=extends,
            beside=beside or kind == Order.Kind.GIFT,  # a code is for nobody known yet
            now=now,
        )
        plans.refuse_other_plan(held, plan, now)
        chosen = check_on_sale(plan, place, _term_end(held, price.term_months, now), now)
        if held is None:
            check_room(plan)
        same = Order.objects.filter(
            account=account,
            extends=held,
            beside=beside,
            price=price,
            place=place,
            kind=kind,
            recipient=recipient,
            coupon=coupon_by_word(coupon),
            state=Order.State.OPEN,
            expires_at__gt=now,
        ).first()
        if same:
            return same
        taken = take(word=coupon, account=account, price=price, now=now) if coupon else None
        discount_minor = discount_of(taken, price.amount_minor) if taken else 0
        order = Order.objects.create(
            kind=kind,
            account=account,
            recipient=recipient,
            extends=held,
            beside=beside,
            plan=plan,
            price=price,
            term_months=price.term_months,
            quota_bytes=plan.quota_bytes,
            list_minor=price.amount_minor,
            discount_minor=discount_minor,
            coupon=taken,
            amount_minor=price.amount_minor - discount_minor,
            currency=price.currency,
            place=place,
            created_at=now,
            expires_at=expires_at,
        )
        note_placed(order, chosen, now=now, actor=actor)
    return order


def check_buyer(account: Account, price: Price, now: datetime) -> None:
    """Refuse somebody who buys nothing, and a price that holds no more.

    Raises:
        NotForSale: The account belongs to a closed service.
        PriceGone: Another price holds now, or the plan was withdrawn.
    """
    if account.account_class != "public":
        raise NotForSale(_("This account belongs to a closed service, which sells nothing."))
    plan = price.plan
    if plan.withdrawn_at or price not in plan_queries.current_prices(plan=plan, now=now):
        raise price_gone()


def price_gone() -> PriceGone:
    """Return the refusal of a price that holds no more."""
    return PriceGone(
        _("This price holds no more."), _("Look at today's prices; nothing was charged.")
    )


def note_placed(order: Order, chosen: OfferView, *, now: datetime, actor: Actor) -> None:
    """Keep what an order was placed on: the place declared, its tax, the register's word."""
    papers.copy_basis(order, basis_of(order.place, on=now.date()))
    keep(order=order, kind=Kind.SELF_DECLARED, place=order.place, now=now, actor=actor)
    _decide(order, chosen, now)
    audit.record(
        now=now,
        actor=actor,
        action="order.placed",
        subject=order.code,
        amount=str(Money(order.amount_minor, order.currency)),
        place=order.place,
    )


def settle(
    *,
    order: Order,
    refundable_minor: int,
    receipt: Sequence[Posting] = (),
    payer_place: str = "",
    owed_to: str = "payer",
    now: datetime,
    actor: Actor,
) -> Settled | Refused:
    """Fulfil an open order with what is due of it, which stands in `liabilities:unallocated`.

    Joins the caller's transaction. What a customer or the law can cause comes back as `Refused`,
    so that a refused settlement never rolls back the receipt.

    Args:
        refundable_minor: How much of what was due somebody really paid.
        receipt: What put it there and is not posted yet. It is posted whatever the outcome; with
            the sale at once where there is one.
        payer_place: Where the means of payment presumes the payer; empty presumes nothing.
        owed_to: Who gets what is unused of it, of `OwedTo`.

    Raises:
        StaleState: Another writer changed the order between two statements; roll back.
        ClockBehind: Nothing is settled or refused while the clock is wrong; the receipt waits in
            the inbox.
    """
    with joining():
        check_clock(now=now)
        order = _TO_SETTLE.get(order.pk)
        if order.kind == Order.Kind.TOPUP:
            post_all(receipt, now=now)
            return topups.settle(order=order, payer_place=payer_place, now=now, actor=actor)
        result = _sell(order, refundable_minor, receipt, payer_place, owed_to, now, actor)
        if isinstance(result, Refused):
            post_all(receipt, now=now)
    return result


def _sell(
    order: Order,
    refundable_minor: int,
    receipt: Sequence[Posting],
    payer_place: str,
    owed_to: str,
    now: datetime,
    actor: Actor,
) -> Settled | Refused:
    """Settle an order that sells something; nothing is posted where it is refused."""
    held = targets.target_of(order, now=now) if order.holder else None
    refusal, chosen = refusing.refusal(order, held, now)
    if refusal or chosen is None or order.holder is None:
        return _refused(order, refusal or "not-authorised", chosen, now)
    if payer_place:
        kind = Kind.PAYMENT_COUNTRY
        keep(order=order, kind=kind, place=payer_place, now=now, actor=actor)
    if found := _contradiction(order, payer_place, now):
        return _refused(order, "place-contradicted", found[1], now, place=found[0])
    _decide(order, chosen, now)
    change(order, Order.State.OPEN, state=Order.State.PAID, paid_at=now)
    _post_sale(order, receipt, now)
    if order.kind == Order.Kind.GIFT:
        return _gift_code_sold(order, refundable_minor, now, actor)
    fulfilled = fulfilling.fulfil(order, held, now, actor)
    extension = fulfilled.extension
    change(
        order,
        Order.State.PAID,
        state=Order.State.FULFILLED,
        fulfilled_at=now,
        subscription=extension.subscription,
        period_starts_at=extension.starts_at,
        period_ends_at=extension.ends_at,
        paid_minor=refundable_minor,
        owed_to=owed_to,
        refundable_minor=refundable_minor + order.credit_minor + fulfilled.value_minor,
        **begun.noted(order, extension, now=now),
    )
    papers.on_settled(order, now=now)
    audit.record(now=now, actor=actor, action="order.settled", subject=order.code)
    if held is not None:  # one that begins has no device
        devices.refresh(subscription=extension.subscription, now=now, actor=actor)
    return Settled(order, extension)


def cancel(*, order: Order, now: datetime, actor: Actor) -> Order:
    """Cancel an order that is not paid; money that still comes for it is refunded.

    Raises:
        StaleState: It is not open any more.
    """
    with writing():
        # The caller may have read it before a part of it was paid from the balance.
        order = Order.objects.select_related("account").get(pk=order.pk)
        give_up(order, Order.State.CANCELLED, now=now, actor=actor)
    return order


def expire_due(*, now: datetime, actor: Actor) -> int:
    """Expire open orders whose time is over; returns how many."""
    with writing():
        open_ones = Order.objects.filter(state=Order.State.OPEN).select_related("account")
        due = list(open_ones.filter(expires_at__lte=now)[:PAGE])
        for order in due:
            give_up(order, Order.State.EXPIRED, now=now, actor=actor)
    return len(due)


def _refused(
    order: Order,
    reason: RefusalReason,
    chosen: OfferView | None,
    now: datetime,
    *,
    place: str = "",
) -> Refused:
    """Return a refusal; what the register denied stays on record as a Decision.

    Args:
        place: What `chosen` was judged for, when it is not the order's own.
    """
    if chosen is None:
        return Refused(reason)
    if not chosen.verdict.allowed:
        _decide(order, chosen, now, place=place)
    return Refused(reason, chosen.verdict)


def _term_end(held: Subscription | None, term_months: int, now: datetime) -> datetime:
    return plan_queries.preview(subscription=held, term_months=term_months, now=now).ends_at


def _decide(order: Order, chosen: OfferView, now: datetime, *, place: str = "") -> None:
    write_decision(
        subject=order.code,
        line=line_facts(chosen.line),
        verdict=chosen.verdict,
        customer_place=place or order.place,
        register=chosen.register,
        now=now,
    )


def _contradiction(order: Order, payer_place: str, now: datetime) -> tuple[str, OfferView] | None:
    """Return a place that money for the order came from and that stands against its own."""
    places = [payer_place, *(places_of_balance(order) if order.credit_minor else ())]
    for place in places:
        if contrary := contradicting(order, payer_place=place, now=now):
            return place, contrary
    return None


def _gift_code_sold(order: Order, refundable_minor: int, now: datetime, actor: Actor) -> Settled:
    """End the sale of a gift code: what it is worth is owed to whoever uses it."""
    change(
        order,
        Order.State.PAID,
        state=Order.State.FULFILLED,
        fulfilled_at=now,
        paid_minor=refundable_minor,
        refundable_minor=refundable_minor + order.credit_minor,
    )
    audit.record(now=now, actor=actor, action="order.settled", subject=order.code)
    return Settled(order, None)


def _post_sale(order: Order, receipt: Sequence[Posting], now: datetime) -> None:
    """Move what the order is worth to what is owed in service: what came, and the balance's part.

    The balance's part was reserved while the order was open. A gift code's worth is owed as a
    voucher's.
    """
    owed = VOUCHERS if order.kind == Order.Kind.GIFT else UNEARNED
    line = TransferLine("liabilities:unallocated", owed, order.due)
    text = f"Order {order.code}: {order.term_months} months"
    sale = [Posting(order.code, "sale", (line,), text)] if order.due_minor else []
    post_all([*receipt, *sale], now=now)
    balance.settle_reserved(order=order, against=owed, now=now)
