"""A customer's place: their word, what a transfer presumes, and never their network address."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.test import Client

import ferriage
from ferriage.accounts.actions import declare_place
from ferriage.core.actors import CUSTOMER
from ferriage.devices import tasks as device_tasks
from ferriage.devices.models import Device
from ferriage.orders.models import Order
from ferriage.payments.models import Payment

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_django.fixtures import SettingsWrapper

    from conftest import Customer, NewVoucher  # type: ignore[import-not-found]
    from shop import Shop

ADDRESS = "203.0.113.77"
ADDRESS6 = "2001:db8:77::77"
HEADERS = {
    "REMOTE_ADDR": ADDRESS,
    "HTTP_X_FORWARDED_FOR": f"{ADDRESS}, {ADDRESS6}",
    "HTTP_X_REAL_IP": ADDRESS6,
    "HTTP_FORWARDED": f'for="[{ADDRESS6}]"',
}


@pytest.fixture
def bank_in_china(settings: SettingsWrapper) -> None:
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(config, shop=replace(config.shop, bank_country="CN"))


@pytest.mark.usefixtures("bank_in_china")
def test_order_page_says_why_a_transfer_is_off_and_sells_by_voucher(
    alice: Customer, shop: Shop, new_voucher: NewVoucher
) -> None:
    order = alice.order(shop)

    page = alice.client.get(f"/orders/{order}/").content.decode()
    pressed = alice.client.post(f"/orders/{order}/bank/")

    assert "transfers come from China (mainland) [CN], you said that you are in Demoland" in page
    assert "Show where to send it" not in page
    assert pressed.status_code == 409
    assert "place" in pressed.content.decode()
    assert Payment.objects.count() == 0
    assert alice.pay(order, new_voucher()).status_code == 302
    assert Order.objects.get().state == "fulfilled"


def test_transfer_that_presumes_nothing_is_offered(alice: Customer, shop: Shop) -> None:
    order = alice.order(shop)

    page = alice.client.get(f"/orders/{order}/").content.decode()

    assert "Show where to send it" in page
    assert alice.client.post(f"/orders/{order}/bank/").status_code == 302


# --- the network address ----------------------------------------------------------------------


def everything() -> str:
    """Return every row of every table as text."""
    return "\n".join(
        str(row) for model in apps.get_models() for row in model._default_manager.values()
    )


def test_address_of_a_customer_is_in_no_table_and_changes_nothing(
    shop: Shop, new_voucher: NewVoucher
) -> None:
    browsers = [Client(**HEADERS), Client(REMOTE_ADDR="198.51.100.9")]
    price = shop.prices[1].code
    statuses = []
    for browser in browsers:
        browser.post("/open/", {"price": price})
        placed = browser.post("/orders/", {"price": price, "place": "XD", "consent": "yes"})
        order = placed["Location"]
        browser.post(f"{order}bank/")
        paid = browser.post(f"{order}voucher/", {"code": new_voucher()})
        account = browser.get("/account/")
        subscription = account.content.decode().split("/account/sub_")[1].split("/")[0]
        added = browser.post(f"/account/sub_{subscription}/devices/")
        statuses.append([page.status_code for page in (placed, paid, account, added)])

    rows = everything()
    assert statuses[0] == statuses[1] == [302, 302, 200, 200]
    assert Device.objects.count() == 2
    assert "ord_" in rows
    assert [text for text in (ADDRESS, ADDRESS6, "198.51.100.9") if text in rows] == []


def test_no_line_of_the_program_asks_for_the_address_of_a_customer() -> None:
    words = ("REMOTE_ADDR", "X_FORWARDED", "X-FORWARDED", "X_REAL_IP", "HTTP_FORWARDED")
    gateways_only = "signed.py"  # where a report came from, to name a gateway's NAT
    found = Path(ferriage.__file__).parent.rglob("*.py")
    sources = [path for path in found if path.parts[-2:] != ("api", gateways_only)]

    asking = [
        (path.name, word)
        for path in sources
        for word in words
        if word in path.read_text(encoding="utf-8").upper()
    ]

    assert len(sources) > 200
    assert asking == []


# --- somebody who moves -----------------------------------------------------------------------


def test_place_declared_later_is_judged_for_the_devices_there_are(
    shop: Shop, now: datetime
) -> None:
    account = shop.account()
    device = shop.device(shop.extend(account))
    before = device.hold_at

    declare_place(account=account, place="SE", now=now, actor=CUSTOMER)
    done = [device_tasks.run(now), device_tasks.run(now)]

    device.refresh_from_db()
    assert before is not None
    assert before > now
    assert (device.hold_at, done) == (now, [1, 0])
