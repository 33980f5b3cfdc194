"""A line may not be open: days stand still, and what they earn with them, until one is again.

The periods, the orders and the gateways' records of a subscription change in one transaction, so
that no second is both served and given back.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage.approvals.actions import ClockBehind, check_clock
from ferriage.core.db import writing
from ferriage.devices import actions as devices
from ferriage.orders import queries
from ferriage.orders.earning import own_time
from ferriage.orders.models import Order
from ferriage.plans import actions as plans
from ferriage.plans import lapses as plan_lapses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.plans.lapses import Stop
    from ferriage.plans.models import Lapse, Subscription

PAGE: Final = 500
_PAGES: Final = 20
"""Most pages a round: the other rooms' work is due too."""


def freeze_due(*, now: datetime, actor: Actor) -> int:
    """Let the days stand still of all whom no line serves any more; returns how many.

    From the true instant of the lapse, however late this is called.
    """
    if not clock_is_right(now) or not _lapsed(now):
        return 0
    return _pages(lambda: _freeze_page(now, actor))


def resume_due(*, now: datetime, actor: Actor) -> int:
    """Let the days go on of all whom a line serves again; returns how many."""
    if not clock_is_right(now) or not plan_lapses.open_lapses().exists():
        return 0
    return _pages(lambda: _resume_page(now, actor))


def clock_is_right(now: datetime) -> bool:
    """Tell whether lapses can be judged: not by a clock that stands behind the register."""
    try:
        check_clock(now=now)
    except ClockBehind:
        return False
    return True


def notice(*, subscription: Subscription, now: datetime, actor: Actor) -> Lapse | None:
    """Return the lapse of a subscription, and begin it if nobody noticed it yet."""
    with writing():
        lapse = plan_lapses.open_lapses().filter(subscription=subscription).first()
        if lapse is not None or not clock_is_right(now):
            return lapse
        fresh = type(subscription).objects.select_related("account").get(pk=subscription.pk)
        group = plan_lapses.group_of(fresh)
        lapsed_at = plan_lapses.standings([group], now=now)[group].lapsed_at
        if lapsed_at is None:
            return None
        stop = plan_lapses.stop(fresh, lapsed_at=lapsed_at, now=now)
        return _freeze([stop], now, actor)[0] if stop else None


def thaw(*, lapses: Sequence[Lapse], outcome: str, now: datetime, actor: Actor) -> None:
    """End lapses and let periods and orders go on; the caller tells the gateways."""
    with writing():
        plans.thaw(lapses=lapses, outcome=outcome, now=now, actor=actor)
        ended = {lapse.subscription_id: lapse for lapse in lapses}
        frozen = list(Order.objects.filter(subscription__in=ended, frozen_from__isnull=False))
        for order in frozen:
            assert order.subscription_id is not None  # noqa: S101 -- found by it
            assert order.frozen_from is not None  # noqa: S101 -- the same
            ended_at = ended[order.subscription_id].ended_at
            assert ended_at is not None  # noqa: S101 -- set by `plans.thaw`
            order.frozen += ended_at - order.frozen_from
            order.frozen_from = None
        Order.objects.bulk_update(frozen, ["frozen", "frozen_from"], batch_size=PAGE)


def thaw_served(subscription: Subscription, *, now: datetime, actor: Actor) -> None:
    """Let the days of a subscription go on that is bought for where a line serves it."""
    lapses = list(plan_lapses.open_lapses().filter(subscription=subscription))
    if lapses:
        thaw(lapses=lapses, outcome="resumed", now=now, actor=actor)


def _lapsed(now: datetime) -> dict[plan_lapses.Group, datetime]:
    groups = plan_lapses.groups_held()
    found = plan_lapses.standings(groups, now=now) if groups else {}
    return {group: one.lapsed_at for group, one in found.items() if one.lapsed_at is not None}


def _freeze_page(now: datetime, actor: Actor) -> int:
    with writing():
        stops: list[Stop] = []
        # Judged again: what was read before may have changed until now.
        for group, lapsed_at in _lapsed(now).items():
            room = PAGE - len(stops)
            if room:
                stops += plan_lapses.to_freeze(group, lapsed_at=lapsed_at, now=now, limit=room)
        if stops:
            _freeze(stops, now, actor)
    return len(stops)


def _freeze(stops: Sequence[Stop], now: datetime, actor: Actor) -> list[Lapse]:
    """Stop periods, orders and devices of subscriptions in the caller's transaction."""
    began = {stop.subscription.pk: stop.at for stop in stops}
    orders = queries.running([stop.subscription for stop in stops], at=min(began.values()))
    stopped = [order for order in orders if _runs(order, began[order.subscription_id or 0])]
    for order in stopped:
        order.frozen_from = began[order.subscription_id or 0]
    Order.objects.bulk_update(stopped, ["frozen_from"], batch_size=PAGE)
    sold = {order.subscription_id or 0 for order in stopped}
    lapses = plans.freeze(stops=stops, sold=sold, now=now, actor=actor)
    devices.refresh_all(subscriptions=list(began), now=now)
    return lapses


def _runs(order: Order, at: datetime) -> bool:
    """Tell whether an order counts beyond the instant."""
    assert order.period_ends_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    own_end = min(order.period_ends_at, order.cut_at or order.period_ends_at)
    return own_end > own_time(order, at)


def _pages(one: Callable[[], int]) -> int:
    """Do page after page until one is empty; returns how many were done."""
    done = 0
    for _page in range(_PAGES):
        found = one()
        done += found
        if not found:
            break
    return done


def _resume_page(now: datetime, actor: Actor) -> int:
    with writing():
        waiting = plan_lapses.open_lapses()
        groups = plan_lapses.groups_waiting()
        standings = plan_lapses.standings(groups, now=now)
        served = [group for group, standing in standings.items() if standing.is_served]
        lapses = [
            lapse
            for group in served
            for lapse in waiting.filter(plan_lapses.of_group(group))[:PAGE]
        ][:PAGE]
        if lapses:
            thaw(lapses=lapses, outcome="resumed", now=now, actor=actor)
            devices.refresh_all(subscriptions=[lapse.subscription_id for lapse in lapses], now=now)
    return len(lapses)
