"""Letting a rule pack take effect, with everything that follows from it for the lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.approvals import actions as approvals
from ferriage.core.db import writing
from ferriage.fleet.actions.permits import refresh_permits

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.approvals.models import PackAcceptance
    from ferriage.core.actors import Actor


def accept_pack(*, place: str, digest: str, now: datetime, actor: Actor) -> PackAcceptance:
    """Put a waiting rule pack in force and write, in the same transaction, what it changes.

    Args:
        digest: Of the version whose difference was shown.

    Raises:
        NothingWaits: The newest version is in force already.
        StaleState: A newer one came since the difference was shown.
    """
    with writing():
        accepted = approvals.accept_pack(place=place, digest=digest, now=now, actor=actor)
        refresh_permits(now=now, actor=actor)
    return accepted
