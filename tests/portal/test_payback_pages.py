"""A customer gets money on the balance back, on pages without scripts."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dearer import held_by, open_dearer
from ferriage.arrivals import openings
from ferriage.core.money import Money
from ferriage.orders import balance
from ferriage.payments.actions import mark_refund_paid
from ferriage.payments.models import Refund
from till import Till, assert_sound
from yard import OWNER

if TYPE_CHECKING:
    from django.http import HttpResponse
    from pytest_django.fixtures import SettingsWrapper

    from conftest import Customer
    from shop import Shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def till(shop: Shop) -> Till:
    shop.approve_for_years()
    return Till(shop, shop.now)


def text(answer: HttpResponse) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def ask(customer: Customer, **form: str) -> HttpResponse:
    return customer.client.post("/balance/back/", form, follow=True)


def form(customer: Customer) -> dict[str, str]:
    page = text(customer.client.get("/balance/"))
    seen = re.search(r'name="seen" value="(\d+)"', page)
    amount = re.search(r'id="amount-CNY"[^>]*value="([\d.]+)"', page)
    assert seen is not None
    assert amount is not None
    return {"currency": "CNY", "seen": seen[1], "amount": amount[1]}


def test_part_goes_back_once_though_the_button_is_pressed_twice(
    till: Till, alice: Customer
) -> None:
    till.top_up(alice.account, 2000)
    sent = form(alice) | {"amount": "5"}

    first, second = ask(alice, **sent), ask(alice, **sent)

    (refund,) = Refund.objects.all()
    assert (refund.amount_minor, balance.balance(alice.account, "CNY")) == (500, 1500)
    assert "5.00 CNY of your balance is on its way back to you." in text(first)
    assert (second.status_code, "was changed just now" in text(second)) == (409, True)
    assert "on its way back" in text(alice.client.get("/account/"))
    mark_refund_paid(refund=refund, reference="B-1", now=till.now, actor=OWNER)
    assert "5.00 CNY of your balance has been sent back to you." in text(
        alice.client.get("/balance/")
    )
    assert "on its way back" not in text(alice.client.get("/account/"))
    assert_sound()


@pytest.mark.parametrize("amount", ["", "x", "0", "-1", "20.01", "1e9"])
def test_wrong_amount_queues_nothing(till: Till, alice: Customer, amount: str) -> None:
    till.top_up(alice.account, 2000)

    answer = ask(alice, **(form(alice) | {"amount": amount}))

    assert (answer.status_code, Refund.objects.count()) == (422, 0)


def test_page_says_why_the_rest_is_for_the_shop_to_pay(till: Till, alice: Customer) -> None:
    openings.bring(
        account=alice.account,
        money=Money(700, "CNY"),
        code="opn_1",
        reason="Came over",
        now=till.now,
        actor=OWNER,
    )

    page = text(alice.client.get("/balance/"))

    assert "For 7 CNY there is no payment of yours" in page
    assert "never money on your balance" in page
    assert 'action="/balance/back/"' not in page


@pytest.mark.parametrize(("after", "is_offered"), [("pro_rata", True), ("none", False)])
def test_what_a_change_left_goes_back_as_the_shop_refunds(
    till: Till, alice: Customer, settings: SettingsWrapper, after: str, *, is_offered: bool
) -> None:
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(config, shop=replace(config.shop, refund_after=after))
    dearer = open_dearer(till)
    dearer.change(held_by(till.sell(12, account=alice.account)), price=dearer.prices[1])

    page = text(alice.client.get("/balance/"))

    assert balance.balance(alice.account, "CNY") > 0
    assert ('action="/balance/back/"' in page) is is_offered


def test_nobody_asks_back_what_another_customer_holds(
    till: Till, alice: Customer, charlie: Customer
) -> None:
    till.top_up(alice.account, 2000)

    answer = charlie.client.post("/balance/back/", form(alice))

    assert (answer.status_code, Refund.objects.count()) == (404, 0)
