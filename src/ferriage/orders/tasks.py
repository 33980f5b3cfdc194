from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage.core.actors import Actor
from ferriage.orders import actions

if TYPE_CHECKING:
    from datetime import datetime

WORKER: Final = Actor("system", "worker")


def run(now: datetime) -> int:
    """Expire orders whose time is over, earn service that was used; returns how many."""
    return actions.expire_due(now=now, actor=WORKER) + actions.recognise(now=now)
