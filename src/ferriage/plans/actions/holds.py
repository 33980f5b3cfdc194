"""Holding a subscription's devices for a reason of its own, and taking back what was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import F

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.plans.actions.plain import change_once
from ferriage.plans.models import Hold, Period, Subscription

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor


def hold(
    *, subscription: Subscription, source_code: str, reason: str, now: datetime, actor: Actor
) -> Hold:
    """Hold a subscription, once for each source; tell the gateways afterwards."""
    with writing():
        held, made = Hold.objects.get_or_create(
            source_code=source_code,
            defaults={"subscription": subscription, "reason": reason, "begun_at": now},
        )
        if made:
            audit.record(
                now=now,
                actor=actor,
                action="subscription.held",
                subject=subscription.code,
                source=source_code,
            )
    return held


def release(*, source_code: str, now: datetime, actor: Actor) -> Subscription | None:
    """End a hold; returns the subscription, or nothing where there was no such hold."""
    with writing():
        held = Hold.objects.filter(source_code=source_code, ended_at=None)
        found = held.select_related("subscription").first()
        if found is None:
            return None
        change_once(held.update(ended_at=now))
        audit.record(
            now=now,
            actor=actor,
            action="subscription.released",
            subject=found.subscription.code,
            source=source_code,
        )
    return found.subscription


def take_back(
    *,
    subscription: Subscription,
    starts_at: datetime,
    ends_at: datetime,
    source_code: str,
    reason: str,
    now: datetime,
    actor: Actor,
) -> None:
    """Cut one stretch out of what a subscription was given; what lies around it stays.

    Raises:
        StaleState: Another writer changed it first.
    """
    with writing():
        change_once(
            Subscription.objects.filter(pk=subscription.pk).update(version=F("version") + 1)
        )
        Period.objects.create(
            subscription=subscription,
            kind=Period.Kind.CUT,
            starts_at=starts_at,
            ends_at=ends_at,
            source_code=source_code,
            reason=reason,
            posted_at=now,
        )
        audit.record(
            now=now,
            actor=actor,
            action="term.taken-back",
            subject=subscription.code,
            source=source_code,
        )
