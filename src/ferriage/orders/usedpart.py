"""How far a term with a quota counts as used: by its time or by its data, whichever is more.

A term is worth its time. The time that lies in the running month of the quota is also worth that
month's data: what is left of it is the lesser of the two. Months that are over were worth their
time, and those to come have all their data.

What is counted is what the books of usage say when it is asked for. A gateway's report that comes
later changes nothing of what was booked.

Source: docs/explanation/refunds.md
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Sum

from ferriage.devices import usage
from ferriage.devices.models import UsageMonth
from ferriage.orders import queries
from ferriage.orders.earning import own_time
from ferriage.orders.models import Order
from ferriage.plans.models import Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.devices.usage import Standing

_DAY: Final = timedelta(days=1)
_TICK: Final = timedelta(microseconds=1)
_TRIED: Final = 10
"""The whole price is refunded for trying it: while at most a tenth of a month's data was used."""
_NONE: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class UsedPart:
    """What was used of a term in the running month of its quota, by both measures.

    `passed` of `length` is the term's own time that lies in the month, and `used` of `allowed` the
    bytes that it had there: not what terms before it used, and no packs. `counts_to` is up to where
    the term counts by its data, in its own time; `own_at` by its time. `only_tried` tells that at
    most a tenth of a month's data was used since it began.
    """

    passed: timedelta
    length: timedelta
    used: int
    allowed: int
    own_at: datetime
    counts_to: datetime
    only_tried: bool

    @property
    def by_data(self) -> bool:
        """Tell whether the data counts, since more of it was used than of the time."""
        return self.counts_to > self.own_at

    @property
    def days_passed(self) -> int:
        """Return the days that passed, a begun one whole."""
        return -(-self.passed // _DAY)

    @property
    def days(self) -> int:
        """Return the days of the month that the term has, a begun one whole."""
        return -(-self.length // _DAY)


def counts_to(
    *, own_at: datetime, passed: timedelta, ahead: timedelta, used: int, allowed: int
) -> datetime:
    """Return up to where a term counts, in its own time: its time, or more where its data says so.

    Rounded down to the microsecond, for the customer; never beyond the end of the month.

    Args:
        own_at: Where it stands.
        passed: Its time in the running month of the quota until there.
        ahead: And from there.
        used: Of the bytes that it has in this month.
        allowed: How many these are; at least one.
    """
    unused = max(allowed - used, 0)
    left = -(-((passed + ahead) // _TICK * unused) // allowed)
    return own_at + max(ahead - left * _TICK, _NONE)


def of(subscription: Subscription, *, at: datetime) -> dict[int, UsedPart]:
    """Return what `of_running` does, of all that runs."""
    return of_running(subscription, queries.running([subscription], at=at), at=at)


def of_running(
    subscription: Subscription, orders: Iterable[Order], *, at: datetime
) -> dict[int, UsedPart]:
    """Return what was used of the term of a subscription that runs at an instant, by its key.

    Empty where nothing but time counts: no quota, not begun, or days that stand still, since then
    we stopped. With no query where no order has a quota.

    Args:
        orders: Those that run, as `queries.running` returns them.
    """
    running = list(orders)
    term = next((order for order in running if _counts_data(order, at)), None)
    if term is None:
        return {}
    held = Subscription.objects.select_related("plan").get(pk=subscription.pk)
    if held.plan.quota_bytes is None:
        return {}
    packs = sum(one.quota_bytes or 0 for one in running if _adds(one, at))
    found = _read(term, usage.standing(held, at), packs, at)
    return {term.pk: found} if found else {}


def _counts_data(order: Order, at: datetime) -> bool:
    """Tell whether an order is a term with a quota that has begun and whose data is known."""
    return (
        order.kind in {Order.Kind.TERM, Order.Kind.CHANGE}
        and order.quota_bytes is not None
        and order.data_from_at is not None
        and order.frozen_from is None
        and order.counts_to_at is None  # it was counted when it was ended, and that stays
        and order.period_starts_at is not None
        and order.period_starts_at <= own_time(order, at) < _end_of(order)
    )


def _adds(pack: Order, at: datetime) -> bool:
    """Tell whether an order is a pack that adds its bytes to the month at an instant."""
    if not pack.is_pack or pack.cut_at is not None or pack.period_starts_at is None:
        return False
    return pack.period_starts_at <= own_time(pack, at) < _end_of(pack)


def _end_of(order: Order) -> datetime:
    assert order.period_ends_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    return order.cut_at or order.period_ends_at


def _read(term: Order, month: Standing, packs: int, at: datetime) -> UsedPart | None:
    """Return what was used of a term in a month; nothing where it has no data of its own there."""
    assert term.data_from_at is not None  # noqa: S101 -- asked before
    assert term.period_starts_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    own = (month.allowed or 0) - packs
    before = min(term.data_before_bytes, own) if term.data_from_at >= month.begins_at else 0
    allowed, used = own - before, max(min(month.used, own) - before, 0)
    if allowed <= 0:
        return None
    own_at = own_time(term, at)
    # Where days stood still in this month, `passed` is too long by them at most: more is left.
    passed = min(own_at - term.period_starts_at, at - month.begins_at)
    ahead = min(_end_of(term) - own_at, month.ends_at - at)
    return UsedPart(
        passed=passed,
        length=passed + ahead,
        used=used,
        allowed=allowed,
        own_at=own_at,
        counts_to=counts_to(own_at=own_at, passed=passed, ahead=ahead, used=used, allowed=allowed),
        only_tried=_since_begin(term) * _TRIED <= own,
    )


def _since_begin(term: Order) -> int:
    """Return what was used in the months of the quota since a term began, those that are kept."""
    months = UsageMonth.objects.filter(
        subscription=term.subscription_id, ends_at__gt=term.data_from_at
    )
    total = months.aggregate(total=Sum("bytes_used"))["total"] or 0
    return max(int(total) - term.data_before_bytes, 0)
