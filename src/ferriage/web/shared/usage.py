"""What was used of a quota, as customers and staff see it: bars by day, used, left, until when.

Only of plans with a quota. Of others nothing is counted for anybody, so there is nothing to show.

Source: docs/explanation/quotas.md
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ferriage.devices import usage
from ferriage.plans import quota
from ferriage.web.shared import barchart

if TYPE_CHECKING:
    from datetime import date, datetime

    from ferriage.devices.usage import Day, Standing
    from ferriage.plans.models import Subscription
    from ferriage.web.shared.barchart import Chart

BAR_WIDTH = 720


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A month of a quota up to now. `packs` is what of `allowed` was bought on top of the plan.

    `filled` is how far the bar of the month is drawn, of `BAR_WIDTH`.
    """

    allowed: int
    used: int
    left: int
    packs: int
    begins_at: datetime
    ends_at: datetime
    chart: Chart
    days: tuple[Day, ...]
    last_day: date

    @property
    def is_used_up(self) -> bool:
        """Tell whether the devices are held for it."""
        return not self.left

    @property
    def filled(self) -> int:
        """How far the bar of the month is drawn."""
        return min(BAR_WIDTH * self.used // self.allowed, BAR_WIDTH)


def of(subscription: Subscription, *, now: datetime) -> Usage | None:
    """Return what a subscription with its plan loaded used; None where it has no quota."""
    if subscription.plan.quota_bytes is None:
        return None
    return _drawn(subscription, usage.standing(subscription, now), now)


def _drawn(subscription: Subscription, month: Standing, now: datetime) -> Usage | None:
    if month.allowed is None or month.left is None:
        return None
    first, last = month.begins_at.date(), (month.ends_at - timedelta(microseconds=1)).date()
    so_far = usage.by_day(subscription, (now.date() - first).days + 1, now)
    used = {day.on: day.down + day.up for day in so_far}
    whole = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return Usage(
        allowed=month.allowed,
        used=month.used,
        left=month.left,
        packs=quota.packs(subscription, now),
        begins_at=month.begins_at,
        ends_at=month.ends_at,
        chart=barchart.draw([(day, [("used", used.get(day, 0))]) for day in whole]),
        days=tuple(day for day in so_far if day.down or day.up),
        last_day=last,
    )
