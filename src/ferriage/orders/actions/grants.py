"""Days given for nothing, with a reason, by members of staff within their limit."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core.codes import new_code
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.devices import actions as devices
from ferriage.plans import actions as plans
from ferriage.plans.models import Period
from ferriage.plans.queries import subscription_end

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.plans.models import Subscription

WINDOW: Final = timedelta(days=365)


class GrantTooLong(FerriageError):
    """More days than this member of staff may give."""

    slug = "grant-too-long"
    status = 403

    def __init__(self, most: int, left: timedelta) -> None:
        super().__init__(
            _("You may give one customer %(most)d days within a year; %(left)d are left.")
            % {"most": most, "left": max(left, timedelta(0)).days},
            _("Ask an owner to give more."),
        )


def grant_until(
    *,
    subscription: Subscription,
    days: int | None = None,
    ends_at: datetime | None = None,
    most_days: int | None,
    reason: str,
    now: datetime,
    actor: Actor,
) -> Subscription:
    """Give days from the end of the term, or from now if it is over; one of both ends is said.

    Args:
        days: So many days.
        ends_at: Up to an instant.
        most_days: How many days within a year the giver may give to this subscription, those that
            others gave included; None is without limit.

    Raises:
        GrantTooLong: More than that.
        TermWrong: No reason, or it would end before it starts.
        Frozen: Its days stand still.
    """
    with writing():
        starts_at = max(subscription_end(subscription).at or now, now)
        until = ends_at or starts_at + timedelta(days=days or 0)
        if most_days is not None:
            left = timedelta(days=most_days) - given(subscription, now)
            if until - starts_at > left:
                raise GrantTooLong(most_days, left)
        granted = plans.grant(
            account=subscription.account,
            plan=subscription.plan,
            starts_at=starts_at,
            ends_at=until,
            reason=reason,
            source_code=new_code("grt"),
            now=now,
            actor=actor,
        )
        devices.refresh(subscription=granted, now=now, actor=actor)
    return granted


def given(subscription: Subscription, now: datetime) -> timedelta:
    """Return how much was granted to a subscription within the last year."""
    periods = Period.objects.filter(
        subscription=subscription,
        kind=Period.Kind.GRANT,
        posted_at__gt=now - WINDOW,
        ends_at__isnull=False,
    )
    rows = periods.values_list("starts_at", "ends_at")
    return sum((end - start for start, end in rows if end is not None), timedelta(0))
