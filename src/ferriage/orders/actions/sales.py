"""Selling: an order from its placing to the term it buys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.actions import check_clock, write_decision
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState
from ferriage.core.money import Money
from ferriage.devices import actions as devices
from ferriage.fleet.queries import line_facts
from ferriage.ledger.actions import TransferLine, post
from ferriage.orders.actions import freezing
from ferriage.orders.models import Order
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.approvals.facts import Verdict
    from ferriage.core.actors import Actor
    from ferriage.plans.models import Plan, Price
    from ferriage.plans.queries import OfferView

PAGE: Final = 500

RefusalReason = Literal[
    "order-fulfilled", "order-expired", "order-cancelled", "not-authorised", "other-plan-held"
]


class NotOnSale(FerriageError):
    """No line of the plan may be sold to this customer now; `verdict` says why."""

    slug = "not-on-sale"

    def __init__(self, verdict: Verdict | None) -> None:
        super().__init__(
            _("This plan is not on sale in the place you chose."),
            _("The line's page says what is missing."),
        )
        self.verdict = verdict


class PriceGone(FerriageError):
    """The price was replaced or the plan withdrawn."""

    slug = "price-gone"


class NotForSale(FerriageError):
    """Accounts of closed services do not buy."""

    slug = "not-for-sale"
    status = 403


@dataclass(frozen=True, slots=True)
class Settled:
    """The order is fulfilled: money posted, term extended, gateways told."""

    order: Order
    extension: plans.Extension


@dataclass(frozen=True, slots=True)
class Refused:
    """The order does not take the money; nothing of the order was changed.

    `verdict` is the register's word when the reason is `not-authorised`.
    """

    reason: RefusalReason
    verdict: Verdict | None = None


def place(
    *,
    account: Account,
    price: Price,
    place: str,
    now: datetime,
    expires_at: datetime,
    actor: Actor,
) -> Order:
    """Place an order with price and term copied, or return the same one that is still open.

    Args:
        place: Where the customer says to be; the register is asked with it.

    Raises:
        NotOnSale: The register, or a line's state, does not allow the sale.
        PriceGone: Another price holds now.
        OtherPlanHeld: The account holds another plan of the service.
        NotForSale: The account belongs to a closed service.
    """
    plan = price.plan
    if account.account_class != "public":
        raise NotForSale(_("This account belongs to a closed service, which sells nothing."))
    if plan.withdrawn_at or price not in plan_queries.current_prices(plan=plan, now=now):
        raise PriceGone(
            _("This price holds no more."), _("Look at today's prices; nothing was charged.")
        )
    held = plan_queries.subscription_for(account=account, service=plan.service)
    plans.refuse_other_plan(held, plan, now)
    with writing():
        chosen = _offer_on_sale(plan, place, now)
        if chosen is None or chosen.state != "on_sale":
            raise NotOnSale(chosen.verdict if chosen else None)
        same = Order.objects.filter(
            account=account, price=price, place=place, state=Order.State.OPEN, expires_at__gt=now
        ).first()
        if same:
            return same
        order = Order.objects.create(
            account=account,
            plan=plan,
            price=price,
            term_months=price.term_months,
            amount_minor=price.amount_minor,
            currency=price.currency,
            place=place,
            created_at=now,
            expires_at=expires_at,
        )
        _decide(order, chosen, now)
        audit.record(
            now=now,
            actor=actor,
            action="order.placed",
            subject=order.code,
            amount=str(_amount(order)),
            place=place,
        )
    return order


def settle(
    *, order: Order, refundable_minor: int, now: datetime, actor: Actor
) -> Settled | Refused:
    """Fulfil an open order with money that stands in `liabilities:unallocated`.

    Joins the caller's transaction. What a customer or the law can cause comes back as `Refused`,
    so that a refused settlement never rolls back the receipt.

    Args:
        refundable_minor: How much of the amount somebody really paid.

    Raises:
        StaleState: Another writer changed the order between two statements; roll back.
        ClockBehind: Nothing is settled or refused while the clock is wrong; the receipt waits in
            the inbox.
    """
    with writing():
        check_clock(now=now)
        order = Order.objects.select_related("plan__service", "account", "price").get(pk=order.pk)
        refusal, chosen = _refusal(order, now)
        if refusal or chosen is None or order.account is None:
            return _refused(order, refusal or "not-authorised", chosen, now)
        _decide(order, chosen, now)
        _change(order, Order.State.OPEN, state=Order.State.PAID, paid_at=now)
        if order.amount_minor:
            post(
                source_code=order.code,
                kind="sale",
                transfers=[
                    TransferLine("liabilities:unallocated", "liabilities:unearned", _amount(order))
                ],
                description=f"Order {order.code}: {order.term_months} months",
                now=now,
            )
        freezing.thaw_served(
            account=order.account, service=order.plan.service, now=now, actor=actor
        )
        extension = plans.extend(
            account=order.account,
            plan=order.plan,
            term_months=order.term_months,
            source_code=order.code,
            now=now,
            actor=actor,
        )
        _change(
            order,
            Order.State.PAID,
            state=Order.State.FULFILLED,
            fulfilled_at=now,
            subscription=extension.subscription,
            period_starts_at=extension.starts_at,
            period_ends_at=extension.ends_at,
            refundable_minor=refundable_minor,
        )
        audit.record(now=now, actor=actor, action="order.settled", subject=order.code)
        devices.refresh(subscription=extension.subscription, now=now, actor=actor)
    return Settled(order, extension)


def cancel(*, order: Order, now: datetime, actor: Actor) -> Order:
    """Cancel an order that is not paid; money that still comes for it is refunded.

    Raises:
        StaleState: It is not open any more.
    """
    with writing():
        _change(order, Order.State.OPEN, state=Order.State.CANCELLED)
        audit.record(now=now, actor=actor, action="order.cancelled", subject=order.code)
    return order


def expire_due(*, now: datetime, actor: Actor) -> int:
    """Expire open orders whose time is over; returns how many."""
    with writing():
        due = list(Order.objects.filter(state=Order.State.OPEN, expires_at__lte=now)[:PAGE])
        for order in due:
            _change(order, Order.State.OPEN, state=Order.State.EXPIRED)
            audit.record(now=now, actor=actor, action="order.expired", subject=order.code)
    return len(due)


def _refusal(order: Order, now: datetime) -> tuple[RefusalReason | None, OfferView | None]:
    """Return why an order cannot be settled, or the offer it is settled on."""
    if order.state in {Order.State.FULFILLED, Order.State.PAID}:
        return "order-fulfilled", None
    if order.state == Order.State.CANCELLED:
        return "order-cancelled", None
    if order.state == Order.State.EXPIRED or order.expires_at <= now or order.account is None:
        return "order-expired", None
    held = plan_queries.subscription_for(account=order.account, service=order.plan.service)
    try:
        plans.refuse_other_plan(held, order.plan, now)
    except plans.OtherPlanHeld:
        return "other-plan-held", None
    chosen = _offer_on_sale(order.plan, order.place, now)
    if chosen is None or chosen.state != "on_sale":
        return "not-authorised", chosen
    return None, chosen


def _refused(
    order: Order, reason: RefusalReason, chosen: OfferView | None, now: datetime
) -> Refused:
    """Return a refusal; what the register denied stays on record as a Decision."""
    if chosen is None:
        return Refused(reason)
    if not chosen.verdict.allowed:
        _decide(order, chosen, now)
    return Refused(reason, chosen.verdict)


def _offer_on_sale(plan: Plan, place: str, now: datetime) -> OfferView | None:
    """Return the plan's first offer on sale in a place, else the first that is not."""
    judged = plan_queries.offers_of(plan=plan, now=now, place=place)
    on_sale = [view for view in judged if view.state == "on_sale"]
    return next(iter(on_sale or judged), None)


def _decide(order: Order, chosen: OfferView, now: datetime) -> None:
    write_decision(
        subject=order.code,
        line=line_facts(chosen.line),
        verdict=chosen.verdict,
        customer_place=order.place,
        now=now,
    )


def _amount(order: Order) -> Money:
    return Money(order.amount_minor, order.currency)


def _change(order: Order, old: str, **values: object) -> None:
    """Change an order by compare-and-set, in the database and on the object."""
    if Order.objects.filter(pk=order.pk, state=old).update(**values) != 1:
        raise _stale()
    for name, value in values.items():
        setattr(order, name, value)


def _stale() -> StaleState:
    return StaleState(_("This order was changed just now."), _("Look again."))
