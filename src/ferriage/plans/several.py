"""Which of an account's subscriptions a purchase goes onto, and with which plan it goes on.

Source: docs/explanation/subscriptions.md
"""

from __future__ import annotations

from collections import defaultdict
from itertools import batched
from typing import TYPE_CHECKING, Final

from ferriage.core.compiled import Compiled
from ferriage.plans.models import Plan, PlannedChange, Subscription
from ferriage.plans.queries import subscription_end

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.plans.models import Service

_AT_ONCE: Final = 5000
_HELD: Final = Compiled(
    2,
    lambda account, service: (
        Subscription.objects.filter(account=account, service=service)
        .select_related("service", "plan__service")
        .prefetch_related("periods")
        .order_by("number")
    ),
)
_LAST_NUMBER: Final = Compiled(
    2,
    lambda account, service: (
        Subscription.objects.filter(account=account, service=service)
        .order_by("-number")
        .values_list("number")[:1]
    ),
)


def subscriptions_to(account: Account, service: Service) -> list[Subscription]:
    """Return an account's subscriptions to a service with their periods loaded, oldest first."""
    return _HELD(account, service)


class Holdings:
    """What accounts hold, asked of the database each time."""

    def of(self, account: Account, service: Service) -> list[Subscription]:
        """Return an account's subscriptions to a service with their periods, oldest first."""
        return subscriptions_to(account, service)

    def named(self, subscription: int) -> Subscription:
        """Return a subscription by its primary key."""
        return Subscription.objects.select_related("service", "plan__service").get(pk=subscription)

    def changes(self, subscriptions: list[Subscription]) -> dict[int, PlannedChange]:
        """Return what is booked for subscriptions, by their primary keys."""
        return planned_changes(subscriptions)


ASKED: Final = Holdings()


class HoldingsOfMany(Holdings):
    """What many accounts held when this was made, by a few queries for all of them."""

    def __init__(self, accounts: Iterable[int]) -> None:
        self._by: dict[tuple[int, int], list[Subscription]] = defaultdict(list)
        self._named: dict[int, Subscription] = {}
        self._changes: dict[int, PlannedChange] = {}
        for part in batched(sorted(set(accounts)), _AT_ONCE):
            rows = Subscription.objects.filter(account__in=part)
            found = list(
                rows.select_related("service", "plan__service")
                .prefetch_related("periods")
                .order_by("number")
            )
            for row in found:
                self._by[row.account_id, row.service_id].append(row)
                self._named[row.pk] = row
            self._changes |= planned_changes(found)

    def of(self, account: Account, service: Service) -> list[Subscription]:
        """Return what was read."""
        return self._by[account.pk, service.pk]

    def named(self, subscription: int) -> Subscription:
        """Return what was read."""
        return self._named[subscription]

    def changes(self, subscriptions: list[Subscription]) -> dict[int, PlannedChange]:
        """Return what was read."""
        keys = {subscription.pk for subscription in subscriptions}
        return {key: change for key, change in self._changes.items() if key in keys}


def subscription_of(*, account: Account, code: str) -> Subscription | None:
    """Return a subscription if it belongs to the account."""
    mine = Subscription.objects.filter(account=account, code=code)
    return mine.select_related("service", "plan__service", "account").first()


def extendable(account: Account, plan: Plan, *, now: datetime) -> list[Subscription]:
    """Return the subscriptions that a term of a plan may go onto, the one to propose first.

    First those that run and go on with this plan, the one that ends soonest before the others;
    then those that are over, the one that ended last before the others.
    """
    return _extendable(subscriptions_to(account, plan.service), plan, now=now, by=ASKED)


def _extendable(
    held: list[Subscription], plan: Plan, *, now: datetime, by: Holdings
) -> list[Subscription]:
    running, over = [], []
    changes = by.changes(held) if held else {}
    for subscription in held:
        end = subscription_end(subscription)
        if end.is_over(now):
            over.append((end.at, subscription))
        elif end.at is not None and plan.pk in plans_ahead(subscription, changes):
            running.append((end.at, subscription))
    running.sort(key=lambda pair: (pair[0], pair[1].pk))
    over.sort(key=lambda pair: (pair[0] is not None, pair[0], pair[1].pk), reverse=True)
    return [subscription for _end, subscription in (*running, *over)]


def proposed(
    account: Account, plan: Plan, *, now: datetime, by: Holdings = ASKED
) -> Subscription | None:
    """Return what a purchase goes onto that says nothing; None where it begins the first one.

    Where only subscriptions with another plan run it is one of those: it refuses the purchase.
    """
    held = by.of(account, plan.service)
    return next(iter([*_extendable(held, plan, now=now, by=by), *held]), None)


def next_number(account: Account, service: Service) -> int:
    """Return the number of an account's next subscription to a service."""
    return (_LAST_NUMBER.first(account, service) or (0,))[0] + 1


def planned_change(subscription: Subscription) -> PlannedChange | None:
    """Return the change of plan that is booked for a subscription's end, or nothing."""
    return planned_changes([subscription]).get(subscription.pk)


def planned_changes(subscriptions: list[Subscription]) -> dict[int, PlannedChange]:
    """Return what is booked for subscriptions, by their primary keys, with one query."""
    rows = PlannedChange.objects.filter(
        subscription__in=[subscription.pk for subscription in subscriptions], ended_at=None
    ).select_related("plan__service")
    return {change.subscription_id: change for change in rows}


def plans_ahead(subscription: Subscription, changes: dict[int, PlannedChange]) -> set[int]:
    """Return the primary keys of the plans that a subscription's next term may be of.

    A change that is booked may still be given up, by renewing as before; one that is paid not.
    """
    change = changes.get(subscription.pk)
    if change is None:
        return {subscription.plan_id}
    return {change.plan_id} | (set() if change.source_code else {subscription.plan_id})
