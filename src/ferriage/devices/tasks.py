from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Exists, OuterRef

from ferriage.approvals.queries import load_register
from ferriage.devices import actions, conserving, speaking, state, unplaced, unserved
from ferriage.devices.models import Device
from ferriage.plans import queries as plans
from ferriage.plans.models import Period, Plan

if TYPE_CHECKING:
    from datetime import datetime

PAGE: Final = 500


def run(now: datetime) -> int:
    """Do what is due: take away peers after their hold, follow the register and bought places.

    Returns:
        How many devices were looked after.
    """
    due = actions.forget_due(now=now) + follow_register(now) + follow_places(now)
    due += follow_quotas(now) + speaking.follow(now)
    unserved.follow(now)
    return due + unplaced.follow(now) + conserving.run(now)


def follow_places(now: datetime) -> int:
    """Open devices that had no place when one that was bought for a later term has begun."""
    begun = Period.objects.filter(
        subscription=OuterRef("subscription"),
        kind=Period.Kind.SLOT,
        starts_at__lte=now,
        ends_at__gt=now,
        starts_at__gt=OuterRef("hold_at"),
    )
    waiting = Device.objects.filter(removed_at__isnull=True, hold_at__lte=now)
    found = waiting.filter(Exists(begun)).order_by("subscription_id")
    subscriptions = list(found.values_list("subscription_id", flat=True).distinct()[:PAGE])
    if subscriptions:
        actions.refresh_all(subscriptions=subscriptions, now=now)
    return len(subscriptions)


def follow_quotas(now: datetime) -> int:
    """Tell gateways the next month of quotas whose month is over; their bytes come anew with it."""
    over = Device.objects.filter(removed_at__isnull=True, quota_ends_at__lte=now)
    found = over.order_by("subscription_id").values_list("subscription_id", flat=True)
    subscriptions = list(found.distinct()[:PAGE])
    if subscriptions:
        actions.refresh_all(subscriptions=subscriptions, now=now)
    return len(subscriptions)


def follow_register(now: datetime) -> int:
    """Refresh subscriptions whose devices rest on an answer the register gives no more.

    Plans, places and classes are few, so each group is judged once, whatever the number of devices.
    """
    live = Device.objects.filter(removed_at__isnull=True, hold_at__isnull=False)
    rows = live.order_by().values_list(
        "subscription__plan",
        "subscription__account__place",
        "subscription__account__account_class",
    )
    groups = list(rows.distinct())
    if not groups:
        return 0
    register = load_register()
    done = 0
    for plan_pk, place, account_class in groups:
        lines = plans.usable_by(plans.lines_of(Plan.objects.get(pk=plan_pk)), account_class)
        verdicts = actions.verdicts_on(lines, place=place, register=register, now=now)
        stale = (
            live.filter(
                subscription__plan=plan_pk,
                subscription__account__place=place,
                subscription__account__account_class=account_class,
            )
            .exclude(ruling=state.ruling(verdicts.items()))
            .order_by("subscription_id")
            .values_list("subscription_id", flat=True)
            .distinct()
        )
        subscriptions = list(stale[:PAGE])
        actions.refresh_all(subscriptions=subscriptions, now=now)
        done += len(subscriptions)
    return done
