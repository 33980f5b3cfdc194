from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from django.db.models import Q

from ferriage.approvals.queries import load_register
from ferriage.core.compiled import Compiled
from ferriage.fleet.models import Line
from ferriage.fleet.queries import is_open, line_facts, newest_permits
from ferriage.plans import entitlement as rights
from ferriage.plans import terms
from ferriage.plans.models import Hold, Offer, Period, Plan, Price, Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.db.models import QuerySet

    from ferriage.accounts.models import Account
    from ferriage.approvals.facts import Verdict
    from ferriage.approvals.queries import Register

_NO_END: Final = datetime.max.replace(tzinfo=UTC)

OfferState = Literal["hidden", "on_sale", "stop_sale", "withdrawn"]


@dataclass(frozen=True, slots=True)
class OfferView:
    """A plan on a line, judged at one instant; `verdict` says why.

    `sold_until` is the end of the approvals that the line rests on, None without end: no term
    may run past it. `runs_out` tells that the offer stopped for that alone, since not even the
    shortest term ends before it. `register` is what was read to judge it.
    """

    offer: Offer
    plan: Plan
    line: Line
    state: OfferState
    verdict: Verdict
    sold_until: datetime | None
    register: Register = field(repr=False, compare=False)
    runs_out: bool = False

    def sells(self, ends_at: datetime) -> bool:
        """Tell whether a term that ends at an instant may be sold on the line now."""
        return self.state == "on_sale" and fits(ends_at, self.sold_until)


@dataclass(frozen=True, slots=True)
class End:
    """Where a subscription's right ends. `at` is None for a grant without end.

    `held` tells that something was given at all. From `frozen_from` on time stands still: the
    right will end later than `at`, by as long as that lasts.
    """

    held: bool
    at: datetime | None
    frozen_from: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Tell whether nothing is held at the instant."""
        return not self.held or (self.at is not None and self.at <= self._standing_still(now))

    def if_resumed(self, now: datetime) -> datetime | None:
        """Return where the right would end if its days went on now."""
        return None if self.at is None else self.at + (now - self._standing_still(now))

    def _standing_still(self, now: datetime) -> datetime:
        return now if self.frozen_from is None else min(now, self.frozen_from)


NOTHING_HELD: Final = End(held=False, at=None)


def offers(
    *, now: datetime, place: str | None = None, plans: Iterable[Plan] | None = None
) -> list[OfferView]:
    """Judge every offer that was not withdrawn, with one reading of the register.

    Args:
        place: A customer's place; without one the line's permit is judged.
        plans: Only offers of these.
    """
    rows = _offered()
    if plans is not None:
        rows = rows.filter(plan__in=[plan.pk for plan in plans])
    return _judged(list(rows), now, place)


def _offered() -> QuerySet[Offer]:
    rows = Offer.objects.filter(withdrawn_at__isnull=True, plan__withdrawn_at__isnull=True)
    return rows.select_related("plan__service", "line__party").order_by(
        "plan__service__position", "plan__service_id", "plan_id", "line_id"
    )


_OF_PLAN: Final = Compiled(1, lambda plan: _offered().filter(plan=plan))


def _judged(found: list[Offer], now: datetime, place: str | None) -> list[OfferView]:
    register = load_register()
    permits = newest_permits([offer.line for offer in found])
    views = []
    for offer in found:
        facts = line_facts(offer.line)
        verdict = register.judge(line=facts, at=now, customer_place=place, begins=True)
        permit_open = is_open(permits.get(offer.line_id), at=now)
        state = _offer_state(offer.line, verdict, permit_open=permit_open)
        sold_until = register.rests_until(line=facts, at=now, customer_place=place)
        view = OfferView(offer, offer.plan, offer.line, state, verdict, sold_until, register)
        views.append(_stopped_in_time(view, now))
    return views


def longest_on_sale(views: Iterable[OfferView]) -> OfferView | None:
    """Return the offer on sale whose approvals last longest, the first of equals."""
    on_sale = [view for view in views if view.state == "on_sale"]
    return max(on_sale, key=lambda view: view.sold_until or _NO_END, default=None)


def end_of_sale(views: Iterable[OfferView]) -> datetime | None:
    """Return where terms must end on the offers of one plan; None without end, or not on sale."""
    found = list(views)
    run_out = next((view for view in found if view.runs_out), None)
    chosen = longest_on_sale(found) or run_out
    return chosen.sold_until if chosen else None


def fits(ends_at: datetime, sold_until: datetime | None) -> bool:
    """Tell whether a term that ends at an instant stays within what it rests on (rule R4)."""
    return sold_until is None or ends_at <= sold_until


def _stopped_in_time(view: OfferView, now: datetime) -> OfferView:
    """Stop an offer when not even the shortest term would end in time: from about T-30."""
    if view.state != "on_sale" or view.sells(terms.boundary(now, terms.TERMS[0])):
        return view
    return replace(view, state="stop_sale", runs_out=True)


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
    return _judged(_OF_PLAN(plan), now, place)


def lines_of(plan: Plan) -> list[Line]:
    """Return the lines that a plan's devices are placed on, whatever the register says."""
    return list(
        Line.objects.filter(
            pk__in=Offer.objects.filter(plan=plan, withdrawn_at__isnull=True).values("line")
        )
        .exclude(state=Line.State.CLOSED)
        .select_related("party")
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


def open_to(account: Account, *, besides: Subscription, now: datetime) -> list[OfferView]:
    """Return one offer of each other plan of a subscription's service that they may move to.

    It is on sale to them, and what is left of their term ends before the offer's approvals do.
    """
    others = Plan.objects.filter(service=besides.service_id).exclude(pk=besides.plan_id)
    if account.account_class != "public":
        return []
    end = subscription_end(besides).if_resumed(now)
    by_plan: dict[int, OfferView] = {}
    for view in offers(now=now, place=account.place, plans=others):
        if view.state == "on_sale" and (end is None or view.sells(end)):
            by_plan.setdefault(view.plan.pk, view)
    return list(by_plan.values())


def offered_plans(services: Iterable[int]) -> dict[int, set[int]]:
    """Return the plans that are offered of services, all by primary key, whoever may buy them."""
    found: dict[int, set[int]] = defaultdict(set)
    rows = _offered().filter(plan__service__in=list(services)).order_by()
    for service, plan in rows.values_list("plan__service", "plan").distinct():
        found[service].add(plan)
    return found


# --- subscriptions ----------------------------------------------------------------------------


def subscriptions_of(account: Account) -> list[Subscription]:
    """Return an account's subscriptions with their periods loaded, oldest first."""
    return list(
        Subscription.objects.filter(account=account)
        .select_related("service", "plan__service")
        .prefetch_related("periods")
        .order_by("pk")
    )


def posted_periods(subscription: Subscription) -> list[Period]:
    """Return a subscription's periods in the order they were posted."""
    return sorted(subscription.periods.all(), key=lambda period: period.pk)


def subscription_end(subscription: Subscription) -> End:
    """Return where the right of a subscription ends, from its periods alone."""
    periods = posted_periods(subscription)
    stretches = rights.held_stretches(periods)
    if not stretches:
        return NOTHING_HELD
    return End(held=True, at=stretches[-1][1], frozen_from=rights.frozen_from(periods))


def device_limit(subscription: Subscription, *, now: datetime) -> int:
    """Return for how many devices a subscription has room, with its plan loaded."""
    periods = posted_periods(subscription)
    return rights.device_limit(periods, of_plan=subscription.plan.device_limit, now=now)


def preview(
    *, subscription: Subscription | None, term_months: int, now: datetime
) -> terms.NextPeriod:
    """Return what one more term would give, as shown before purchase."""
    if subscription is None:
        return terms.next_period(anchor_at=None, current_end=None, term_months=term_months, now=now)
    return terms.next_period(
        anchor_at=subscription.anchor_at,
        current_end=subscription_end(subscription).if_resumed(now),
        term_months=term_months,
        now=now,
    )


def held_now(subscriptions: Sequence[int]) -> set[int]:
    """Return which of the subscriptions, by primary key, are held for a reason of their own."""
    held = Hold.objects.filter(subscription__in=subscriptions, ended_at=None)
    return set(held.values_list("subscription", flat=True))


def holds_of(subscription: Subscription) -> list[Hold]:
    """Return the holds that a subscription is under now, oldest first."""
    return list(Hold.objects.filter(subscription=subscription, ended_at=None).order_by("pk"))
