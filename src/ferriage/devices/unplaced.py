"""Looks after devices that found no room on a line: tries again, and tells staff while they wait.

Source: docs/decisions/0044-sibling-pools.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Count

from ferriage.core.db import writing
from ferriage.devices import actions
from ferriage.devices.models import Unplaced
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import Alarm, Line
from ferriage.plans import queries as plans
from ferriage.plans.models import Plan

if TYPE_CHECKING:
    from datetime import datetime

PAGE: Final = 500


def follow(now: datetime) -> int:
    """Place those for whom there is room now, oldest first; return how many were looked after.

    While others wait an alarm says so, of each line; it ends by itself when nobody waits.
    """
    if not Unplaced.objects.exists():
        return 0
    done = _forget_needless()
    for line in Line.objects.filter(pk__in=Unplaced.objects.values("line")).order_by("pk"):
        done += _place(line, now)
    _tell(now)
    return done


def _forget_needless() -> int:
    """Forget those whose plan has the line no more; plans and classes are few."""
    groups = Unplaced.objects.order_by().values_list(
        "line", "device__subscription__plan", "device__subscription__account__account_class"
    )
    done = 0
    for line, plan, account_class in list(groups.distinct()):
        lines = plans.usable_by(plans.lines_of(Plan.objects.get(pk=plan)), account_class)
        if line in {usable.pk for usable in lines}:
            continue
        with writing():
            rows = Unplaced.objects.filter(
                line=line,
                device__subscription__plan=plan,
                device__subscription__account__account_class=account_class,
            )
            done += rows.delete()[0]
    return done


def _place(line: Line, now: datetime) -> int:
    room = min(fleet.places_left(line=line), PAGE)
    if not room:
        return 0
    rows = Unplaced.objects.filter(line=line).order_by("pk")
    waiting = list(rows.values_list("device__subscription", flat=True)[:room])
    actions.refresh_all(subscriptions=sorted(set(waiting)), now=now)
    return len(waiting)


def _tell(now: datetime) -> None:
    rows = Unplaced.objects.order_by().values("line__code", "line__name")
    fleet.raise_alarms(
        [
            fleet.Fact(
                kind=Alarm.Kind.UNPLACED,
                subject=row["line__code"],
                details={"name": row["line__name"], "count": row["count"]},
            )
            for row in rows.annotate(count=Count("pk"))
        ],
        now=now,
    )
