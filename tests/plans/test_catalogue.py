from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.plans import actions, queries
from ferriage.plans.models import Offer, Price
from yard import ISSUED, OWNER

if TYPE_CHECKING:
    from shop import Shop

SECOND = timedelta(seconds=1)
# The approval of the yard ends with 28 February 2027.
LAPSE = datetime(2027, 3, 1, tzinfo=UTC)


def states(now: datetime, place: str | None = "XD") -> list[str]:
    return [view.state for view in queries.offers(now=now, place=place)]


def set_price(shop: Shop, minor: int, now: datetime) -> Price:
    return actions.set_price(
        plan=shop.plan, term_months=1, money=Money(minor, "CNY"), now=now, actor=OWNER
    )


def test_four_terms_are_on_sale(shop: Shop, now: datetime) -> None:
    prices = queries.current_prices(plan=shop.plan, now=now)

    assert [(price.term_months, price.amount_minor, price.currency) for price in prices] == [
        (1, 1000, "CNY"),
        (6, 5000, "CNY"),
        (12, 9000, "CNY"),
        (24, 12000, "CNY"),
    ]


def test_new_price_replaces_the_old_one_which_keeps_its_amount(shop: Shop, now: datetime) -> None:
    later = now + SECOND

    new = set_price(shop, 1200, later)

    old = Price.objects.get(pk=shop.prices[1].pk)
    assert (old.amount_minor, old.valid_to) == (1000, later)
    term = {"plan": shop.plan, "term_months": 1, "currency": "CNY"}
    assert queries.price_for(**term, now=now) == old  # type: ignore[arg-type]
    assert queries.price_for(**term, now=later) == new  # type: ignore[arg-type]


@pytest.mark.parametrize(("months", "minor"), [(2, 100), (0, 100), (1, -1)])
def test_price_that_cannot_be_is_refused(
    shop: Shop, now: datetime, months: int, minor: int
) -> None:
    with pytest.raises(actions.CatalogueWrong):
        actions.set_price(
            plan=shop.plan, term_months=months, money=Money(minor, "CNY"), now=now, actor=OWNER
        )

    assert Price.objects.count() == 4


def test_short_name_of_a_service_is_unique(shop: Shop, now: datetime) -> None:
    with pytest.raises(actions.CatalogueWrong, match="short name ferry"):
        actions.create_service(slug=shop.service.slug, name="Again", now=now, actor=OWNER)


def test_offer_is_on_sale_while_the_shortest_term_ends_before_the_approval(shop: Shop) -> None:
    last = LAPSE - timedelta(days=28)  # a month that begins on 1 February

    assert states(shop.now) == ["on_sale"]
    assert states(last) == ["on_sale"]
    assert states(last + SECOND) == ["stop_sale"]
    assert states(LAPSE) == ["stop_sale"]


def test_offer_that_ran_out_of_time_differs_from_one_that_is_denied(shop: Shop) -> None:
    ran_out, lapsed = (
        queries.offers_of(plan=shop.plan, now=at, place="XD")[0]
        for at in (LAPSE - timedelta(days=20), LAPSE)
    )

    assert (ran_out.runs_out, ran_out.sold_until, ran_out.verdict.allowed) == (True, LAPSE, True)
    assert (lapsed.runs_out, lapsed.sold_until, lapsed.verdict.allowed) == (False, LAPSE, False)


def test_offer_sells_up_to_the_end_of_its_approval_and_not_a_second_more(shop: Shop) -> None:
    view = queries.offers(now=shop.now, place="XD")[0]

    assert view.sells(LAPSE)
    assert not view.sells(LAPSE + SECOND)


def test_longest_on_sale_is_the_offer_whose_approval_ends_last(shop: Shop, now: datetime) -> None:
    other = shop.yard.plan("XD second")
    shop.yard.approve(other, replace(ISSUED, valid_to=date(2028, 2, 29)))
    fleet.put_in_service(line=other, now=now, actor=OWNER)
    actions.add_offer(plan=shop.plan, line=other, now=now, actor=OWNER)

    views = queries.offers_of(plan=shop.plan, now=now, place="XD")

    assert [view.line for view in views] == [shop.line, other]
    assert queries.longest_on_sale(views) == views[1]
    assert queries.longest_on_sale([]) is None


def test_offer_is_not_on_sale_where_the_line_may_not_be_sold(shop: Shop, now: datetime) -> None:
    view = queries.offers(now=now, place="SE", plans=[shop.plan])[0]

    assert view.state == "stop_sale"
    assert view.verdict.reasons


def test_held_line_stops_the_sale_and_a_planned_one_is_hidden(shop: Shop, now: datetime) -> None:
    fleet.hold_line(line=shop.line, reason="Maintenance", now=now, actor=OWNER)
    shop.add_plan("Soon", shop.yard.plan("XD second"))

    assert states(now) == ["stop_sale", "hidden"]


def test_withdrawn_offer_and_plan_are_listed_no_more(shop: Shop, now: datetime) -> None:
    other = shop.add_plan("Other", shop.line)

    actions.withdraw_offer(offer=Offer.objects.get(plan=shop.plan), now=now, actor=OWNER)
    actions.withdraw_plan(plan=other, now=now, actor=OWNER)

    assert states(now) == []


def test_offer_is_withdrawn_once(shop: Shop, now: datetime) -> None:
    offer = Offer.objects.get(plan=shop.plan)
    actions.withdraw_offer(offer=offer, now=now, actor=OWNER)

    with pytest.raises(StaleState):
        actions.withdraw_offer(offer=offer, now=now + SECOND, actor=OWNER)

    assert Offer.objects.get().withdrawn_at == now


def test_offers_cost_the_same_queries_for_one_and_three(shop: Shop, now: datetime) -> None:
    with CaptureQueriesContext(connection) as for_one:
        queries.offers(now=now, place="XD")
    for name in ("Second", "Third"):
        shop.add_plan(name, shop.line)
    with CaptureQueriesContext(connection) as for_three:
        queries.offers(now=now, place="XD")

    assert len(for_three) == len(for_one)


def test_price_is_refused_while_the_clock_is_before_the_one_in_force(
    shop: Shop, now: datetime
) -> None:
    set_price(shop, 1200, now + timedelta(days=1))

    with pytest.raises(actions.CatalogueWrong):
        set_price(shop, 1300, now)

    assert Price.objects.get(plan=shop.plan, term_months=1, valid_to=None).amount_minor == 1200
