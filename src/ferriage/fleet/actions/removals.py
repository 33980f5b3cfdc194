"""Staff let devices go that a snapshot did not name and that a gateway therefore kept.

Source: docs/decisions/0036-removals-wait.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import StaleState
from ferriage.fleet.feed import FeedAllow, append
from ferriage.fleet.models import PoolGateway

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor


def allow_removals(*, member: PoolGateway, digest: str, now: datetime, actor: Actor) -> None:
    """Allow the removals that one gateway reported; others of the pool that wait for the same too.

    Args:
        digest: Of the devices that staff were shown, so that nobody allows what came since.

    Raises:
        StaleState: The gateway has reported something else meanwhile.
    """
    _allow(member, "deferred", digest, action="gateway.removals_allowed", now=now, actor=actor)


def allow_return(*, member: PoolGateway, digest: str, now: datetime, actor: Actor) -> None:
    """Let devices on again that were removed or held since the backup that was restored.

    Args:
        digest: Of the devices that staff were shown, so that nobody allows what came since.

    Raises:
        StaleState: The gateway has reported something else meanwhile.
    """
    _allow(member, "waiting", digest, action="gateway.return_allowed", now=now, actor=actor)


def _allow(
    member: PoolGateway,
    what: Literal["deferred", "waiting"],
    digest: str,
    *,
    action: str,
    now: datetime,
    actor: Actor,
) -> None:
    with writing():
        rows = PoolGateway.objects.select_for_update().select_related("pool", "gateway")
        current = rows.get(pk=member.pk)
        count, rev = getattr(current, what), getattr(current, f"{what}_rev")
        if not count or getattr(current, f"{what}_digest") != digest:
            raise StaleState(
                _("The gateway has reported something else meanwhile. Look again before you allow.")
            )
        audit.record(
            now=now,
            actor=actor,
            action=action,
            subject=current.gateway.code,
            pool=current.pool.code,
            devices=count,
            digest=digest,
        )
        said = FeedAllow(current.applied_epoch, rev, digest)
        append(pool=current.pool, items=[said], now=now)
