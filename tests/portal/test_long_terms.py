"""What customers see of terms that would run past the end of the approval (rule R4)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.test import Client

from ferriage.accounts.actions import start_session
from ferriage.orders.models import Order
from ferriage.web.portal.customer import COOKIE

if TYPE_CHECKING:
    from conftest import Customer, NewVoucher  # type: ignore[import-not-found]
    from shop import Shop

END = "2027-03-01 00:00 UTC"
"""The yard's approval ends with 28 February 2027; the shop's day is 1 March 2026, noon."""


def bought(text: str) -> list[str]:
    """Return the codes of the prices that have a button or can be chosen."""
    return re.findall(r'name="price" value="(prc_[^"]+)"(?! disabled)', text)


def codes(shop: Shop, *months: int) -> list[str]:
    return [shop.prices[term].code for term in months]


def test_landing_sells_only_terms_within_the_approval_and_names_its_end(shop: Shop) -> None:
    text = Client().get("/").content.decode()

    assert bought(text) == codes(shop, 1, 6)
    assert text.count("Not sold now: too long") == 2
    assert text.count(END) == 1


def test_landing_offers_all_terms_of_an_approval_that_lasts(shop: Shop) -> None:
    shop.approve_for_years()

    text = Client().get("/").content.decode()

    assert bought(text) == codes(shop, 1, 6, 12, 24)
    assert END not in text


@pytest.mark.usefixtures("shop")
def test_landing_sells_nothing_in_the_last_month_and_says_why() -> None:
    with time_machine.travel(datetime(2027, 2, 10, tzinfo=UTC), tick=True):
        text = Client().get("/").content.decode()

    assert bought(text) == []
    assert "No term ends before the approval of its line does:" in text
    assert text.count(END) == 1


def test_long_term_asked_for_past_the_page_is_refused_with_the_end(
    alice: Customer, shop: Shop
) -> None:
    form = {"price": shop.prices[12].code, "place": "XD", "consent": "yes"}

    answers = [
        Client().post("/open/", {"price": shop.prices[12].code}),
        alice.client.get(f"/buy/{shop.prices[12].code}/"),
        alice.client.post("/orders/", form),
    ]

    assert [answer.status_code for answer in answers] == [451, 451, 451]
    assert [END in answer.content.decode() for answer in answers] == [True, True, True]
    assert Order.objects.count() == 0


def test_renewal_offers_what_ends_in_time_from_where_the_term_ends(
    alice: Customer, shop: Shop, new_voucher: NewVoucher
) -> None:
    alice.pay(alice.order(shop, 6), new_voucher(6))

    text = alice.client.get("/account/").content.decode()

    assert bought(text) == codes(shop, 1)
    assert text.count(END) == 1


def test_open_order_that_fits_no_more_says_so_and_asks_for_no_money(
    alice: Customer, shop: Shop
) -> None:
    evening = datetime(2026, 8, 31, 23, tzinfo=UTC)
    alice.client.cookies[COOKIE] = start_session(account=alice.account, now=evening)
    with time_machine.travel(evening, tick=True):
        order = alice.order(shop, 6)
        before = alice.client.get(f"/orders/{order}/").content.decode()
    with time_machine.travel(evening + timedelta(hours=2), tick=True):
        after = alice.client.get(f"/orders/{order}/").content.decode()

    shown = "it is not sold any more"
    assert [(shown in page, "voucher-title" in page) for page in (before, after)] == [
        (False, True),
        (True, False),
    ]
    assert END in after
    assert "Cancel this order" in after
