"""What a new shop sells: two services, each with one plan of four terms and five devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.core.money import Money
    from ferriage.fleet.models import Line
    from ferriage.plans.models import Plan

TERMS: Final = (1, 6, 12, 24)
_SERVICES: Final = (
    ("home", "Home", "For everyday use on your own devices."),
    ("travel", "Travel", "For the road, sold on its own."),
)
_DEVICES: Final = 5


def fill(*, line: Line, prices: Sequence[Money], now: datetime, actor: Actor) -> list[Plan]:
    """Make the services, with a plan each, its prices by term, and an offer on the line."""
    from ferriage.plans import actions

    made = []
    for slug, name, description in _SERVICES:
        service = actions.create_service(
            slug=slug, name=name, description=description, now=now, actor=actor
        )
        plan = actions.create_plan(
            service=service, name=name, device_limit=_DEVICES, now=now, actor=actor
        )
        for term_months, money in zip(TERMS, prices, strict=True):
            actions.set_price(plan=plan, term_months=term_months, money=money, now=now, actor=actor)
        actions.add_offer(plan=plan, line=line, now=now, actor=actor)
        made.append(plan)
    return made
