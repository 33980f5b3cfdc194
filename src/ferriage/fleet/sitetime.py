"""The time that a gateway is told: never one that lies behind what the site did with it before.

A gateway that is told an earlier time opens whose term ended meanwhile. So while this host's clock
stands behind the gateway's last report, site time stands still at that report.

Source: docs/decisions/0059-time-is-the-sites.md
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_noop

from ferriage.approvals.actions import ClockBehind, check_clock
from ferriage.approvals.actions.decisions import CLOCK_TOLERANCE
from ferriage.approvals.models import Decision
from ferriage.fleet.actions import raise_alarm
from ferriage.fleet.models import Alarm

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.fleet.models import Gateway

NOTED: Final = timedelta(seconds=60)
"""Several hosts' clocks may differ by less; it is nothing that staff must know."""
LONGEST: Final = timedelta(days=1)
"""So long it stands still where no Decision says which clock was wrong."""
BEHIND: Final = gettext_noop(
    "The clock of this site is behind the last report of a gateway, so its gateways' time stands "
    "still until it has caught up."
)


def told_to(gateway: Gateway, now: datetime) -> datetime:
    """Return the time to tell a gateway; asks nothing while the clock is right."""
    seen = gateway.last_seen_at
    if seen is None or seen <= now:
        return now
    if seen - now > NOTED and _ran_ahead(now, seen):
        return now
    return seen


def note_behind(*, told: datetime, now: datetime) -> None:
    """Tell staff that a gateway was told another time than this host's clock."""
    if told - now > NOTED:
        raise_alarm(kind=Alarm.Kind.CLOCK_WRONG, subject="site", now=told, failure=BEHIND)


def _ran_ahead(now: datetime, seen: datetime) -> bool:
    """Tell whether the clock is right now and ran ahead before.

    Two people said so by a clock repair, of Decisions that lie in the future; or no Decision
    speaks against it, and to wait would take too long.
    """
    try:
        check_clock(now=now)
    except ClockBehind:
        return False
    # Of Decisions so far ahead the guard asks all but those that a repair names.
    repaired = Decision.objects.filter(at__gt=now + CLOCK_TOLERANCE).exists()
    return repaired or seen - now > LONGEST
