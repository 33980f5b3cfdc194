"""What is shown once is not lost by another language, a reload, or a tab that is opened again."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.test import Client

from ferriage.accounts.queries import account_by_number
from ferriage.devices import tasks
from ferriage.devices.models import Device
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import PoolChange, PoolCurrent
from ferriage.orders.models import Order
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpResponse

    from conftest import Customer, NewVoucher
    from shop import Shop


def _hidden(page: str, action: str) -> dict[str, str]:
    """Return the hidden fields of the form with this action, as a browser sends them."""
    form = re.search(rf'<form[^>]* action="{re.escape(action)}".*?</form>', page, re.DOTALL)
    assert form is not None, action
    found = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0]))
    return {name: value for name, value in found.items() if name != "csrfmiddlewaretoken"}


def _number(page: str) -> str:
    shown = re.search(r'id="number"[^>]*>([^<]+)<', page)
    assert shown is not None
    return shown[1]


@pytest.fixture
def subscription(shop: Shop, alice: Customer, new_voucher: NewVoucher) -> str:
    paid = alice.order(shop)
    alice.pay(paid, new_voucher())
    held = Order.objects.get(code=paid).subscription
    assert held is not None
    return held.code


@pytest.mark.usefixtures("shop")
def test_number_stays_on_the_page_in_another_language(shop: Shop) -> None:
    client = Client()
    first = client.post("/open/", {"price": shop.prices[1].code}).content.decode()

    form = {**_hidden(first, "/open/"), "language": "zh-hans"}
    again = client.post("/open/", form).content.decode()

    assert '<html lang="zh-Hans">' in again
    assert _number(again) == _number(first)
    assert '<html lang="zh-Hans">' in client.get("/account/").content.decode()


def test_number_of_somebody_else_is_not_shown_as_ones_own(
    shop: Shop, alice: Customer, charlie: Customer
) -> None:
    form = {"price": shop.prices[1].code, "number": alice.number, "language": "en"}

    answer = charlie.client.post("/open/", form)

    assert (answer.status_code, answer["Location"]) == (302, f"/buy/{shop.prices[1].code}/")


@pytest.mark.parametrize(
    ("typed", "status"), [({"place": "CN", "consent": "yes"}, 451), ({"place": ""}, 422)]
)
def test_number_stays_on_the_page_that_refuses_the_first_order(
    shop: Shop, typed: dict[str, str], status: int
) -> None:
    client = Client()
    first = client.post("/open/", {"price": shop.prices[1].code}).content.decode()

    refused = client.post("/orders/", {**_hidden(first, "/orders/"), **typed})
    page = refused.content.decode()
    again = client.post("/orders/", {**_hidden(page, "/orders/"), **typed}).content.decode()
    other = {**_hidden(page, "/open/"), "language": "zh-hans"}
    in_chinese = client.post("/open/", other).content.decode()

    assert refused.status_code == status
    assert {_number(shown) for shown in (page, again, in_chinese)} == {_number(first)}
    assert "no-store" in refused["Cache-Control"]


def test_number_stays_on_the_page_when_nothing_is_sold_any_more(shop: Shop) -> None:
    client = Client()
    first = client.post("/open/", {"price": shop.prices[1].code}).content.decode()
    fleet.hold_line(line=shop.line, reason="Fibre cut", now=shop.now, actor=OWNER)

    order = client.post("/orders/", {**_hidden(first, "/orders/"), "place": "XD", "consent": "yes"})
    opened = client.post("/open/", {**_hidden(first, "/open/"), "language": "en"})

    for refused in (order, opened):
        page = refused.content.decode()
        assert (refused.status_code, _number(page)) == (451, _number(first))
        assert 'role="alert"' in page
        assert 'action="/orders/"' not in page


def test_refused_order_shows_nobody_another_number_than_their_own(
    shop: Shop, alice: Customer, charlie: Customer
) -> None:
    form = {"price": shop.prices[1].code, "place": "CN", "consent": "yes"}

    page = charlie.client.post("/orders/", {**form, "number": alice.number}).content.decode()

    assert alice.number not in page
    assert "Get another number" in page


@pytest.mark.usefixtures("shop")
def test_opening_again_after_a_reload_offers_another_number(shop: Shop) -> None:
    client = Client()
    first = client.post("/open/", {"price": shop.prices[1].code}).content.decode()

    reloaded = client.post("/open/", {"price": shop.prices[1].code}, follow=True)
    asked = client.get("/account/number/").content.decode()
    assert "The number that you have now stops working at once" in asked
    assert account_by_number(_number(first)) is not None
    replaced = client.post("/account/number/").content.decode()

    assert "Get another number" in reloaded.content.decode()
    assert _number(replaced) != _number(first)
    assert account_by_number(_number(first)) is None
    assert account_by_number(_number(replaced)) is not None
    assert client.get("/account/").status_code == 200


def test_another_number_logs_other_browsers_out(shop: Shop, alice: Customer) -> None:
    del shop
    other = Client()
    other.post("/log-in/", {"number": alice.number})
    assert other.get("/account/").status_code == 200

    alice.client.post("/account/number/")

    assert other.get("/account/").status_code == 302


def test_files_stay_on_the_page_in_another_language(alice: Customer, subscription: str) -> None:
    first = alice.add_device(subscription).content.decode()
    device = Device.objects.get()

    address = f"/devices/{device.code}/"
    form = {**_hidden(first, address), "language": "zh-hans"}
    again = alice.client.post(address, form).content.decode()

    key = re.compile(r"PrivateKey = (\S+)")
    assert '<html lang="zh-Hans">' in again
    assert key.findall(again) == key.findall(first) != []
    assert Device.objects.get().public_key == device.public_key


def test_form_sent_twice_adds_one_device(alice: Customer, subscription: str) -> None:
    page = alice.client.get("/account/").content.decode()
    form = _hidden(page, f"/account/{subscription}/devices/")

    alice.client.post(f"/account/{subscription}/devices/", form)
    again: HttpResponse = alice.client.post(f"/account/{subscription}/devices/", form)

    device = Device.objects.get()
    assert (again.status_code, again["Location"]) == (302, f"/devices/{device.code}/")


def test_lost_file_is_made_anew_with_a_new_key(alice: Customer, subscription: str) -> None:
    alice.add_device(subscription)
    before = Device.objects.get()

    page = alice.client.post(f"/devices/{before.code}/key/").content.decode()

    after = Device.objects.get()
    told = PoolCurrent.objects.get(subject=before.code).payload
    assert "PrivateKey = " in page
    assert after.public_key != before.public_key
    assert (after.ip4, after.slot, after.generation) == (before.ip4, before.slot, 2)
    assert (after.public_key in told, before.public_key in told) == (True, False)


def test_device_gets_the_name_that_was_typed(alice: Customer, subscription: str) -> None:
    alice.add_device(subscription, name="study laptop")

    assert Device.objects.get().name == "study laptop"


def test_refused_key_keeps_what_was_typed(alice: Customer, subscription: str) -> None:
    answer = alice.add_device(subscription, name="router", public_key="short")

    page = answer.content.decode()
    assert answer.status_code == 422
    assert ('value="router"' in page, 'value="short"' in page) == (True, True)
    assert not Device.objects.exists()


def test_language_is_told_to_the_gateways_within_six_hours(
    alice: Customer, subscription: str, now: datetime
) -> None:
    alice.add_device(subscription)
    before = PoolChange.objects.count()

    for language in ("fa", "zh-hans") * 5:
        alice.client.post("/language/", {"language": language, "next": "/account/"})
    at_once = PoolChange.objects.count()
    tasks.run(now + timedelta(hours=7))

    assert (at_once, PoolChange.objects.count()) == (before, before + 1)
    assert '"language":"zh-hans"' in PoolCurrent.objects.get(kind="put").payload


def test_one_more_new_key_a_day_is_refused_on_a_page_that_says_until_when(
    alice: Customer, subscription: str
) -> None:
    alice.add_device(subscription)
    key_page = f"/devices/{Device.objects.get().code}/key/"
    for _ in range(24):
        alice.client.post(key_page)
    before = PoolChange.objects.count()

    answer = alice.client.post(key_page)

    assert (answer.status_code, PoolChange.objects.count()) == (409, before)
    page = answer.content.decode()
    assert "again from 2026-03-02 00:00 UTC on" in page
    assert "<h1>My account</h1>" in page
