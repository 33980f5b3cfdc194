"""Staff let devices go that a snapshot did not name and that a gateway therefore kept.

Source: docs/decisions/0036-removals-wait.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    with writing():
        rows = PoolGateway.objects.select_for_update().select_related("pool", "gateway")
        current = rows.get(pk=member.pk)
        if not current.deferred or current.deferred_digest != digest:
            raise StaleState(
                _("The gateway has reported something else meanwhile. Look again before you allow.")
            )
        audit.record(
            now=now,
            actor=actor,
            action="gateway.removals_allowed",
            subject=current.gateway.code,
            pool=current.pool.code,
            devices=current.deferred,
            digest=digest,
        )
        said = FeedAllow(current.applied_epoch, current.deferred_rev, digest)
        append(pool=current.pool, items=[said], now=now)
