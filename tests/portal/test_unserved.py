"""A shop whose gateway never enrolled sells nothing, and makes no file that would lead nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage.accounts.actions import declare_place
from ferriage.core.actors import CUSTOMER
from ferriage.devices.models import Device
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import Gateway, PoolGateway
from ferriage.orders.models import Order
from yard import OWNER

if TYPE_CHECKING:
    from conftest import Customer
    from ferriage.plans.models import Subscription
    from shop import Shop

pytestmark = pytest.mark.django_db

NO_ORDER = "No gateway serves this plan yet, so the shop takes no order for it."
NO_FILE = "No gateway takes this plan’s devices now, so there is no file to make."


def without_gateway(shop: Shop) -> None:
    """Leave the shop as one that recorded a gateway whose host never enrolled."""
    PoolGateway.objects.all().delete()
    fleet.create_gateway(
        name="beta",
        place="XD",
        endpoint_host="192.0.2.2",
        endpoint_port=51820,
        line=shop.line,
        now=shop.now,
        actor=OWNER,
    )


def holds(shop: Shop, customer: Customer) -> Subscription:
    """Give the customer, who says where they are, a term."""
    declare_place(account=customer.account, place="XD", now=shop.now, actor=CUSTOMER)
    return shop.extend(customer.account)


def form(shop: Shop) -> dict[str, str]:
    return {"price": shop.prices[1].code, "place": "XD", "consent": "yes"}


def test_shop_window_says_why_nothing_is_sold(shop: Shop, alice: Customer) -> None:
    without_gateway(shop)

    page = alice.client.get("/").content.decode()

    assert "This plan is not on sale." in page
    assert page.count("No gateway serves this line yet, so there is nothing to reach.") == 1
    assert "Buy 1 month" not in page


def test_order_is_refused(shop: Shop, alice: Customer) -> None:
    without_gateway(shop)

    shown = alice.client.get(f"/buy/{shop.prices[1].code}/")
    answer = alice.client.post("/orders/", form(shop))

    assert (shown.status_code, answer.status_code) == (409, 409)
    assert NO_ORDER in shown.content.decode()
    assert NO_ORDER in answer.content.decode()
    assert not Order.objects.exists()


def test_neither_gift_is_sold(shop: Shop, alice: Customer, charlie: Customer) -> None:
    without_gateway(shop)
    price = shop.prices[1].code

    code = alice.client.post(f"/gift/{price}/code/", {"place": "XD"})
    number = alice.client.post(f"/gift/{price}/number/", {"number": charlie.number})

    assert (code.status_code, number.status_code) == (409, 409)
    assert not Order.objects.exists()


def test_gateway_that_enrolled_is_enough_though_it_is_silent(shop: Shop, alice: Customer) -> None:
    assert alice.client.post("/orders/", form(shop)).status_code == 302


def test_device_is_not_added_where_no_file_could_name_a_gateway(
    shop: Shop, alice: Customer
) -> None:
    subscription = holds(shop, alice)
    without_gateway(shop)

    page = alice.add_device(subscription.code).content.decode()

    assert NO_FILE in page
    assert "No device was added." in page
    assert not Device.objects.exists()


def test_device_page_says_why_there_is_no_file(shop: Shop, alice: Customer) -> None:
    device = shop.device(holds(shop, alice))
    assert "Make a new file" in alice.client.get(f"/devices/{device.code}/").content.decode()
    without_gateway(shop)

    page = alice.client.get(f"/devices/{device.code}/").content.decode()

    assert "No gateway takes this device now." in page
    assert "Make a new file" not in page
    assert "Its private key is not ours to show again." not in page


@pytest.mark.parametrize("draining", [False, True])
def test_new_file_that_cannot_be_made_leaves_the_key(
    shop: Shop, alice: Customer, *, draining: bool
) -> None:
    device = shop.device(holds(shop, alice))
    if draining:
        Gateway.objects.update(draining_at=shop.now)
    else:
        without_gateway(shop)

    page = alice.client.post(f"/devices/{device.code}/key/").content.decode()

    assert NO_FILE in page
    assert "The device keeps its key." in page
    assert Device.objects.get().public_key == device.public_key
