"""What a customer reads after their bank took a payment back, or a part of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from dearer import held_by, open_dearer
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.orders import actions as orders
from ferriage.payments import disputes, recalls
from ferriage.payments.models import Payment
from till import Till, assert_sound
from yard import OWNER

if TYPE_CHECKING:
    from django.http import HttpResponse

    from conftest import Customer
    from ferriage.orders.models import Order
    from shop import Shop

pytestmark = pytest.mark.django_db
SO_MUCH_LESS = "took 6 CNY of the payment back. So that much less is left of it"


@pytest.fixture
def till(shop: Shop) -> Till:
    shop.approve_for_years()
    return Till(shop, shop.now)


def text(answer: HttpResponse) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def lose(till: Till, order: Order, minor: int) -> None:
    dispute = recalls.take_back(
        payment=Payment.objects.get(order=order, outcome="settled"),
        money=Money(minor, "CNY"),
        reference="REC-1",
        from_account="assets:bank",
        now=till.now,
        actor=OWNER,
    )
    disputes.lose(dispute=dispute, now=till.now, actor=OWNER)


def tags(page: str) -> list[str]:
    return re.findall(r'<span class="tag[^"]*">([^<]*)</span> </li>', page)


@pytest.mark.parametrize(
    ("minor", "said", "goes_on"),
    [
        (1000, "payment taken back", "What it had paid for is gone with it."),
        (600, "a part taken back", "But so much less is owed to you if it ends early"),
    ],
)
def test_orders_say_that_their_payment_was_taken_back(
    till: Till, alice: Customer, minor: int, said: str, goes_on: str
) -> None:
    lost, kept = till.sell(account=alice.account), till.sell(account=alice.account)
    lose(till, lost, minor)

    assert tags(text(alice.client.get("/account/"))) == ["paid", said]
    page = text(alice.client.get(f"/orders/{lost.code}/"))
    assert said in page
    assert goes_on in page
    assert "taken back" not in text(alice.client.get(f"/orders/{kept.code}/"))
    assert_sound()


@pytest.mark.parametrize(
    ("minor", "said", "told"),
    [
        (1000, "payment taken back", "What it had paid for is gone with it."),
        (600, "a part taken back", "taken off your balance, as far as it was still there"),
    ],
)
def test_top_ups_say_it_too(till: Till, alice: Customer, minor: int, said: str, told: str) -> None:
    order = till.top_up(alice.account, 1000)
    lose(till, order, minor)

    page = text(alice.client.get(f"/orders/{order.code}/"))

    assert tags(text(alice.client.get("/account/"))) == [said]
    assert told in page
    assert ("It stands on your balance." in page) is (minor == 600)


def test_pages_explain_why_less_is_owed(till: Till, alice: Customer) -> None:
    open_dearer(till)
    order = till.sell(account=alice.account)
    held = held_by(order).code
    pages = [f"/account/{held}/refund/", f"/withdraw/{held}/", f"/account/{held}/plan/"]
    before = [text(alice.client.get(page)) for page in pages]
    lose(till, order, 600)
    after = [text(alice.client.get(page)) for page in pages]

    assert [SO_MUCH_LESS in page for page in before] == [False, False, False]
    assert [SO_MUCH_LESS in page for page in after] == [True, True, True]
    orders.end_subscription(
        subscription=held_by(order), at=till.now, reason="Asked", now=till.now, actor=OWNER
    )
    owed = text(alice.client.get("/account/"))
    assert "We owe you 4 CNY" in owed
    assert "took a part of the payment back, so it is that much less" in owed
    assert tags(owed) == ["a part taken back, ended early"]


def test_balance_says_what_of_a_lost_payment_comes_to_the_shop(till: Till, alice: Customer) -> None:
    top_up = till.top_up(alice.account, 1000)
    order = till.order(account=alice.account)
    orders.pay_from_balance(order=order, now=till.now, actor=CUSTOMER)
    before = text(alice.client.get("/balance/"))

    lose(till, top_up, 600)
    between = text(alice.client.get("/balance/"))
    till.end(order, till.now)
    after = text(alice.client.get("/balance/"))

    said = "taken back by your bank or card after 6 CNY of it had been spent"
    assert [said in page for page in (before, between, after)] == [False, True, False]
    assert f'href="/orders/{top_up.code}/"' in between
    assert "4 CNY can go back the way it came" in after


def test_account_page_says_why_the_term_ended(till: Till, alice: Customer) -> None:
    why = "took the payment back, and the time that it had paid for is gone with it."
    order = till.sell(account=alice.account)
    before = text(alice.client.get("/account/"))

    lose(till, order, 1000)

    after = text(alice.client.get("/account/"))
    till.sell(account=alice.account)
    again = text(alice.client.get("/account/"))
    assert (why in before, why in after, why in again) == (False, True, False)
