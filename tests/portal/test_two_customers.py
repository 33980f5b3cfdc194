"""A customer sees and touches own things only; nobody else's code is any different from none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.test import Client

from ferriage.devices.models import Device
from ferriage.orders.models import Document, Order, Withdrawal
from ferriage.plans.models import Subscription
from ferriage.web.portal.urls import urlpatterns
from taxed import charge

if TYPE_CHECKING:
    from conftest import Customer, NewVoucher
    from shop import Shop

# name of the address → method, and whose code it takes
OWNED = {
    "order": ("get", "order"),
    "pay-voucher": ("post", "order"),
    "pay-bank": ("post", "order"),
    "pay-start": ("post", "order"),
    "pay-back": ("get", "order"),
    "pay-balance": ("post", "order"),
    "return-topup": ("post", "order"),
    "reveal-gift": ("post", "order"),
    "cancel-order": ("post", "order"),
    "order-buyer": ("post", "order"),
    "document": ("get", "document"),
    "refund": ("get", "subscription"),
    "refund-confirm": ("post", "subscription"),
    "withdraw-step": ("get", "subscription"),
    "withdraw-confirm": ("post", "subscription"),
    "withdrawn": ("get", "withdrawal"),
    "acknowledgement": ("get", "withdrawal"),
    "renew": ("post", "subscription"),
    "add-device": ("post", "subscription"),
    "name-subscription": ("post", "subscription"),
    "change-plan": ("get", "subscription"),
    "change-now": ("post", "subscription"),
    "change-later": ("post", "subscription"),
    "keep-plan": ("post", "subscription"),
    "add-place": ("post", "subscription"),
    "held-wait": ("post", "subscription"),
    "held-move": ("post", "subscription"),
    "held-refund": ("post", "subscription"),
    "device": ("get", "device"),
    "device-live": ("get", "device"),
    "device-file": ("post", "device"),
    "replace-key": ("post", "device"),
    "remove-device": ("post", "device"),
}
OF_CUSTOMERS = {
    "account": "get",
    "held": "get",
    "withdraw": "get",
    "buy": "get",
    "place-order": "post",
    "replace-number": "post",
    "balance": "get",
    "balance-back": "post",
    "top-up": "post",
    "gift": "get",
    "gift-number": "post",
    "gift-code": "post",
}
OF_EVERYBODY = {
    *("home", "line", "privacy", "transparency", "open-account", "log-in", "log-out"),
    *("invitation", "sign-in", "sign-in-back"),
}


@pytest.fixture
def codes(shop: Shop, alice: Customer, new_voucher: NewVoucher) -> dict[str, str]:
    """Everything Alice has: a paid order, an open one, a subscription, a device, papers."""
    charge(shop.now)
    paid = alice.order(shop)
    alice.pay(paid, new_voucher())
    subscription = Order.objects.get(code=paid).subscription.code
    alice.add_device(subscription)
    renewal = alice.order(shop, 6)
    device = Device.objects.get().code
    withdrawal = Withdrawal.objects.create(
        subscription=Subscription.objects.get(), declared_at=shop.now, ends_at=shop.now, lines=[]
    )
    return {
        "order": renewal,
        "subscription": subscription,
        "device": device,
        "document": Document.objects.get().code,
        "withdrawal": withdrawal.code,
    }


def _form(shop: Shop, name: str) -> dict[str, str]:
    return {"price": shop.prices[1].code} if name == "renew" else {"code": "x"}


def _path(name: str, codes: dict[str, str]) -> str:
    kind = OWNED[name][1]
    tails = {
        "order": "/orders/{}/",
        "pay-voucher": "/orders/{}/voucher/",
        "pay-bank": "/orders/{}/bank/",
        "pay-start": "/orders/{}/pay/bank/",
        "pay-back": "/orders/{}/back/",
        "pay-balance": "/orders/{}/balance/",
        "return-topup": "/orders/{}/return/",
        "reveal-gift": "/orders/{}/gift/",
        "cancel-order": "/orders/{}/cancel/",
        "order-buyer": "/orders/{}/buyer/",
        "document": "/documents/{}.txt",
        "refund": "/account/{}/refund/",
        "refund-confirm": "/account/{}/refund/confirm/",
        "withdraw-step": "/withdraw/{}/",
        "withdraw-confirm": "/withdraw/{}/confirm/",
        "withdrawn": "/withdrawn/{}/",
        "acknowledgement": "/withdrawn/{}.txt",
        "renew": "/account/{}/renew/",
        "add-device": "/account/{}/devices/",
        "name-subscription": "/account/{}/name/",
        "change-plan": "/account/{}/plan/",
        "change-now": "/account/{}/plan/now/",
        "change-later": "/account/{}/plan/later/",
        "keep-plan": "/account/{}/plan/keep/",
        "add-place": "/account/{}/place/",
        "held-wait": "/held/{}/wait/",
        "held-move": "/held/{}/move/",
        "held-refund": "/held/{}/refund/",
        "device": "/devices/{}/",
        "device-live": "/devices/{}/live/",
        "device-file": "/devices/{}/file/",
        "replace-key": "/devices/{}/key/",
        "remove-device": "/devices/{}/remove/",
    }
    return tails[name].format(codes[kind])


def _state() -> list[object]:
    return [
        list(Order.objects.order_by("pk").values()),
        list(Device.objects.order_by("pk").values()),
    ]


@pytest.mark.parametrize("name", OWNED)
def test_somebody_elses_things_are_not_there(
    shop: Shop, codes: dict[str, str], charlie: Customer, name: str
) -> None:
    before = _state()

    answer = getattr(charlie.client, OWNED[name][0])(_path(name, codes), _form(shop, name))

    assert answer.status_code == 404
    assert _state() == before


@pytest.mark.parametrize("name", OWNED)
def test_strangers_are_sent_to_the_log_in_page(
    shop: Shop, codes: dict[str, str], name: str
) -> None:
    before = _state()

    answer = getattr(Client(), OWNED[name][0])(_path(name, codes), _form(shop, name))

    assert (answer.status_code, answer["Location"][:8]) == (302, "/log-in/")
    assert _state() == before


@pytest.mark.parametrize("name", [name for name in OWNED if OWNED[name][0] == "post"])
def test_form_needs_its_token(
    codes: dict[str, str], alice: Customer, shop: Shop, name: str
) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = alice.client.cookies
    before = _state()

    answer = strict.post(_path(name, codes), _form(shop, name))

    assert answer.status_code == 403
    assert "This form was open too long" in answer.content.decode()
    assert _state() == before


@pytest.mark.parametrize("name", [name for name in OWNED if OWNED[name][0] == "post"])
def test_looking_changes_nothing(codes: dict[str, str], alice: Customer, name: str) -> None:
    before = _state()

    answer = alice.client.get(_path(name, codes))

    # What a browser asks for when it opens such a page again leads back to a page that is there.
    led_back = {"add-device": "/account/", "device-file": "/devices/", "replace-key": "/devices/"}
    expected = (302, True) if name in led_back else (405, False)
    location = answer.headers.get("Location", "")
    assert (answer.status_code, location.startswith(led_back.get(name, "-"))) == expected
    assert _state() == before


def test_account_page_names_nobody_elses_codes(codes: dict[str, str], charlie: Customer) -> None:
    page = charlie.client.get("/account/").content.decode()

    assert [code for code in codes.values() if code in page] == []


def test_every_address_of_the_portal_is_in_one_of_the_tables() -> None:
    assert {pattern.name for pattern in urlpatterns} == {*OWNED, *OF_CUSTOMERS, *OF_EVERYBODY}


@pytest.mark.django_db
@pytest.mark.parametrize("name", OF_CUSTOMERS)
def test_customers_pages_ask_strangers_to_log_in(name: str) -> None:
    paths = {
        "account": "/account/",
        "held": "/held/",
        "withdraw": "/withdraw/",
        "buy": "/buy/prc_X/",
        "place-order": "/orders/",
        "replace-number": "/account/number/",
        "balance": "/balance/",
        "balance-back": "/balance/back/",
        "top-up": "/balance/top-up/",
        "gift": "/gift/prc_X/",
        "gift-number": "/gift/prc_X/number/",
        "gift-code": "/gift/prc_X/code/",
    }

    answer = getattr(Client(), OF_CUSTOMERS[name])(paths[name])

    assert (answer.status_code, answer["Location"][:8]) == (302, "/log-in/")
