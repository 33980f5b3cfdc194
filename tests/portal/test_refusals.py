"""What is refused says what happened, and changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from django.test import Client

from ferriage.core.codes import random_characters
from ferriage.core.errors import FerriageError, StaleState
from ferriage.core.models import AuditEntry
from ferriage.core.money import Money
from ferriage.devices.models import Device
from ferriage.fleet import actions as fleet
from ferriage.ledger.models import Transfer
from ferriage.orders.models import Order
from ferriage.payments.models import Payment, Voucher
from ferriage.plans.actions import set_price
from ferriage.plans.models import Period
from ferriage.web.shared.refusals import STATUSES, status_of
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpResponse
    from pytest_django.fixtures import SettingsWrapper

    from conftest import Customer, NewVoucher
    from shop import Shop


def _counts() -> dict[str, int]:
    models = (AuditEntry, Device, Order, Payment, Period, Transfer)
    counts = {model.__name__: model.objects.count() for model in models}
    return counts | {"used": Voucher.objects.exclude(used_at=None).count()}


def _said(answer: HttpResponse, status: int, *sentences: str) -> None:
    text = answer.content.decode()
    assert answer.status_code == status, text
    assert [sentence for sentence in sentences if sentence not in text] == []


def _subscription(customer: Customer) -> str:
    return Order.objects.get(account=customer.account, state="fulfilled").subscription.code


def test_wrong_voucher_changes_nothing(shop: Shop, alice: Customer) -> None:
    order = alice.order(shop)
    before = _counts()

    answer = alice.pay(order, random_characters())

    _said(answer, 422, "Nothing was changed: no money was taken and no voucher was used up.")
    assert _counts() == before


def test_used_voucher_changes_nothing(
    shop: Shop, alice: Customer, charlie: Customer, new_voucher: NewVoucher
) -> None:
    code = new_voucher()
    charlie.pay(charlie.order(shop), code)
    order = alice.order(shop)
    before = _counts()

    answer = alice.pay(order, code)

    _said(answer, 409, "used")
    assert _counts() == before


def test_voucher_for_another_term_names_what_it_is_for(
    shop: Shop, alice: Customer, new_voucher: NewVoucher
) -> None:
    code = new_voucher(6)
    order = alice.order(shop, 1)
    before = _counts()

    answer = alice.pay(order, code)

    _said(answer, 422, "6")
    assert _counts() == before


def test_sixth_device_is_refused_and_the_five_are_listed(
    shop: Shop, alice: Customer, new_voucher: NewVoucher
) -> None:
    alice.pay(alice.order(shop), new_voucher())
    subscription = _subscription(alice)
    for _ in range(5):
        alice.add_device(subscription)
    before = _counts()

    answer = alice.add_device(subscription)

    names = [device.name for device in Device.objects.all()]
    _said(answer, 409, "room for 5 devices", *names)
    assert _counts() == before


@pytest.mark.parametrize(
    "key", ["nonsense", "A" * 44, "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D"]
)
def test_malformed_public_key_adds_nothing(
    shop: Shop, alice: Customer, new_voucher: NewVoucher, key: str
) -> None:
    alice.pay(alice.order(shop), new_voucher())
    before = _counts()

    answer = alice.add_device(_subscription(alice), public_key=key)

    _said(answer, 422, "This is not a WireGuard public key.")
    assert _counts() == before


def test_place_where_the_line_may_not_be_sold_is_refused_with_the_reason(
    shop: Shop, alice: Customer
) -> None:
    before = _counts()
    form = {"price": shop.prices[1].code, "place": "CN", "consent": "yes"}

    answer = alice.client.post("/orders/", form)

    _said(answer, 451, "This place is not among those written on the line.")
    alice.account.refresh_from_db()
    assert (_counts(), alice.account.place) == (before, "")


@pytest.mark.parametrize(
    ("left_out", "sentence"),
    [
        ("place", "Choose the place where you are."),
        ("consent", "Tick that you are there and that we may begin at once."),
    ],
)
def test_order_needs_place_and_consent(
    shop: Shop, alice: Customer, left_out: str, sentence: str
) -> None:
    form = {"price": shop.prices[1].code, "place": "XD", "consent": "yes"}
    before = _counts()

    answer = alice.client.post("/orders/", form | {left_out: ""})

    _said(answer, 422, sentence)
    assert _counts() == before


@pytest.mark.parametrize("place", ["XD\0", "XD-" + "1" * 50, "XDx"])
def test_what_is_no_place_is_not_taken_for_one(shop: Shop, alice: Customer, place: str) -> None:
    form = {"price": shop.prices[1].code, "place": place, "consent": "yes"}

    answer = alice.client.post("/orders/", form)

    _said(answer, 422, "Choose the place where you are.")
    assert not Order.objects.exists()


@pytest.mark.parametrize("address", ["/orders/\0/", "/devices/\0/", "/buy/\0/", "/lines/\0/"])
def test_address_that_no_database_can_look_up_is_no_fault_of_ours(
    alice: Customer, address: str
) -> None:
    answer = alice.client.get(address)

    assert answer.status_code in {400, 404}


def test_held_line_is_not_sold_and_the_window_says_so(
    shop: Shop, alice: Customer, now: datetime
) -> None:
    fleet.hold_line(line=shop.line, reason="inspection", now=now, actor=OWNER)
    form = {"price": shop.prices[1].code, "place": "XD", "consent": "yes"}

    window = Client().get("/")
    answer = alice.client.post("/orders/", form)

    _said(window, 200, "This plan is not on sale.")
    assert 'action="/open/"' not in window.content.decode()
    assert (answer.status_code >= 400, Order.objects.count()) == (True, 0)


@pytest.mark.usefixtures("shop")
def test_price_that_is_not_sold_opens_no_account() -> None:
    answer = Client().post("/open/", {"price": "prc_NONE"})

    _said(answer, 404, "There is no such page")
    assert AuditEntry.objects.filter(action="account.opened").count() == 0


def test_second_plan_of_a_service_is_refused(
    shop: Shop, alice: Customer, new_voucher: NewVoucher, now: datetime
) -> None:
    alice.pay(alice.order(shop), new_voucher())
    other = shop.add_plan("Ten devices", shop.line)
    price = set_price(plan=other, term_months=1, money=Money(2000, "CNY"), now=now, actor=OWNER)
    before = _counts()

    answer = alice.client.post("/orders/", {"price": price.code, "place": "XD", "consent": "yes"})

    _said(answer, 409, "a subscription has one plan at a time")
    assert _counts() == before


def test_refusal_answers_with_the_status_of_the_table() -> None:
    class Odd(FerriageError):
        slug = "odd"
        status = 418

    by_table = type("Wrong", (FerriageError,), {"slug": "wrong-voucher"})

    assert status_of(by_table("x")) == 422
    assert status_of(Odd("x")) == 418
    assert status_of(StaleState("x")) == 409


def test_table_of_statuses_names_only_errors_that_exist() -> None:
    def below(kind: type[FerriageError]) -> set[str]:
        slugs = {kind.slug}
        for one in kind.__subclasses__():
            slugs |= below(one)
        return slugs

    assert set(STATUSES) - below(FerriageError) == set()


@pytest.fixture
def no_bank(settings: SettingsWrapper) -> None:
    """Turn bank transfer off, as a shop is before its owner writes the bank's details."""
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(config, shop=replace(config.shop, bank_details=""))


NO_WAY = "This shop cannot take a payment yet, so it takes no order."


@pytest.mark.usefixtures("no_bank")
def test_shop_that_nobody_can_pay_says_so_before_an_order(shop: Shop, alice: Customer) -> None:
    before = _counts()
    form = {"price": shop.prices[1].code, "place": "XD", "consent": "yes"}

    asked = alice.client.get(f"/buy/{shop.prices[1].code}/")
    sent = alice.client.post("/orders/", form)
    stranger = Client().post("/open/", {"price": shop.prices[1].code})

    _said(asked, 409, NO_WAY)
    _said(sent, 409, NO_WAY)
    _said(stranger, 409, NO_WAY)
    assert _counts() == before


@pytest.mark.usefixtures("no_bank")
def test_renewal_that_nobody_can_pay_is_refused(
    shop: Shop, alice: Customer, new_voucher: NewVoucher
) -> None:
    voucher = new_voucher()
    alice.pay(alice.order(shop), voucher)
    before = _counts()

    answer = alice.client.post(
        f"/account/{_subscription(alice)}/renew/", {"price": shop.prices[1].code}
    )

    _said(answer, 409, NO_WAY)
    assert _counts() == before


@pytest.mark.usefixtures("no_bank")
def test_unused_voucher_for_the_price_alone_is_a_way_to_pay(
    shop: Shop, alice: Customer, new_voucher: NewVoucher
) -> None:
    new_voucher()

    assert alice.client.get(f"/buy/{shop.prices[1].code}/").status_code == 200
    _said(alice.client.get(f"/buy/{shop.prices[6].code}/"), 409, NO_WAY)
