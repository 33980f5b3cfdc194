"""What settling an order would say, as far as one can tell beforehand; nothing is written.

For staff who look at a bank's statement before they post it. `actions.settle` alone decides: what
the customer holds by then, and how long approvals last, is not looked at here.

Source: docs/decisions/0015-place-evidence.md
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from ferriage.orders.actions.outcomes import state_refuses
from ferriage.orders.models import PlaceEvidence
from ferriage.orders.places import ENOUGH, SHOWN
from ferriage.plans import queries as plans

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.orders.models import Order
    from ferriage.plans.queries import OfferView


class Foresight:
    """What many orders would say at one instant: the register is asked once a plan and place."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._asked: dict[tuple[int | None, str], list[OfferView]] = {}

    def refusal(self, order: Order, payer_place: str) -> str:
        """Return why an order would not take exactly what is due of it; empty where it would.

        Args:
            payer_place: The ISO 3166 code that the payment presumes; empty presumes nothing.
        """
        if reason := state_refuses(order):
            return reason
        if order.expires_at <= self._now:
            return "order-expired"
        if plans.longest_on_sale(self._offers(order, order.place)) is None:
            return "not-authorised"
        return "place-contradicted" if self._is_contradicted(order, payer_place) else ""

    def _is_contradicted(self, order: Order, payer_place: str) -> bool:
        if not payer_place or payer_place[:2] == order.place[:2]:
            return False
        there = self._offers(order, payer_place)
        # A plan that is offered nowhere contradicts nothing; a top-up asks for any plan there.
        sold = any(view.verdict.allowed for view in there) or (bool(order.plan_id) and not there)
        return not sold and (order.account_id, order.place) not in self._shown

    def _offers(self, order: Order, place: str) -> list[OfferView]:
        asked = (order.plan_id, place)
        if asked not in self._asked:
            self._asked[asked] = (
                plans.offers(now=self._now, place=place)
                if order.plan is None
                else plans.offers_of(plan=order.plan, now=self._now, place=place)
            )
        return self._asked[asked]

    @cached_property
    def _shown(self) -> set[tuple[int | None, str]]:
        """By account, the places that enough was shown for."""
        kinds: dict[tuple[int | None, str], set[str]] = defaultdict(set)
        rows = PlaceEvidence.objects.filter(kind__in=SHOWN, order__account__isnull=False)
        for account, place, kind in rows.values_list("order__account", "place", "kind"):
            kinds[account, place].add(kind)
        return {place for place, shown in kinds.items() if len(shown) >= ENOUGH}
