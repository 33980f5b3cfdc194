"""A plan's speeds and quota: set on the plan, and told to the gateways.

Source: docs/explanation/quotas.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.core.db import writing
from ferriage.devices.actions import refresh_all
from ferriage.plans import actions as plans
from ferriage.plans.models import Subscription

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.plans.models import Plan


def change_limits(
    *,
    plan: Plan,
    rate_down_bps: int,
    rate_up_bps: int,
    quota_bytes: int | None,
    now: datetime,
    actor: Actor,
) -> Plan:
    """Let a plan be faster or give more, at once and for everybody who holds it.

    Each device gets one changed record; no tunnel is dropped by it.

    Raises:
        CatalogueWrong: As `plans.actions.set_limits`.
    """
    with writing():
        plans.set_limits(
            plan=plan,
            rate_down_bps=rate_down_bps,
            rate_up_bps=rate_up_bps,
            quota_bytes=quota_bytes,
            now=now,
            actor=actor,
        )
        held = Subscription.objects.filter(plan=plan).values_list("pk", flat=True)
        refresh_all(subscriptions=list(held), now=now)
    return plan
