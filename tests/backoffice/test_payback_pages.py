"""Staff pay a balance back, on the pages: what goes where, and who confirms it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.arrivals import openings
from ferriage.core.money import Money
from ferriage.ledger import queries as ledger
from ferriage.orders import balance
from ferriage.payments.models import Proposal, Refund
from till import Till, assert_sound
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client
    from pytest_django.fixtures import SettingsWrapper

    from ferriage.orders.models import Order
    from shop import Shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(shop: Shop, now: datetime, settings: SettingsWrapper) -> Order:
    """A month of somebody who topped 7.00 up and brought 5.00 along; above 9 two are needed."""
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(config, shop=replace(config.shop, receipt_limit=9))
    shop.approve_for_years()
    till = Till(shop, now)
    sold = till.sell()
    assert sold.account is not None
    openings.bring(
        account=sold.account,
        money=Money(500, "CNY"),
        code="opn_1",
        reason="Came over",
        now=now,
        actor=OWNER,
    )
    till.top_up(sold.account, 700)
    return sold


def address(order: Order, by: str) -> str:
    if by == "order":
        return reverse("staff-order-pay-back", args=[order.code])
    assert order.subscription is not None
    return reverse("staff-subscription-pay-back", args=[order.subscription.code])


def typed(page: str, amount: str) -> dict[str, str]:
    seen = re.search(r'name="seen" value="([^"]*)"', page)
    assert seen is not None
    return {"seen": seen[1], "amount": amount, "currency": "CNY", "reason": "Asked, in cash"}


def held(order: Order) -> int:
    assert order.account is not None
    return balance.balance(order.account, "CNY")


@pytest.mark.parametrize("by", ["order", "subscription"])
def test_owner_pays_back_by_both_ways_once(olga: Client, order: Order, by: str) -> None:
    page = olga.get(address(order, by)).content.decode()
    form = typed(page, "9.00")
    done = olga.post(address(order, by), form, follow=True).content.decode()
    again = olga.post(address(order, by), form)

    assert "Of no payment of theirs" in page
    assert 'value="12.00"' in page
    assert "queued among the refunds" in done
    rows = Refund.objects.order_by("pk").values_list("payment__provider", "amount_minor")
    assert list(rows) == [("bank", 700), ("balance", 200)]
    assert (again.status_code, held(order)) == (409, 300)
    paid = reverse("staff-refund-paid", args=[Refund.objects.get(amount_minor=200).code])
    assert "from a customer&#x27;s balance: Asked, in cash" in olga.get(paid).content.decode()
    olga.post(paid, {"reference": "B-1", "paid_from": "assets:bank"})
    assert Refund.objects.get(amount_minor=200).state == "paid"
    assert_sound()


def test_till_pays_what_no_payment_brought_and_nothing_else(olga: Client, order: Order) -> None:
    form = typed(olga.get(address(order, "order")).content.decode(), "9.00")
    olga.post(address(order, "order"), form)
    ours, theirs = Refund.objects.order_by("amount_minor")
    pages = [reverse("staff-refund-paid", args=[one.code]) for one in (ours, theirs)]
    shown = ["the till" in olga.get(page).content.decode() for page in pages]

    for number, page in enumerate(pages):
        olga.post(page, {"reference": f"K-{number}", "paid_from": "assets:cash"})

    paid = [ledger.entries(one.code)[0].credit.name for one in (ours, theirs)]
    assert (shown, paid) == ([True, False], ["assets:cash", "assets:bank"])


@pytest.mark.parametrize("by", ["order", "subscription"])
def test_above_the_limit_another_owner_confirms(olga: Client, order: Order, by: str) -> None:
    vera = logged_in(make_staff("vera", "owner"))
    form = typed(olga.get(address(order, by)).content.decode(), "12.00")
    answer = olga.post(address(order, by), form, follow=True)
    page = vera.get(reverse("staff-payments")).content.decode()
    waited = held(order)

    vera.post(reverse("staff-proposal-confirm", args=[Proposal.objects.get().code]))

    assert "waits for a second person" in answer.content.decode()
    assert "pay money on a balance back" in page
    assert order.subscription is not None
    assert reverse("staff-subscription", args=[order.subscription.code]) in page
    assert (waited, held(order)) == (1200, 0)
    assert_sound()


@pytest.mark.parametrize("wrong", [{"amount": "12.01"}, {"amount": "x"}, {"reason": " "}])
def test_form_says_what_is_wrong(olga: Client, order: Order, wrong: dict[str, str]) -> None:
    form = typed(olga.get(address(order, "order")).content.decode(), "9.00")

    answer = olga.post(address(order, "order"), form | wrong)

    assert (answer.status_code, held(order)) == (422, 1200)
