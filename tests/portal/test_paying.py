"""Paying over the net, as a customer sees it: out to the provider's page, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from counter import Counter, open_counter
from ferriage.core import clock
from ferriage.core.money import Money
from ferriage.orders.models import Order
from ferriage.payments import accounts, tasks
from ferriage.payments.models import Payment
from stand_in import StandIn
from till import Till, assert_sound
from yard import OWNER

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Customer
    from shop import Shop


@pytest.fixture
def counter(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counter:
    shop.approve_for_years()
    return open_counter(Till(shop, clock.now()), tmp_path / "standin.db", monkeypatch)


def order_page(customer: Customer, code: str) -> str:
    return customer.client.get(reverse("order", args=[code])).content.decode()


@pytest.mark.usefixtures("counter")
def test_order_page_lists_the_means_that_the_shop_offers(alice: Customer, shop: Shop) -> None:
    code = alice.order(shop)

    titles = re.findall(r"<h2[^>]*>\s*([^<]+)", order_page(alice, code))

    assert titles == ["Stand-in", "With a voucher", "By bank transfer"]


def test_customer_pays_there_and_finds_the_order_fulfilled(
    counter: Counter, alice: Customer, shop: Shop
) -> None:
    code = alice.order(shop)
    leaving = alice.client.post(reverse("pay-start", args=[code, "standin"]), {"choice": ""})
    payment = Payment.objects.get()
    again = alice.client.post(reverse("pay-start", args=[code, "standin"]), {"choice": ""})
    begun = order_page(alice, code)
    counter.tell(counter.world.pay(payment, clock.now()))

    back = alice.client.get(reverse("pay-back", args=[code]))

    assert leaving.status_code == again.status_code == 200
    assert leaving.headers["Refresh"] == f"1; url={payment.pay_url}"
    assert f'href="{payment.pay_url}"' in leaving.content.decode()
    assert "nothing is asked for twice" in begun
    assert Payment.objects.count() == 1
    assert "To my devices" in back.content.decode()
    assert "Refresh" not in back.headers
    assert Order.objects.get(code=code).state == "fulfilled"
    assert_sound()


@pytest.mark.usefixtures("counter")
def test_coming_back_is_no_proof_of_having_paid(alice: Customer, shop: Shop) -> None:
    code = alice.order(shop)
    alice.client.post(reverse("pay-start", args=[code, "standin"]))

    back = alice.client.get(reverse("pay-back", args=[code]))
    tasks.run(clock.now())

    assert back.headers["Refresh"] == f"5; url={reverse('pay-back', args=[code])}"
    assert Order.objects.get(code=code).state == "open"


def test_coming_back_lets_the_provider_be_asked_at_once(
    counter: Counter, alice: Customer, shop: Shop
) -> None:
    code = alice.order(shop)
    alice.client.post(reverse("pay-start", args=[code, "standin"]))
    counter.world.pay(Payment.objects.get(), clock.now())  # and no callback comes

    alice.client.get(reverse("pay-back", args=[code]))
    tasks.run(clock.now())

    assert Order.objects.get(code=code).state == "fulfilled"


def test_service_that_is_down_is_said_and_nothing_is_lost(
    counter: Counter, alice: Customer, shop: Shop
) -> None:
    code = alice.order(shop)
    counter.world.set("down", "yes")

    answer = alice.client.post(reverse("pay-start", args=[code, "standin"]))

    assert answer.status_code == 503
    assert "Nobody answers." in answer.content.decode()
    assert Order.objects.get(code=code).state == "open"


@pytest.mark.parametrize(("slug", "status"), [("voucher", 409), ("nobody", 404), ("bank", 302)])
@pytest.mark.usefixtures("counter")
def test_only_what_is_offered_is_begun(alice: Customer, shop: Shop, slug: str, status: int) -> None:
    code = alice.order(shop)

    answer = alice.client.post(reverse("pay-start", args=[code, slug]))

    assert answer.status_code == status


def test_money_that_waits_is_told_on_order_and_account(
    counter: Counter, alice: Customer, shop: Shop
) -> None:
    code = alice.order(shop)
    alice.client.post(reverse("pay-start", args=[code, "standin"]))
    counter.tell(counter.world.pay(Payment.objects.get(), clock.now(), minor=400))

    pages = [order_page(alice, code), alice.client.get(reverse("account")).content.decode()]

    assert ["Nothing is lost" in page and "4.00 CNY" in page for page in pages] == [True, True]
    why = "which could not take it: it is less than the order asks for."
    assert [why in page for page in pages] == [True, True]


def test_dispute_is_told_on_order_and_account(
    counter: Counter, alice: Customer, shop: Shop
) -> None:
    code = alice.order(shop)
    alice.client.post(reverse("pay-start", args=[code, "standin"]))
    payment = Payment.objects.get()
    counter.tell(counter.world.pay(payment, clock.now()))
    counter.till.now = clock.now()
    money = Money(1000, "CNY")
    counter.say("dispute-opened", payment, "evt_d", dispute="dp_1", money=money)

    pages = [order_page(alice, code), alice.client.get(reverse("account")).content.decode()]

    assert ["your devices are on hold" in page for page in pages] == [True, True]
    assert re.findall(r'<span class="tag tag-\w+">(on hold|running)<', pages[1]) == ["on hold"]

    counter.say("dispute-lost", payment, "evt_e", dispute="dp_1", money=money)

    shown = order_page(alice, code)
    told = "Your bank or card took 10.00 CNY of your payment back"
    assert ["your devices are on hold" in shown, told in shown] == [False, True]


def test_test_mode_is_said_on_the_means_and_everywhere(
    counter: Counter, alice: Customer, shop: Shop
) -> None:
    accounts.add_provider(
        slug=StandIn.slug,
        label="Card",
        mode="test",
        secrets=counter.world.secrets,
        now=clock.now(),
        actor=OWNER,
    )
    code = alice.order(shop)

    page = order_page(alice, code)
    leaving = alice.client.post(reverse("pay-start", args=[code, "standin"])).content.decode()

    assert "Test: no real money" in page
    assert "moves no real money" in page
    assert "This is a test" in leaving
