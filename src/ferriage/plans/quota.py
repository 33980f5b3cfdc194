"""The months of a quota, and how much may be used in one. Pure, but for the periods it is given.

A month of the quota is a calendar month counted from `quota_anchor_at`, in real time: it runs on
while days stand still, and renewals, grants and changes of plan leave it where it is. So the end
of the subscription's time moves behind a freeze, and the quota comes anew for what is left there:
no month is ever lost. Were the months counted anew with each change of plan or each purchase after
a refund, somebody could use a whole quota each day.

Source: docs/explanation/quotas.md
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ferriage.plans import queries, terms
from ferriage.plans.entitlement import in_force
from ferriage.plans.models import Period

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.plans.models import Subscription

_TICK: Final = timedelta(microseconds=1)


def stretch(anchor_at: datetime, now: datetime) -> tuple[datetime, datetime]:
    """Return the month of a quota that an instant lies in, half-open.

    Boundaries are the anchor plus calendar months, clamped as those of terms are.

    Args:
        anchor_at: A subscription's `quota_anchor_at`; `now` may lie before it.
    """
    months = terms.months_to(anchor_at, now)
    return terms.boundary(anchor_at, months), terms.boundary(anchor_at, months + 1)


def stretch_of(subscription: Subscription, now: datetime) -> tuple[datetime, datetime]:
    """Return the month of a subscription's quota that an instant lies in, half-open."""
    return stretch(subscription.quota_anchor_at, now)


def anchor_from(
    anchor_at: datetime, *, held_until: datetime | None, starts_at: datetime
) -> datetime:
    """Return where the months of a quota are counted from once more time was given.

    Where it was, unless the month in which the subscription ended is over: then from the start of
    what is given.

    Args:
        held_until: Exclusive end of what was held; None is without end, or nothing held.
        starts_at: Where the time that is given begins.
    """
    if held_until is None or starts_at <= held_until:
        return anchor_at
    _begins_at, ends_at = stretch(anchor_at, held_until - _TICK)
    return starts_at if starts_at >= ends_at else anchor_at


def allowed(subscription: Subscription, now: datetime) -> int | None:
    """Return how many bytes a subscription may use in the month of its quota; None is any number.

    Its plan's quota and the packs in force. The plan is loaded; so are periods where one must not
    ask for each.
    """
    of_plan = subscription.plan.quota_bytes
    if of_plan is None:
        return None
    return of_plan + packs(subscription, now)


def packs(subscription: Subscription, now: datetime) -> int:
    """Return how many bytes packs add to the month that an instant lies in."""
    held = in_force(queries.posted_periods(subscription), kind=Period.Kind.PACK, now=now)
    return sum(pack.quota_bytes or 0 for pack in held)
