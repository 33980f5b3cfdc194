from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from django.db.models import Q

from ferriage.approvals.queries import load_register
from ferriage.fleet.models import Line
from ferriage.fleet.queries import is_open, line_facts, newest_permits
from ferriage.plans import entitlement as rights
from ferriage.plans import terms
from ferriage.plans.models import Offer, Period, Plan, Price, Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.approvals.facts import Verdict
    from ferriage.plans.models import Service

OfferState = Literal["hidden", "on_sale", "stop_sale", "withdrawn"]


@dataclass(frozen=True, slots=True)
class OfferView:
    """A plan on a line, judged at one instant; `verdict` says why."""

    offer: Offer
    plan: Plan
    line: Line
    state: OfferState
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class End:
    """Where a subscription's right ends. `at` is None for a grant without end.

    `held` tells that something was given at all.
    """

    held: bool
    at: datetime | None

    def is_over(self, now: datetime) -> bool:
        """Tell whether nothing is held at the instant."""
        return not self.held or (self.at is not None and self.at <= now)


NOTHING_HELD: Final = End(held=False, at=None)


def offers(
    *, now: datetime, place: str | None = None, plans: Iterable[Plan] | None = None
) -> list[OfferView]:
    """Judge every offer that was not withdrawn, with one reading of the register.

    Args:
        place: A customer's place; without one the line's permit is judged.
        plans: Only offers of these.
    """
    rows = Offer.objects.filter(withdrawn_at__isnull=True, plan__withdrawn_at__isnull=True)
    if plans is not None:
        rows = rows.filter(plan__in=[plan.pk for plan in plans])
    found = list(
        rows.select_related("plan__service", "line__party").order_by(
            "plan__service__position", "plan__service_id", "plan_id", "line_id"
        )
    )
    register = load_register()
    permits = newest_permits([offer.line for offer in found])
    views = []
    for offer in found:
        verdict = register.judge(line=line_facts(offer.line), at=now, customer_place=place)
        permit_open = is_open(permits.get(offer.line_id), at=now)
        state = _offer_state(offer.line, verdict, permit_open=permit_open)
        views.append(OfferView(offer, offer.plan, offer.line, state, verdict))
    return views


def _offer_state(line: Line, verdict: Verdict, *, permit_open: bool) -> OfferState:
    if line.state == Line.State.CLOSED:
        return "withdrawn"
    if line.customer_class != "public" or line.state == Line.State.PLANNED:
        return "hidden"
    if line.state == Line.State.IN_SERVICE and verdict.allowed and permit_open:
        return "on_sale"
    return "stop_sale"


def offers_of(*, plan: Plan, now: datetime, place: str | None = None) -> list[OfferView]:
    """Judge the offers of one plan."""
    return offers(now=now, place=place, plans=[plan])


def lines_of(plan: Plan) -> list[Line]:
    """Return the lines that a plan's devices are placed on, whatever the register says."""
    return list(
        Line.objects.filter(
            pk__in=Offer.objects.filter(plan=plan, withdrawn_at__isnull=True).values("line")
        )
        .exclude(state=Line.State.CLOSED)
        .select_related("party", "pool")
        .order_by("pk")
    )


def usable_by(lines: Iterable[Line], account_class: str) -> list[Line]:
    """Return the lines that accounts of a class may use: those for the public, and its own.

    Actions keep the lines of one plan to one class; this holds even for rows written past them.
    """
    classes = {"public", account_class}
    return [line for line in lines if line.customer_class in classes]


def is_for_own_staff(plan: Plan) -> bool:
    """Tell whether one of the plan's lines is for own staff, who pay nothing."""
    return any(line.customer_class == "own_staff" for line in lines_of(plan))


def is_closed(plan: Plan) -> bool:
    """Tell whether one of the plan's lines is for named people only."""
    return any(line.customer_class != "public" for line in lines_of(plan))


def current_prices(*, plan: Plan, now: datetime) -> list[Price]:
    """Return the prices in force, by term and currency."""
    return list(
        Price.objects.filter(_in_force(now), plan=plan)
        .select_related("plan__service")
        .order_by("term_months", "currency")
    )


def price_for(*, plan: Plan, term_months: int, currency: str, now: datetime) -> Price | None:
    """Return the price of a term in force, or nothing."""
    return Price.objects.filter(
        _in_force(now), plan=plan, term_months=term_months, currency=currency
    ).first()


def _in_force(now: datetime) -> Q:
    return Q(valid_from__lte=now) & (Q(valid_to__isnull=True) | Q(valid_to__gt=now))


# --- subscriptions ----------------------------------------------------------------------------


def subscriptions_of(account: Account) -> list[Subscription]:
    """Return an account's subscriptions with their periods loaded, oldest first."""
    return list(
        Subscription.objects.filter(account=account)
        .select_related("service", "plan__service")
        .prefetch_related("periods")
        .order_by("pk")
    )


def subscription_for(*, account: Account, service: Service) -> Subscription | None:
    """Return the account's subscription to a service, or nothing."""
    return (
        Subscription.objects.filter(account=account, service=service)
        .select_related("service", "plan__service")
        .first()
    )


def posted_periods(subscription: Subscription) -> list[Period]:
    """Return a subscription's periods in the order they were posted."""
    return sorted(subscription.periods.all(), key=lambda period: period.pk)


def subscription_end(subscription: Subscription) -> End:
    """Return where the right of a subscription ends, from its periods alone."""
    stretches = rights.held_stretches(posted_periods(subscription))
    return End(held=True, at=stretches[-1][1]) if stretches else NOTHING_HELD


def preview(
    *, subscription: Subscription | None, term_months: int, now: datetime
) -> terms.NextPeriod:
    """Return what one more term would give, as shown before purchase."""
    if subscription is None:
        return terms.next_period(anchor_at=None, current_end=None, term_months=term_months, now=now)
    return terms.next_period(
        anchor_at=subscription.anchor_at,
        current_end=subscription_end(subscription).at,
        term_months=term_months,
        now=now,
    )
