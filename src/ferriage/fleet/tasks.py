"""What the worker does for the fleet. Every job asks whether it is due, never what day it is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.fleet import probing
from ferriage.fleet.actions import refresh_permits
from ferriage.fleet.lookout import LOG_KEPT
from ferriage.fleet.models import PoolChange, PoolCurrent

if TYPE_CHECKING:
    from datetime import datetime

TOMBSTONES_KEPT: Final = timedelta(days=35)
_WORKER: Final = Actor("system", "worker")


def run(now: datetime) -> int:
    """Do what is due and return how many rows that changed."""
    return len(refresh_permits(now=now, actor=_WORKER)) + prune(now) + probing.run(now)


def prune(now: datetime) -> int:
    """Forget changes and tombstones that no gateway needs any more.

    A gateway that was away for longer is answered `410 compacted` and takes a snapshot.
    """
    old = PoolChange.objects.filter(at__lt=now - LOG_KEPT)
    gone = PoolCurrent.objects.filter(kind="del", at__lt=now - TOMBSTONES_KEPT)
    if not (old.exists() or gone.exists()):
        return 0
    with writing():
        return old.delete()[0] + gone.delete()[0]
