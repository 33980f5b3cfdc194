"""Reading alarms."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ferriage.fleet.models import Alarm

if TYPE_CHECKING:
    from collections.abc import Collection

    from django.db.models import QuerySet


def open_alarms() -> QuerySet[Alarm]:
    """Return the open alarms, newest first."""
    return Alarm.objects.filter(ended_at=None, opened_at__isnull=False).order_by(
        "-opened_at", "-pk"
    )


def open_alarms_of(subjects: Collection[str]) -> dict[str, list[Alarm]]:
    """Return open alarms by their subject, with one query."""
    found = defaultdict(list)
    for alarm in open_alarms().filter(subject__in=subjects):
        found[alarm.subject].append(alarm)
    return dict(found)
