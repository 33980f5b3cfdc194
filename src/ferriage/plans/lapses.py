"""Since when may no line of a plan serve its customers? Read from permits and the register.

A lapse by date is written by nobody: the gateways end it by themselves. So the instant is worked
out afterwards, from what permits said and from the dates on record, however late anybody looks.

Source: docs/explanation/terms.md
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import (
    DateTimeField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    Max,
    OuterRef,
    Q,
    Subquery,
    Sum,
)
from django.db.models.functions import Coalesce

from ferriage.approvals.facts import Verdict
from ferriage.approvals.packs import PackError
from ferriage.approvals.queries import load_register
from ferriage.fleet.models import Line
from ferriage.fleet.queries import is_open, last_open, line_facts, newest_permits
from ferriage.plans.entitlement import held_stretches
from ferriage.plans.models import Lapse, Offer, Period, Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.accounts.models import Account
    from ferriage.approvals.queries import Register
    from ferriage.fleet.models import Permit
    from ferriage.fleet.queries import LastOpen

CUSTOMERS_OWN: Final = frozenset({"place-not-declared", "place-not-on-line", "place-unreadable"})
"""Reasons that lie in where the customer says to be: the shop could serve, were they elsewhere."""


LONGEST_WAIT: Final = timedelta(days=30)
"""How long days stand still at most where something was sold; then it is refunded."""


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """Customers who are judged alike: of one plan, in one place, of one class."""

    plan: int
    place: str
    account_class: str


@dataclass(frozen=True, slots=True)
class Stop:
    """A subscription and the instant from which its days stand still."""

    subscription: Subscription
    at: datetime


def groups_held() -> list[Group]:
    """Return the groups that have subscriptions, with one query."""
    rows = Subscription.objects.order_by().values_list(
        "plan", "account__place", "account__account_class"
    )
    return sorted(Group(*row) for row in rows.distinct())


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a line serves a group now; if none does, since when none does.

    Both are empty where no line ever served, and where only the customers' own place keeps them
    out: nobody then took anything away from them.
    """

    is_served: bool
    lapsed_at: datetime | None


def standings(groups: Iterable[Group], *, now: datetime) -> dict[Group, Standing]:
    """Judge groups at an instant, with the same number of queries for any number of them."""
    wanted = list(groups)
    yard = _Yard.read({group.plan for group in wanted}, now)
    return {group: yard.standing(group) for group in wanted}


def group_of(subscription: Subscription) -> Group:
    """Return the group that a subscription belongs to, with its account loaded."""
    account = subscription.account
    return Group(subscription.plan_id, account.place, account.account_class)


def groups_waiting() -> list[Group]:
    """Return the groups whose days stand still, with one query."""
    rows = (
        open_lapses()
        .order_by()
        .values_list(
            "subscription__plan",
            "subscription__account__place",
            "subscription__account__account_class",
        )
    )
    return sorted(Group(*row) for row in rows.distinct())


def of_group(group: Group) -> Q:
    """Return the condition of lapses whose subscription belongs to a group."""
    return Q(
        subscription__plan=group.plan,
        subscription__account__place=group.place,
        subscription__account__account_class=group.account_class,
    )


def open_lapses() -> QuerySet[Lapse]:
    """Return the lapses that have not ended, the first to be due first."""
    return (
        Lapse.objects.filter(ended_at=None)
        .select_related("subscription__account", "subscription__plan", "subscription__service")
        .order_by("due_at", "pk")
    )


def stopped(account: Account, *, now: datetime) -> dict[int, Stop]:
    """Return which of an account's subscriptions no line serves, noticed by the worker or not.

    By primary key of the subscription, with the instant from which its days stand still.
    """
    lapses = open_lapses().filter(subscription__account=account)
    found = {one.subscription_id: Stop(one.subscription, one.lapsed_at) for one in lapses}
    others = (
        Subscription.objects.filter(account=account)
        .exclude(pk__in=found)
        .select_related("account", "plan", "service")
        .prefetch_related("periods")
    )
    by_group = {subscription: group_of(subscription) for subscription in others}
    judged = standings(by_group.values(), now=now) if by_group else {}
    for subscription, group in by_group.items():
        lapsed_at = judged[group].lapsed_at
        one = stop(subscription, lapsed_at=lapsed_at, now=now) if lapsed_at else None
        if one is not None:
            found[subscription.pk] = one
    return found


def to_freeze(group: Group, *, lapsed_at: datetime, now: datetime, limit: int) -> list[Stop]:
    """Return subscriptions of a lapsed group whose days run on, each with its own instant."""
    found: list[Stop] = []
    after = 0
    while len(found) < limit:
        page = list(_running(group, lapsed_at).filter(pk__gt=after)[:limit])
        if not page:
            break
        after = page[-1].pk
        stops = (stop(subscription, lapsed_at=lapsed_at, now=now) for subscription in page)
        found += [one for one in stops if one is not None]
    return found[:limit]


def _running(group: Group, lapsed_at: datetime) -> QuerySet[Subscription]:
    """Return those that may hold something at the instant, as far as the database can tell."""
    mine = Period.objects.filter(subscription=OuterRef("pk")).order_by()
    giving = mine.exclude(kind__in=["cut", "freeze", "slot", "pack", "revoke"])
    newest = mine.order_by("-pk")
    stood_still = (
        mine.filter(kind="freeze", ends_at__isnull=False)
        .values("subscription")
        .annotate(total=Sum(F("ends_at") - F("starts_at"), output_field=DurationField()))
        .values("total")
    )
    last = giving.values("subscription").annotate(last=Max("ends_at")).values("last")
    return (
        Subscription.objects.filter(
            plan=group.plan,
            account__place=group.place,
            account__account_class=group.account_class,
        )
        .exclude(Exists(Lapse.objects.filter(subscription=OuterRef("pk"), ended_at=None)))
        .exclude(Exists(giving.filter(ends_at=None)))
        .annotate(
            end=ExpressionWrapper(
                Subquery(last) + Coalesce(Subquery(stood_still), timedelta(0)),
                output_field=DateTimeField(),
            ),
            newest_kind=Subquery(newest.values("kind")[:1]),
            newest_start=Subquery(newest.values("starts_at")[:1]),
        )
        .filter(end__gt=lapsed_at)
        .exclude(newest_kind="cut", newest_start__lte=lapsed_at)
        .select_related("account")
        .prefetch_related("periods")
        .order_by("pk")
    )


def stop(subscription: Subscription, *, lapsed_at: datetime, now: datetime) -> Stop | None:
    """Return where a subscription's days stop: no earlier than they last went on, or began."""
    periods = sorted(subscription.periods.all(), key=lambda period: period.pk)
    thawed = (p.ends_at for p in periods if p.kind == "freeze" and p.ends_at is not None)
    at = max([lapsed_at, *thawed])
    for start, end in held_stretches(periods):
        if end is not None and end > at and max(start, at) <= now:
            return Stop(subscription, max(start, at))
    return None


@dataclass(frozen=True, slots=True)
class _Yard:
    """Every line that some plans ever were offered on, with what is known of it at an instant."""

    offers: dict[int, list[Offer]]
    permits: dict[int, Permit]
    opened: dict[int, LastOpen]
    register: Register | None
    now: datetime

    @classmethod
    def read(cls, plans: Iterable[int], now: datetime) -> _Yard:
        rows = Offer.objects.filter(plan__in=list(plans)).select_related("line__party")
        offers = defaultdict(list)
        for offer in rows:
            offers[offer.plan_id].append(offer)
        lines = {offer.line_id: offer.line for offer in rows}.values()
        return cls(offers, newest_permits(lines), last_open(lines, at=now), _register(), now)

    def standing(self, group: Group) -> Standing:
        """Tell whether a line serves a group; if none does, when the last of them ended."""
        ends = []
        for offer in self.offers.get(group.plan, ()):
            if offer.line.customer_class not in {"public", group.account_class}:
                continue
            if offer.line_id not in self.opened:
                continue
            verdict = self._judged(offer.line, group.place, self.now)
            if self._serves(offer, verdict):
                return Standing(is_served=True, lapsed_at=None)
            if not _is_customers_own(verdict):
                ends.append(self._ended_at(offer, group.place))
        return Standing(is_served=False, lapsed_at=max(ends, default=None))

    def _judged(self, line: Line, place: str, at: datetime) -> Verdict:
        if self.register is None:
            return Verdict(allowed=False, reasons=(), grounds=(), valid_until=at)
        return self.register.judge(line=line_facts(line), at=at, customer_place=place)

    def _serves(self, offer: Offer, verdict: Verdict) -> bool:
        return (
            offer.withdrawn_at is None
            and offer.line.state == Line.State.IN_SERVICE
            and verdict.allowed
            and is_open(self.permits.get(offer.line_id), at=self.now)
        )

    def _ended_at(self, offer: Offer, place: str) -> datetime:
        """Return when a line ended for customers in a place: the earliest of what is known."""
        opened = self.opened[offer.line_id]
        known = (
            opened.closed_at,
            offer.withdrawn_at,
            self._denied_by_date(offer.line, place, opened.opened_at),
        )
        return min((at for at in known if at is not None and at <= self.now), default=self.now)

    def _denied_by_date(self, line: Line, place: str, opened_at: datetime) -> datetime | None:
        """Follow the register's dates from the last opening to the first instant it denies.

        Nothing when it denies from the start: then what is recorded has changed since, and the
        permit that followed says when.
        """
        at = opened_at
        verdict = self._judged(line, place, at)
        if not verdict.allowed:
            return None
        while verdict.allowed and at <= self.now:
            at = verdict.valid_until
            verdict = self._judged(line, place, at)
        return at


def _register() -> Register | None:
    """Return the register, or nothing while a rule pack cannot be read: then no line may serve."""
    try:
        return load_register()
    except PackError:
        return None


def _is_customers_own(verdict: Verdict) -> bool:
    slugs = {reason.slug for reason in verdict.reasons}
    return not verdict.allowed and bool(slugs) and slugs <= CUSTOMERS_OWN
