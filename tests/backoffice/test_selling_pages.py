"""Coupons, corrections of the books and grants, as staff use them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.ledger.models import LedgerTransaction
from ferriage.ledger.queries import balance
from ferriage.orders.models import Coupon
from ferriage.plans.models import Period
from till import Till

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpResponse
    from django.test import Client

    from shop import Shop

pytestmark = pytest.mark.django_db


def text(answer: HttpResponse) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def make(client: Client, **changes: object) -> HttpResponse:
    typed = {
        "word": "Spring",
        "percent": "12.5",
        "most_per_account": "1",
        "valid_from": "2026-03-01T00:00:00",
    }
    return client.post(reverse("staff-coupon-new"), typed | changes, follow=True)


def test_coupon_is_made_listed_and_ended(olga: Client, shop: Shop) -> None:
    make(olga, plans=[str(shop.plan.pk)], terms=["6", "12"], most_uses="50", first_only="on")

    coupon = Coupon.objects.get()
    granted = (coupon.off_bps, coupon.off_minor, coupon.terms, coupon.most_uses, coupon.first_only)
    assert granted == (1250, None, [6, 12], 50, True)
    assert list(coupon.plans.all()) == [shop.plan]
    page = text(olga.get(reverse("staff-coupons")))
    for said in ("SPRING", "12.50 %", "0 / 50", "6 months", "first purchase", "1 for each account"):
        assert said in page

    olga.post(reverse("staff-coupon-end", args=[coupon.code]))
    assert "ended" in text(olga.get(reverse("staff-coupons")))
    again = olga.post(reverse("staff-coupon-end", args=[coupon.code]))
    assert again.status_code == 409


def test_coupon_of_an_amount(olga: Client) -> None:
    make(olga, percent="", amount="2.50", currency="cny", most_per_account="")
    coupon = Coupon.objects.get()
    granted = (coupon.off_minor, coupon.currency, coupon.off_bps, coupon.most_per_account)
    assert granted == (250, "CNY", None, None)
    assert "2.50 CNY" in text(olga.get(reverse("staff-coupons")))


@pytest.mark.parametrize(
    "changes",
    [
        {"percent": ""},
        {"percent": "101"},
        {"percent": "5", "amount": "5", "currency": "CNY"},
        {"percent": "", "amount": "5", "currency": "XXX"},
        {"percent": "", "amount": "5.001", "currency": "CNY"},
        {"percent": "0"},
        {"word": "a"},
        {"valid_to": "2026-02-01T00:00:00"},
    ],
)
def test_coupon_that_makes_no_sense_is_refused(olga: Client, changes: dict[str, str]) -> None:
    assert make(olga, **changes).status_code == 422
    assert Coupon.objects.count() == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"percent": "5", "amount": "5", "currency": ""}, "per cent or an amount, and leave the"),
        ({"percent": "", "amount": "5", "currency": ""}, "Say which currency the amount is in"),
        ({"percent": "", "amount": "5", "currency": "XXX"}, "No currency has this code."),
    ],
)
def test_refused_coupon_says_what_to_do(olga: Client, changes: dict[str, str], says: str) -> None:
    assert says in text(make(olga, **changes))


def test_list_of_coupons_asks_as_often_for_three_as_for_one(olga: Client, shop: Shop) -> None:
    counts = []
    for words in (["one"], ["two", "three"]):
        for word in words:
            make(olga, word=word, plans=[str(shop.plan.pk)])
        with CaptureQueriesContext(connection) as asked:
            olga.get(reverse("staff-coupons"))
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_posting_is_undone_from_the_page_of_its_entries(olga: Client, now: datetime) -> None:
    wrong = post(
        source_code="bill_1",
        kind="cost",
        transfers=[TransferLine("expenses:hosting", "assets:bank", Money(1200, "CNY"))],
        description="Hosting",
        now=now,
    )
    address = reverse("staff-ledger-reverse", args=[wrong.code])
    assert address in text(olga.get(reverse("staff-ledger-source", args=["bill_1"])))
    assert "expenses:hosting" in text(olga.get(address))

    assert olga.post(address, {"reason": ""}).status_code == 422
    page = text(olga.post(address, {"reason": "Typed twice"}, follow=True))

    assert "The posting is undone." in page
    assert balance("expenses:hosting", "CNY") == 0
    assert olga.post(address, {"reason": "Again"}).status_code == 409
    assert address not in text(olga.get(reverse("staff-ledger-source", args=["bill_1"])))


def test_sale_is_not_offered_to_be_undone(olga: Client, shop: Shop, now: datetime) -> None:
    shop.approve_for_years()
    order = Till(shop, now).sell()
    page = text(olga.get(reverse("staff-ledger-source", args=[order.code])))
    assert "Undo" not in page
    sale = LedgerTransaction.objects.get(kind="sale")
    answer = olga.post(reverse("staff-ledger-reverse", args=[sale.code]), {"reason": "No"})
    assert answer.status_code == 409


def test_support_gives_days_within_its_limit_and_an_owner_without(olga: Client, shop: Shop) -> None:
    address = reverse("staff-subscription-grant", args=[shop.holder().code])
    sam = logged_in(make_staff("sam", "support"))

    refused = sam.post(address, {"days": "32", "reason": "Asked"})
    assert refused.status_code == 403
    assert "Ask an owner to give more." in text(refused)
    assert sam.post(address, {"days": "31", "reason": "Asked"}).status_code == 302
    assert (
        olga.post(address, {"ends_at": "2026-12-01T00:00:00", "reason": "Asked"}).status_code == 302
    )
    assert Period.objects.filter(kind="grant").count() == 2


@pytest.mark.parametrize("typed", [{}, {"days": "3", "ends_at": "2026-12-01T00:00:00"}])
def test_grant_has_one_end(olga: Client, shop: Shop, typed: dict[str, str]) -> None:
    address = reverse("staff-subscription-grant", args=[shop.holder().code])
    assert olga.post(address, {"reason": "Asked", **typed}).status_code == 422


def test_order_says_what_it_cost_and_how_it_was_paid(
    olga: Client, shop: Shop, now: datetime
) -> None:
    shop.approve_for_years()
    till = Till(shop, now)
    account = shop.account()
    topup = till.top_up(account, 400)
    assert "Top-up of the balance" in text(olga.get(reverse("staff-orders")))
    page = text(olga.get(reverse("staff-order", args=[topup.code])))
    assert "4.00 CNY" in page
