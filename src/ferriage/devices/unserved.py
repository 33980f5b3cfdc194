"""Tells staff of plans that somebody holds and that no gateway serves.

Source: docs/decisions/0073-nothing-sold-that-no-gateway-serves.md
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Count, Q

from ferriage.core import rounds
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import Alarm, Line
from ferriage.fleet.queries import served
from ferriage.plans.models import Offer, Period

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.plans.models import Plan

EVERY: Final = timedelta(seconds=30)
PATIENCE: Final = timedelta(seconds=60)
"""A line that is taken from one gateway and given to another is served by none for a moment."""
_GIVES_TIME: Final = (Period.Kind.PURCHASE, Period.Kind.GIFT, Period.Kind.GRANT)


def follow(now: datetime) -> None:
    """Raise an alarm of each plan in use of which no line has an enrolled gateway.

    It ends by itself when one has. The queries are as many however many plans and customers.
    """
    if not rounds.claim("unserved", every=EVERY, now=now):
        return
    found = _facts(now)
    fleet.raise_alarms(found, now=now)
    fleet.forget_unopened(kinds=[Alarm.Kind.UNSERVED], facts=found)


def _facts(now: datetime) -> list[fleet.Fact]:
    held = _held(now)
    offered = Offer.objects.filter(plan__in=held, withdrawn_at=None).order_by("plan_id", "line_id")
    offers = list(offered.exclude(line__state=Line.State.CLOSED).select_related("plan", "line"))
    reached = served(offer.line for offer in offers)
    lines: dict[Plan, list[Line]] = defaultdict(list)
    for offer in offers:
        lines[offer.plan].append(offer.line)
    return [
        fleet.Fact(
            kind=Alarm.Kind.UNSERVED,
            subject=plan.code,
            patience=PATIENCE,
            details={
                "name": str(plan),
                "count": held[plan.pk],
                "lines": [line.name for line in offered_on],
            },
        )
        for plan, offered_on in lines.items()
        if not reached.intersection(line.pk for line in offered_on)
    ]


def _held(now: datetime) -> dict[int, int]:
    """Return by plan how many subscriptions are given time now."""
    running = Period.objects.filter(kind__in=_GIVES_TIME, starts_at__lte=now)
    running = running.filter(Q(ends_at=None) | Q(ends_at__gt=now)).order_by()
    rows = running.values("subscription__plan").annotate(count=Count("subscription", distinct=True))
    return {row["subscription__plan"]: row["count"] for row in rows}
