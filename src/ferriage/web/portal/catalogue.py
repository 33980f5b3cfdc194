"""What the shop window shows: services with their plans, terms and lines, judged live."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from ferriage.approvals.site import packs_in_force
from ferriage.core.money import Money
from ferriage.plans import queries as plans
from ferriage.plans.models import Price
from ferriage.web.portal import register

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ferriage.approvals.facts import Verdict
    from ferriage.fleet.models import Line
    from ferriage.plans.models import Plan, Service
    from ferriage.plans.queries import OfferView

_BITS_IN_A_MEGABIT: Final = 1_000_000
_SHOWN: Final = {"on_sale", "stop_sale"}


@dataclass(frozen=True, slots=True)
class Term:
    """A price as a card: what it costs, per month, and saved against the shortest term."""

    price: Price
    money: Money
    per_month: Money
    saving_percent: int


@dataclass(frozen=True, slots=True)
class LineCard:
    """A line of a plan: whether it is on sale and, if not, why not."""

    line: Line
    on_sale: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanCard:
    """A plan with its terms; without a line on sale it is shown, but cannot be bought."""

    plan: Plan
    terms: tuple[Term, ...]
    lines: tuple[LineCard, ...]

    @property
    def on_sale(self) -> bool:
        """Tell whether there is anything to buy."""
        return bool(self.terms) and any(card.on_sale for card in self.lines)

    @property
    def speed_megabits(self) -> int:
        """Speed towards the customer."""
        return self.plan.rate_down_bps // _BITS_IN_A_MEGABIT

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why nothing of the plan can be bought, each reason once."""
        return tuple(dict.fromkeys(reason for card in self.lines for reason in card.reasons))


@dataclass(frozen=True, slots=True)
class ServiceCard:
    """A service as the shop window shows it."""

    service: Service
    plans: tuple[PlanCard, ...]


def services(*, now: datetime, language: str) -> tuple[ServiceCard, ...]:
    """Return what the public may see of every service, in the shop's order."""
    cards = _plan_cards(now=now, language=language)
    by_service = groupby(cards, key=lambda card: card.plan.service)
    return tuple(ServiceCard(service, tuple(group)) for service, group in by_service)


def plan_card(plan: Plan, *, now: datetime, language: str) -> PlanCard | None:
    """Return one plan as the public may see it, or None."""
    cards = _plan_cards(now=now, language=language)
    return next((card for card in cards if card.plan == plan), None)


def why_not_on_sale(plan: Plan, *, now: datetime) -> Verdict | None:
    """Return the register's word on a plan of which nothing is on sale, if it has lines."""
    verdicts = [view.verdict for view in plans.offers_of(plan=plan, now=now)]
    denied = (verdict for verdict in verdicts if not verdict.allowed)
    return next(denied, verdicts[0] if verdicts else None)


def places_to_choose(card: PlanCard) -> tuple[str, ...]:
    """Return the places a customer may choose from: those of the plan's lines come first.

    The others are there for people who are elsewhere: they are told why nothing can be sold to
    them, which is better than being tempted to name a place that they are not in.
    """
    sold = (place for line in card.lines if line.on_sale for place in line.line.sell_places)
    return known_places(first=sorted(set(sold)))


def known_places(*, first: Sequence[str]) -> tuple[str, ...]:
    """Return every place whose law is known here, after those that come first."""
    known = sorted(place for place, pack in packs_in_force().by_place.items() if not pack.invented)
    return tuple(dict.fromkeys((*first, *known)))


def terms(prices: Sequence[Price]) -> tuple[Term, ...]:
    """Return prices as cards, shortest term first; savings are against the first."""
    ordered = sorted(prices, key=lambda price: (price.currency, price.term_months))
    return tuple(_term(price, _shortest(price, ordered)) for price in ordered)


def _plan_cards(*, now: datetime, language: str) -> list[PlanCard]:
    # Closed services have no public page, and lines that are only planned none in the window.
    shown = [view for view in plans.offers(now=now) if view.state in _SHOWN]
    prices = _prices({view.plan for view in shown}, now)
    return [
        PlanCard(plan, terms(prices[plan.pk]), tuple(_lines(offers, language)))
        for plan, offers in groupby(shown, key=lambda view: view.plan)
    ]


def _prices(found: set[Plan], now: datetime) -> defaultdict[int, list[Price]]:
    """Return the prices in force of many plans with one query."""
    rows = Price.objects.filter(plan__in=found, valid_from__lte=now).exclude(valid_to__lte=now)
    prices: defaultdict[int, list[Price]] = defaultdict(list)
    for row in rows:
        prices[row.plan_id].append(row)
    return prices


def _lines(offers: Iterable[OfferView], language: str) -> list[LineCard]:
    return [
        LineCard(
            line=view.line,
            on_sale=view.state == "on_sale",
            reasons=register.why_not(view.verdict, language),
        )
        for view in offers
    ]


def _shortest(price: Price, ordered: Sequence[Price]) -> Price:
    return next(other for other in ordered if other.currency == price.currency)


def _term(price: Price, shortest: Price) -> Term:
    per_month = price.amount_minor // price.term_months
    dear = shortest.amount_minor * price.term_months
    saving = (dear - price.amount_minor * shortest.term_months) * 100
    whole = dear or 1
    return Term(
        price=price,
        money=Money(price.amount_minor, price.currency),
        per_month=Money(per_month, price.currency),
        saving_percent=max(0, saving // whole),
    )
