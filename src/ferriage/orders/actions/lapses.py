"""What a customer chooses while no line may serve them, and what happens without a choice.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.actions import check_clock, write_decision
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.devices import actions as devices
from ferriage.fleet.queries import line_facts
from ferriage.orders import values
from ferriage.orders.actions import freezing, takeover, targets
from ferriage.orders.actions.changes import check_devices
from ferriage.orders.actions.service import end_with
from ferriage.plans import actions as plans
from ferriage.plans import lapses as plan_lapses
from ferriage.plans import queries as plan_queries
from ferriage.plans.models import Subscription

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.plans.models import Lapse, Plan

PAGE: Final = 100


class MoveRefused(FerriageError):
    """The plan is of another service, or no line of it may serve this customer now."""

    slug = "move-refused"


def wait(*, subscription: Subscription, now: datetime, actor: Actor) -> Lapse:
    """Wait until a line is open again, at most 30 days; days stand still meanwhile.

    Raises:
        LapseOver: A line serves this customer.
    """
    with writing():
        lapse = _lapse(subscription, now, actor)
        return plans.choose_to_wait(lapse=lapse, now=now, actor=actor)


def move(
    *,
    subscription: Subscription,
    plan: Plan,
    keep_time: bool = False,
    now: datetime,
    actor: Actor,
) -> Subscription:
    """Let what is left go on with another plan of the service, second for second.

    On a dearer plan it goes on for as long as what was paid and is left pays for that one. Its
    devices get other lines, so their files must be downloaded anew.

    Args:
        keep_time: The operator lets people keep every second on a dearer plan too.

    Raises:
        LapseOver: A line serves this customer.
        HeldByDispute: The payment behind the days that are left is disputed.
        MoveRefused: The plan may not be sold to this customer now, or nothing was paid for what is
            left and the plan is dearer.
        TooManyDevices: The plan has no room for the devices there are.
        ClockBehind: The site's clock is behind its own records.
    """
    with writing():
        check_clock(now=now)
        lapse = _lapse(subscription, now, actor)
        targets.refuse_held(lapse.subscription)
        account = lapse.subscription.account
        open_now = plan_queries.open_to(account, besides=lapse.subscription, now=now)
        chosen = next((view for view in open_now if view.plan.pk == plan.pk), None)
        if chosen is None:
            raise MoveRefused(
                _("This plan may not be sold to you now."),
                _("Choose another one; your days still stand still."),
            )
        check_devices(lapse.subscription, chosen.plan)
        write_decision(
            subject=lapse.code,
            line=line_facts(chosen.line),
            verdict=chosen.verdict,
            customer_place=account.place,
            register=chosen.register,
            now=now,
        )
        found = None
        if not keep_time:
            found = values.by_value(lapse.subscription, chosen.plan, at=now, now=now)
        if found is None:
            freezing.thaw(lapses=[lapse], outcome="moved", now=now, actor=actor)
            fresh = Subscription.objects.get(pk=subscription.pk)
            moved = plans.move(subscription=fresh, plan=chosen.plan, now=now, actor=actor)
        elif found.length:
            held = lapse.subscription
            moved = takeover.move_by_value(held, found, place=account.place, now=now, actor=actor)
        else:
            raise MoveRefused(
                _("This plan costs more, and nothing was paid for the time that you have left."),
                _("Wait, or choose another plan; your days still stand still."),
            )
        devices.refresh(subscription=moved, now=now, actor=actor)
    return moved


def refund(*, subscription: Subscription, now: datetime, actor: Actor) -> plans.Ended:
    """End a subscription that no line serves; what was unused when that began is owed.

    Raises:
        LapseOver: A line serves this customer.
    """
    with writing():
        lapse = _lapse(subscription, now, actor)
        return _refund(lapse, now, actor)


def refund_due(*, now: datetime, actor: Actor) -> int:
    """Refund all who waited for 30 days, each in a transaction of its own; returns how many."""
    if not freezing.clock_is_right(now):
        return 0
    due = plan_lapses.open_lapses().filter(due_at__lte=now)
    done = 0
    for lapse in due[:PAGE]:
        with writing():
            if due.filter(pk=lapse.pk).exists():
                _refund(lapse, now, actor)
                done += 1
    return done


def _refund(lapse: Lapse, now: datetime, actor: Actor) -> plans.Ended:
    return end_with(
        subscription=lapse.subscription,
        at=now,
        reason=f"No line may serve it since {lapse.lapsed_at:%Y-%m-%dT%H:%M:%SZ}",
        outcome="refunded",
        now=now,
        actor=actor,
    )


def _lapse(subscription: Subscription, now: datetime, actor: Actor) -> Lapse:
    lapse = freezing.notice(subscription=subscription, now=now, actor=actor)
    if lapse is None:
        raise plans.over()
    return lapse
