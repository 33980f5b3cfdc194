"""Which inner networks a plan's devices reach: set on the plan, and told to the gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.core.db import writing
from ferriage.devices.actions import refresh_all
from ferriage.plans import actions as plans
from ferriage.plans.models import Subscription

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.plans.models import Plan


def change_routes(*, plan: Plan, routes: Sequence[str], now: datetime, actor: Actor) -> Plan:
    """Let a plan's devices reach these networks and nothing else, from now on; none: the internet.

    Files that were handed out keep their AllowedIPs: what the gateways let through is what counts.

    Raises:
        CatalogueWrong: As `plans.actions.set_routes`.
    """
    with writing():
        plans.set_routes(plan=plan, routes=routes, now=now, actor=actor)
        held = Subscription.objects.filter(plan=plan).values_list("pk", flat=True)
        refresh_all(subscriptions=list(held), now=now)
    return plan
