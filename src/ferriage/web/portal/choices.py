"""What a customer can choose for what they hold: which one to extend, another plan, a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferriage.core.money import Money
from ferriage.devices.queries import devices_of
from ferriage.orders import addons, queries, values
from ferriage.plans import queries as plans
from ferriage.plans import several
from ferriage.plans.models import AddOnPrice, Plan, PlannedChange
from ferriage.web.portal.catalogue import megabits

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.orders.models import Order
    from ferriage.orders.values import Quote
    from ferriage.plans.models import Price, Subscription
    from ferriage.plans.queries import OfferView

NEW = "new"


@dataclass(frozen=True, slots=True)
class Target:
    """A subscription that a purchase may go onto, or None for another one; and its end then."""

    subscription: Subscription | None
    held_until: datetime | None
    is_over: bool
    ends_at: datetime
    too_long: bool

    @property
    def value(self) -> str:
        """What the form sends."""
        return self.subscription.code if self.subscription else NEW


@dataclass(frozen=True, slots=True)
class OtherPlan:
    """A plan that a subscription may be changed to, with a quote for each of its terms.

    `surplus` is how many devices must go first; `same_lines` tells that their files stay good.
    """

    plan: Plan
    quotes: tuple[Quote, ...]
    surplus: int
    same_lines: bool

    @property
    def speed_megabits(self) -> int:
        """Speed towards the customer."""
        return megabits(self.plan)


@dataclass(frozen=True, slots=True)
class Place:
    """A place for one more device that can be bought: with which term, until when, for what."""

    term: Order
    price: AddOnPrice
    starts_at: datetime
    ends_at: datetime
    money: Money

    @property
    def value(self) -> str:
        """What the form sends."""
        return f"{self.term.code} {self.price.code}"


@dataclass(frozen=True, slots=True)
class Pack:
    """A quota pack that can be bought: with which term, and until when its bytes count."""

    term: Order
    price: AddOnPrice
    ends_at: datetime

    @property
    def value(self) -> str:
        """What the form sends."""
        return f"{self.term.code} {self.price.code}"

    @property
    def money(self) -> Money:
        """What it costs."""
        return Money(self.price.amount_minor, self.price.currency)


def targets(
    account: Account | None, price: Price, *, sold_until: datetime | None, now: datetime
) -> tuple[Target, ...]:
    """Return what a purchase may go onto, the one to propose first; empty where nothing is held."""
    if account is None or not several.subscriptions_to(account, price.plan.service):
        return ()
    fitting = several.extendable(account, price.plan, now=now)
    return tuple(_target(subscription, price, sold_until, now) for subscription in (*fitting, None))


def _target(
    subscription: Subscription | None, price: Price, sold_until: datetime | None, now: datetime
) -> Target:
    following = plans.preview(subscription=subscription, term_months=price.term_months, now=now)
    end = plans.subscription_end(subscription) if subscription else plans.NOTHING_HELD
    return Target(
        subscription=subscription,
        held_until=end.if_resumed(now),
        is_over=end.is_over(now),
        ends_at=following.ends_at,
        too_long=not plans.fits(following.ends_at, sold_until),
    )


def other_plans(subscription: Subscription, *, now: datetime) -> tuple[OtherPlan, ...]:
    """Return the plans of its service that may be sold to its customer now, besides its own."""
    account = subscription.account
    others = Plan.objects.filter(service=subscription.service_id).exclude(pk=subscription.plan_id)
    if account.account_class != "public":
        return ()
    by_plan: dict[Plan, list[OfferView]] = {}
    for view in plans.offers(now=now, place=account.place, plans=others):
        by_plan.setdefault(view.plan, []).append(view)
    registered = len(devices_of(subscription))
    resold = queries.has_resold(subscription, at=now)  # such a term pays no other plan
    own = {line.pk for line in plans.lines_of(subscription.plan)}
    found = []
    for plan, views in by_plan.items():
        chosen = plans.longest_on_sale(views)
        prices = plans.current_prices(plan=plan, now=now)
        quotes = [values.quote(subscription, price, now=now) for price in prices]
        fitting = [quote for quote in quotes if chosen and chosen.sells(quote.ends_at)]
        if fitting:
            lines = {view.line.pk for view in views}
            surplus = max(registered - plan.device_limit, 0)
            shown = () if resold else tuple(fitting)
            found.append(OtherPlan(plan, shown, surplus, own <= lines))
    return tuple(found)


def places(subscription: Subscription, *, now: datetime) -> tuple[Place, ...]:
    """Return the places for one more device that the customer can buy, the running term first."""
    found = []
    prices: dict[int, list[AddOnPrice]] = {}
    for term in addons.terms_to_join(subscription, now=now):
        plan = term.plan_sold
        if plan.pk not in prices:
            kind = AddOnPrice.Kind.DEVICE_SLOT
            prices[plan.pk] = list(addons.prices(plan, now=now).filter(kind=kind))
        starts_at, ends_at = addons.stretch(term, now=now)
        for price in prices[plan.pk]:
            minor = addons.cost_minor(price, starts_at, ends_at)
            money = Money(minor, price.currency)
            found.append(Place(term, price, starts_at, ends_at, money))
    return tuple(found)


def packs(subscription: Subscription, *, now: datetime) -> tuple[Pack, ...]:
    """Return the quota packs that the customer can buy for the month that runs."""
    kind = AddOnPrice.Kind.QUOTA_PACK
    prices = list(addons.prices(subscription.plan, now=now).filter(kind=kind))
    if not prices:
        return ()
    joined = addons.terms_to_join(subscription, now=now)
    running = next((term for term in joined if _takes_packs(term, subscription, now)), None)
    if running is None:
        return ()
    ends_at = addons.pack_stretch(running, now=now)[1]
    return tuple(Pack(running, price, ends_at) for price in prices)


def _takes_packs(term: Order, subscription: Subscription, now: datetime) -> bool:
    term.subscription = subscription  # with its plan loaded
    return addons.takes_packs(term, now=now)


def dropped_change(subscription: Subscription) -> PlannedChange | None:
    """Return a change that could not be kept, if it is the last thing that was booked."""
    last = subscription.changes.select_related("plan").order_by("pk").last()
    told = {PlannedChange.Outcome.WITHDRAWN, PlannedChange.Outcome.DENIED}
    return last if last is not None and last.outcome in told else None
