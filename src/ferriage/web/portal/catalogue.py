"""What the shop window shows: services with their plans, terms and lines, judged live."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from ferriage.approvals.site import packs_on_file
from ferriage.core.money import Money
from ferriage.fleet.queries import served
from ferriage.plans import queries as plans
from ferriage.plans.models import Price
from ferriage.web.portal import register
from ferriage.web.portal.served import WHY_NOT_SOLD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ferriage.approvals.facts import Verdict
    from ferriage.fleet.models import Line
    from ferriage.plans.models import Plan, Service, Subscription
    from ferriage.plans.queries import OfferView

_BITS_IN_A_MEGABIT: Final = 1_000_000
_SHOWN: Final = {"on_sale", "stop_sale"}


@dataclass(frozen=True, slots=True)
class Term:
    """A price as a card: what it costs, per month, and saved against the shortest term.

    `too_long` tells that it would run past the end of what it rests on, so it is not sold.
    """

    price: Price
    money: Money
    per_month: Money
    saving_percent: int
    too_long: bool


@dataclass(frozen=True, slots=True)
class LineCard:
    """A line of a plan: whether it is on sale and, if not, why not.

    One that no gateway serves is not on sale, whatever the register says.
    """

    line: Line
    on_sale: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanCard:
    """A plan with its terms; without a line on sale it is shown, but cannot be bought.

    No term is sold beyond `sold_until`; None is without end.
    """

    plan: Plan
    terms: tuple[Term, ...]
    lines: tuple[LineCard, ...]
    sold_until: datetime | None

    @property
    def on_sale(self) -> bool:
        """Tell whether there is anything to buy."""
        sold = [term for term in self.terms if not term.too_long]
        return bool(sold) and any(card.on_sale for card in self.lines)

    @property
    def has_too_long(self) -> bool:
        """Tell whether a term is not sold for its length alone."""
        return any(term.too_long for term in self.terms)

    @property
    def speed_megabits(self) -> int:
        """Speed towards the customer."""
        return megabits(self.plan)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why nothing of the plan can be bought, each reason once."""
        return tuple(dict.fromkeys(reason for card in self.lines for reason in card.reasons))


@dataclass(frozen=True, slots=True)
class ServiceCard:
    """A service as the shop window shows it."""

    service: Service
    plans: tuple[PlanCard, ...]


def megabits(plan: Plan) -> int:
    """Return a plan's speed towards the customer, in Mbit/s."""
    return plan.rate_down_bps // _BITS_IN_A_MEGABIT


def services(*, now: datetime, language: str) -> tuple[ServiceCard, ...]:
    """Return what the public may see of every service, in the shop's order."""
    cards = _plan_cards(now=now, language=language)
    by_service = groupby(cards, key=lambda card: card.plan.service)
    return tuple(ServiceCard(service, tuple(group)) for service, group in by_service)


def plans_on_sale(*, now: datetime, language: str) -> list[PlanCard]:
    """Return the plans of which the public can buy something, in the shop's order."""
    return [card for card in _plan_cards(now=now, language=language) if card.on_sale]


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


def places_of_lines(now: datetime) -> tuple[str, ...]:
    """Return the places to choose from where no plan is chosen: those of the lines come first."""
    views = plans.offers(now=now)
    sold = (place for view in views if view.state in _SHOWN for place in view.line.sell_places)
    return known_places(first=sorted(set(sold)))


def known_places(*, first: Sequence[str]) -> tuple[str, ...]:
    """Return every place whose law is known here, after those that come first."""
    known = sorted(place for place, pack in packs_on_file().by_place.items() if not pack.invented)
    return tuple(dict.fromkeys((*first, *known)))


def terms(
    prices: Sequence[Price],
    *,
    sold_until: datetime | None,
    now: datetime,
    held: Subscription | None = None,
) -> tuple[Term, ...]:
    """Return prices as cards, shortest term first; savings are against the first.

    Args:
        held: What a term bought now would go on from.
    """
    ordered = sorted(prices, key=lambda price: (price.currency, price.term_months))
    cards = []
    for price in ordered:
        bought = plans.preview(subscription=held, term_months=price.term_months, now=now)
        too_long = not plans.fits(bought.ends_at, sold_until)
        cards.append(_term(price, _shortest(price, ordered), too_long=too_long))
    return tuple(cards)


def _plan_cards(*, now: datetime, language: str) -> list[PlanCard]:
    # Closed services have no public page, and lines that are only planned none in the window.
    shown = [view for view in plans.offers(now=now) if view.state in _SHOWN]
    prices = _prices({view.plan for view in shown}, now)
    reached = served(view.line for view in shown)
    grouped = groupby(shown, key=lambda view: view.plan)
    return [
        _plan_card(plan, list(offers), prices[plan.pk], reached, now=now, language=language)
        for plan, offers in grouped
    ]


def _plan_card(
    plan: Plan,
    offers: list[OfferView],
    prices: list[Price],
    reached: set[int],
    *,
    now: datetime,
    language: str,
) -> PlanCard:
    sold_until = plans.end_of_sale(offers)
    return PlanCard(
        plan=plan,
        terms=terms(prices, sold_until=sold_until, now=now),
        lines=tuple(_lines(offers, reached, language)),
        sold_until=sold_until,
    )


def _prices(found: set[Plan], now: datetime) -> defaultdict[int, list[Price]]:
    """Return the prices in force of many plans with one query."""
    rows = Price.objects.filter(plan__in=found, valid_from__lte=now).exclude(valid_to__lte=now)
    prices: defaultdict[int, list[Price]] = defaultdict(list)
    for row in rows:
        prices[row.plan_id].append(row)
    return prices


def _lines(offers: Iterable[OfferView], reached: set[int], language: str) -> list[LineCard]:
    return [
        LineCard(
            line=view.line,
            on_sale=view.state == "on_sale" and view.line.pk in reached,
            reasons=_why_not(view, reached, language),
        )
        for view in offers
    ]


def _why_not(view: OfferView, reached: set[int], language: str) -> tuple[str, ...]:
    reasons = register.why_not(view.verdict, language)
    if view.state == "on_sale" and view.line.pk not in reached:
        return (*reasons, str(WHY_NOT_SOLD))
    return reasons


def _shortest(price: Price, ordered: Sequence[Price]) -> Price:
    return next(other for other in ordered if other.currency == price.currency)


def _term(price: Price, shortest: Price, *, too_long: bool) -> Term:
    per_month = price.amount_minor // price.term_months
    dear = shortest.amount_minor * price.term_months
    saving = (dear - price.amount_minor * shortest.term_months) * 100
    whole = dear or 1
    return Term(
        price=price,
        money=Money(price.amount_minor, price.currency),
        per_month=Money(per_month, price.currency),
        saving_percent=max(0, saving // whole),
        too_long=too_long,
    )
