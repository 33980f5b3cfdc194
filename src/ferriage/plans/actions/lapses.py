"""Days that stand still while no line may serve a customer, and that go on afterwards.

Source: docs/explanation/terms.md
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.plans.actions.plain import change_once
from ferriage.plans.lapses import LONGEST_WAIT
from ferriage.plans.models import Lapse, Period, Subscription

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.plans.lapses import Stop
    from ferriage.plans.models import Plan

_BATCH: Final = 500
_TICK: Final = timedelta(microseconds=1)


class LapseOver(FerriageError):
    """There is nothing to choose any more: days run again, or were refunded."""

    slug = "lapse-over"


def freeze(
    *, stops: Sequence[Stop], sold: Collection[int], now: datetime, actor: Actor
) -> list[Lapse]:
    """Let the days of subscriptions stand still, each from its own instant, in few statements.

    Args:
        sold: Primary keys of the subscriptions that have something to refund after the wait.

    Returns:
        The lapses, in the order of `stops`.
    """
    with writing():
        lapses = [
            Lapse(
                subscription=stop.subscription,
                plan_id=stop.subscription.plan_id,
                lapsed_at=stop.at,
                noticed_at=now,
                due_at=stop.at + LONGEST_WAIT if stop.subscription.pk in sold else None,
            )
            for stop in stops
        ]
        Lapse.objects.bulk_create(lapses, batch_size=_BATCH)
        _post(lapses, now)
        audit.record(now=now, actor=actor, action="days.frozen", subscriptions=len(lapses))
    return lapses


def thaw(*, lapses: Sequence[Lapse], outcome: str, now: datetime, actor: Actor) -> None:
    """Let days go on from now; `ended_at` is set on the rows given.

    Raises:
        StaleState: One of them ended meanwhile.
    """
    with writing():
        still = Lapse.objects.filter(pk__in=[lapse.pk for lapse in lapses], ended_at=None)
        change_once(1 if still.count() == len(lapses) else 0)
        for lapse in lapses:
            # A clock that was put back may stand before the lapse: no days passed then.
            lapse.ended_at = max(now, lapse.lapsed_at + _TICK)
            lapse.outcome = outcome
        Lapse.objects.bulk_update(lapses, ["ended_at", "outcome"], batch_size=_BATCH)
        _post(lapses, now)
        audit.record(
            now=now, actor=actor, action="days.resumed", outcome=outcome, subscriptions=len(lapses)
        )


def choose_to_wait(*, lapse: Lapse, now: datetime, actor: Actor) -> Lapse:
    """Note that the customer wants to wait; days stand still with or without it.

    Raises:
        LapseOver: There is nothing to wait for.
    """
    with writing():
        if not Lapse.objects.filter(pk=lapse.pk, ended_at=None).update(choice=Lapse.Choice.WAIT):
            raise over()
        audit.record(now=now, actor=actor, action="lapse.waited", subject=lapse.code)
    lapse.choice = Lapse.Choice.WAIT
    return lapse


def move(*, subscription: Subscription, plan: Plan, now: datetime, actor: Actor) -> Subscription:
    """Let what is left of a subscription go on with another plan of its service.

    Raises:
        StaleState: Another writer changed it first.
    """
    with writing():
        change_once(
            Subscription.objects.filter(
                pk=subscription.pk, version=subscription.version, service=plan.service_id
            ).update(plan=plan, version=F("version") + 1)
        )
        audit.record(now=now, actor=actor, action="subscription.moved", to=plan.code)
    subscription.refresh_from_db()
    return subscription


def over() -> LapseOver:
    """Return the refusal of a choice that came too late."""
    return LapseOver(
        _("There is nothing to choose any more."), _("Your account shows how it stands now.")
    )


def _post(lapses: Sequence[Lapse], now: datetime) -> None:
    """Post where a freeze begins, or where it ends, and let other writers see that it was."""
    Period.objects.bulk_create(
        [
            Period(
                subscription_id=lapse.subscription_id,
                kind=Period.Kind.FREEZE,
                starts_at=lapse.lapsed_at,
                ends_at=lapse.ended_at,
                source_code=lapse.code,
                posted_at=now,
            )
            for lapse in lapses
        ],
        batch_size=_BATCH,
    )
    held = [lapse.subscription_id for lapse in lapses]
    Subscription.objects.filter(pk__in=held).update(version=F("version") + 1)
