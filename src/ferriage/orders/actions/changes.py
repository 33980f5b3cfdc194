"""Another plan for a subscription: bought now for what is left, or booked for its end.

Source: docs/explanation/subscriptions.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.packs import PackError
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState
from ferriage.devices import actions as devices
from ferriage.devices.queries import devices_of
from ferriage.orders import queries, values
from ferriage.orders.actions import onsale, sales, targets
from ferriage.orders.actions.paying import settle_if_nothing_due
from ferriage.orders.models import Order
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries
from ferriage.plans import terms
from ferriage.plans.models import PlannedChange, Subscription

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.core.actors import Actor
    from ferriage.plans.models import Plan, Price


class TooManyDevices(FerriageError):
    """More devices are registered than the other plan has room for; `surplus` must go first."""

    slug = "too-many-devices"

    def __init__(self, registered: int, limit: int) -> None:
        super().__init__(
            _("You have %(registered)d devices, and that plan has room for %(limit)d.")
            % {"registered": registered, "limit": limit},
            _("Choose which stay: remove the others on your account page, then repeat it."),
        )
        self.surplus = registered - limit


def check_devices(subscription: Subscription, plan: Plan) -> None:
    """Refuse a plan that has no room for the devices of a subscription.

    Places that were bought on top do not count: they go with the plan before.

    Raises:
        TooManyDevices: Some must go first; none is taken away by itself.
    """
    registered = len(devices_of(subscription))
    if registered > plan.device_limit:
        raise TooManyDevices(registered, plan.device_limit)


def place_change(
    *,
    account: Account,
    subscription: Subscription,
    price: Price,
    place: str,
    now: datetime,
    expires_at: datetime,
    actor: Actor,
) -> Order:
    """Order another plan for a subscription now, for its price less what is left of the old one.

    What is due is fixed here. Where nothing is due the change is made at once. An order for the
    same that is still open is returned as it was quoted.

    Raises:
        NotForSale, PriceGone, NotOnSale, TermOutlivesApproval: As for every order.
        WrongSubscription: It is not the account's, or not of the plan's service.
        ChangeWrong: It has that plan already, or has no end or is over.
        TooManyDevices: The plan has no room for the devices there are.
        NoRoom: Nor has one of its lines.
    """
    plan = price.plan
    sales.check_buyer(account, price, now)
    with writing():
        held = targets.chosen(account, plan, extends=subscription, beside=False, now=now)
        assert held is not None  # noqa: S101 -- it was named
        fresh = Subscription.objects.select_related("plan", "service", "account").get(pk=held.pk)
        _check_changeable(fresh, plan, now)
        check_devices(fresh, plan)
        ends_at = terms.boundary(now, price.term_months)
        chosen = onsale.check_on_sale(plan, place, ends_at, now)
        onsale.check_room(plan, of=fresh.plan)
        mine = {"account": account, "extends": fresh, "price": price, "place": place}
        same = Order.objects.filter(
            **mine, kind=Order.Kind.CHANGE, state=Order.State.OPEN, expires_at__gt=now
        ).first()
        if same and values.still_holds(same, fresh, now=now):
            return same
        quoted = values.quote(fresh, price, now=now)
        order = Order.objects.create(
            **mine,
            kind=Order.Kind.CHANGE,
            plan=plan,
            term_months=price.term_months,
            quota_bytes=plan.quota_bytes,
            list_minor=price.amount_minor,
            amount_minor=price.amount_minor,
            value_minor=quoted.counted_minor,
            currency=price.currency,
            created_at=now,
            expires_at=expires_at,
        )
        sales.note_placed(order, chosen, now=now, actor=actor)
        return settle_if_nothing_due(order=order, now=now, actor=actor)


def plan_change(
    *, subscription: Subscription, plan: Plan, now: datetime, actor: Actor
) -> PlannedChange:
    """Book another plan for where a subscription ends; the next term is sold at its price.

    Raises:
        ChangeWrong: As `plans.plan_change`.
        NotOnSale: It may not be sold to this customer now.
    """
    with writing():
        fresh = Subscription.objects.select_related("account").get(pk=subscription.pk)
        views = plan_queries.offers_of(plan=plan, now=now, place=fresh.account.place)
        if plan_queries.longest_on_sale(views) is None:
            raise onsale.NotOnSale(next((view.verdict for view in views), None))
        return plans.plan_change(subscription=fresh, plan=plan, now=now, actor=actor)


def switch_due(*, now: datetime, actor: Actor) -> int:
    """Let plans take over whose term has begun, and tell the gateways; returns how many."""
    done = 0
    for change in plans.due_changes(now):
        with writing():
            try:
                subscription = plans.switch(change=change, now=now, actor=actor)
            except StaleState:
                continue
            devices.refresh(subscription=subscription, now=now, actor=actor)
            done += 1
    return done


def drop_due(*, now: datetime, actor: Actor) -> int:
    """Give up changes that nobody paid for and whose plan is not to be had; returns how many.

    The subscription stays as it is; the account page says so.
    """
    open_changes = PlannedChange.objects.filter(ended_at=None, source_code="")
    booked = list(open_changes.select_related("plan", "subscription__account"))
    if not booked:
        return 0
    try:
        sold = _sold({(change.subscription.account.place, change.plan) for change in booked}, now)
    except PackError:
        return 0  # nothing is judged by rules that cannot be read
    done = 0
    for change in booked:
        if (change.subscription.account.place, change.plan) in sold:
            continue
        gone = change.plan.withdrawn_at is not None
        outcome = PlannedChange.Outcome.WITHDRAWN if gone else PlannedChange.Outcome.DENIED
        done += plans.drop_change(change=change, outcome=outcome, now=now, actor=actor)
    return done


def _sold(asked: set[tuple[str, Plan]], now: datetime) -> set[tuple[str, Plan]]:
    """Return the places and plans of these that something is on sale for."""
    return {
        (place, view.plan)
        for place in {place for place, _plan in asked}
        for view in plan_queries.offers(now=now, place=place, plans={plan for _p, plan in asked})
        if view.state == "on_sale"
    }


def _check_changeable(subscription: Subscription, plan: Plan, now: datetime) -> None:
    end = plan_queries.subscription_end(subscription)
    if subscription.plan_id == plan.pk:
        raise plans.ChangeWrong(_("You have this plan already."), _("Renew it, or choose another."))
    if plan_queries.held_now([subscription.pk]):
        raise plans.ChangeWrong(
            _("Its payment is disputed, so nothing can be changed now."),
            _("Wait until the dispute is over, or buy another subscription beside it."),
        )
    if queries.has_resold(subscription, at=now):
        raise plans.ChangeWrong(
            _("A code from a shop that resells ours paid this term, and it pays no other plan."),
            _("Choose the other plan for when it ends, or end it and ask that shop."),
        )
    if end.is_over(now) or end.at is None:
        raise plans.ChangeWrong(
            _("There is nothing running to change."), _("Buy the other plan as it is.")
        )
