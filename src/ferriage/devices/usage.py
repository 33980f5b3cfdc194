"""How much of their quota subscriptions used. Of those without a quota there is nothing to read.

Source: docs/explanation/quotas.md
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import batched
from typing import TYPE_CHECKING, Final

from django.db.models import Sum

from ferriage.devices.models import UsageDay, UsageMonth
from ferriage.plans import quota

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from ferriage.plans.models import Subscription

_CHUNK: Final = 1000


@dataclass(frozen=True, slots=True)
class Day:
    """Bytes of all devices of a subscription on one day (UTC): towards them, and from them."""

    on: date
    down: int
    up: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What of its quota a subscription used in the month that an instant lies in.

    `allowed` is None where there is no quota: any number of bytes, and none is counted.
    """

    allowed: int | None
    used: int
    begins_at: datetime
    ends_at: datetime

    @property
    def left(self) -> int | None:
        """Return how many bytes are left, never less than none; None is any number."""
        return None if self.allowed is None else max(self.allowed - self.used, 0)

    @property
    def is_used_up(self) -> bool:
        """Tell whether gateways hold the devices until `ends_at`."""
        return self.left == 0


def standings(subscriptions: Iterable[Subscription], now: datetime) -> dict[int, Standing]:
    """Return how subscriptions stand, by primary key, with one query for a thousand.

    Their plans are loaded, and their periods where one must not ask for each.
    """
    found = {one.pk: one for one in subscriptions}
    months = {pk: quota.stretch_of(one, now) for pk, one in found.items()}
    used = {}
    for chunk in batched(found, _CHUNK):
        rows = UsageMonth.objects.filter(subscription__in=chunk, ends_at__gt=now)
        for pk, begins_at, counted in rows.values_list(
            "subscription_id", "begins_at", "bytes_used"
        ):
            used[pk, begins_at] = counted
    return {
        pk: Standing(
            allowed=quota.allowed(one, now),
            used=used.get((pk, months[pk][0]), 0),
            begins_at=months[pk][0],
            ends_at=months[pk][1],
        )
        for pk, one in found.items()
    }


def standing(subscription: Subscription, now: datetime) -> Standing:
    """Return how a subscription with its plan loaded stands."""
    return standings([subscription], now)[subscription.pk]


def used(subscription: Subscription, now: datetime) -> int:
    """Return the bytes used in the month of the quota that an instant lies in, both ways."""
    return standing(subscription, now).used


def left(subscription: Subscription, now: datetime) -> int | None:
    """Return the bytes that are left of the month that an instant lies in; None is any number."""
    return standing(subscription, now).left


def by_day(subscription: Subscription, days: int, now: datetime) -> list[Day]:
    """Return the last days (UTC), oldest first and today last; those without bytes are zero.

    Days are kept until `conserving.MONTHS_KEPT` after the month of the quota that they belong to.
    """
    first = now.date() - timedelta(days=days - 1)
    rows = (
        UsageDay.objects.filter(device__subscription=subscription, on__gte=first)
        .values("on")
        .annotate(down=Sum("bytes_down"), up=Sum("bytes_up"))
    )
    counted = {row["on"]: Day(row["on"], int(row["down"]), int(row["up"])) for row in rows}
    spread = (first + timedelta(days=number) for number in range(days))
    return [counted.get(on, Day(on, 0, 0)) for on in spread]
