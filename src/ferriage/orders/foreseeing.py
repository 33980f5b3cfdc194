"""What settling an order would say, as far as one can tell beforehand; nothing is written.

For staff who look at a bank's statement before they post it. `actions.settle` alone decides; what
is asked here is what it asks, as if each order were the only one to be paid.

Source: docs/decisions/0015-place-evidence.md
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from ferriage.orders.actions.onsale import best_of
from ferriage.orders.actions.outcomes import state_refuses
from ferriage.orders.actions.refusing import refusal
from ferriage.orders.actions.targets import target_of
from ferriage.orders.models import Order, PlaceEvidence
from ferriage.orders.places import ENOUGH, SHOWN
from ferriage.plans import queries as plans
from ferriage.plans.several import HoldingsOfMany

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.plans.models import Plan
    from ferriage.plans.queries import OfferView


class Foresight:
    """What many orders would say at one instant: the register is asked once a plan and place.

    Args:
        orders: All that may be asked for, with account, recipient, plan and `with_term` loaded.
    """

    def __init__(self, orders: Iterable[Order], now: datetime) -> None:
        self._now = now
        self._held = HoldingsOfMany(order.holder.pk for order in orders if order.holder)
        self._asked: dict[tuple[int | None, str], list[OfferView]] = {}

    def refusal(self, order: Order, payer_place: str) -> str:
        """Return why an order would not take exactly what is due of it; empty where it would.

        Args:
            payer_place: The ISO 3166 code that the payment presumes; empty presumes nothing.
        """
        reason = self._topped_up(order) if order.kind == Order.Kind.TOPUP else self._sold(order)
        return reason or ("place-contradicted" if self._is_contradicted(order, payer_place) else "")

    def _sold(self, order: Order) -> str:
        held = target_of(order, now=self._now, by=self._held) if order.holder else None
        return refusal(order, held, self._now, by=self._held, best=self._best)[0] or ""

    def _topped_up(self, order: Order) -> str:
        if reason := state_refuses(order):
            return reason
        if order.expires_at <= self._now:
            return "order-expired"
        is_sold = plans.longest_on_sale(self._offers(None, order.place))
        return "" if is_sold else "not-authorised"

    def _best(self, plan: Plan, place: str, _now: datetime) -> OfferView | None:
        return best_of(self._offers(plan, place))

    def _is_contradicted(self, order: Order, payer_place: str) -> bool:
        if not payer_place or payer_place[:2] == order.place[:2]:
            return False
        there = self._offers(order.plan, payer_place)
        # A plan that is offered nowhere contradicts nothing; a top-up asks for any plan there.
        sold = any(view.verdict.allowed for view in there) or (bool(order.plan_id) and not there)
        return not sold and (order.account_id, order.place) not in self._shown

    def _offers(self, plan: Plan | None, place: str) -> list[OfferView]:
        """Return a plan's offers as judged for a place; those of all plans where none is named."""
        asked = (plan.pk if plan else None, place)
        if asked not in self._asked:
            self._asked[asked] = (
                plans.offers(now=self._now, place=place)
                if plan is None
                else plans.offers_of(plan=plan, now=self._now, place=place)
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
