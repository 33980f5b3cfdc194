"""From the first page to a device, as a browser without scripts does it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.test import Client
from django.utils.html import escape

from ferriage.accounts.models import Account, CustomerSession
from ferriage.core.hashing import hash_secret
from ferriage.core.money import Money
from ferriage.devices.models import Device
from ferriage.orders.models import Order
from ferriage.payments import actions as payments
from ferriage.web.portal.customer import COOKIE
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from conftest import Customer, NewVoucher
    from shop import Shop

NUMBER = re.compile(r'id="number"[^>]*>([0-9A-Z-]+)<')


def _open_account(client: Client, shop: Shop) -> str:
    page = client.post("/open/", {"price": shop.prices[1].code})
    assert page.status_code == 200
    found = NUMBER.search(page.content.decode())
    assert found is not None
    return found[1]


def test_purchase_by_voucher_takes_five_pages(shop: Shop, new_voucher: NewVoucher) -> None:
    client = Client()
    pages = [client.get("/")]
    pages.append(client.post("/open/", {"price": shop.prices[1].code}))
    ordered = client.post(
        "/orders/", {"price": shop.prices[1].code, "place": "XD", "consent": "yes"}
    )
    pages.append(client.get(ordered["Location"]))
    paid = client.post(f"{ordered['Location']}voucher/", {"code": new_voucher()})
    pages.append(client.get(paid["Location"]))
    add = re.search(r'action="(/account/[^"]+/devices/)"', pages[-1].content.decode())
    assert add is not None
    pages.append(client.post(add[1]))

    assert [page.status_code for page in pages] == [200] * 5
    device = Device.objects.get()
    assert device.subscription.account == Account.objects.get()
    assert escape(device.name) in pages[-1].content.decode()


def test_account_number_is_shown_once_and_kept_nowhere(shop: Shop) -> None:
    client = Client()

    page = client.post("/open/", {"price": shop.prices[1].code})

    number = NUMBER.search(page.content.decode())[1]  # type: ignore[index]
    plain = number.replace("-", "")
    assert re.fullmatch(r"[0-9A-Z]{4}(-[0-9A-Z]{4}){3}", number)
    assert "no-store" in page["Cache-Control"]
    account = Account.objects.get()
    assert account.number_hash == hash_secret("account", plain)
    assert plain not in client.cookies[COOKIE].value
    assert number not in client.get("/account/").content.decode()


def test_session_cookie_holds_a_token_whose_hash_alone_is_kept(shop: Shop) -> None:
    client = Client()
    _open_account(client, shop)

    cookie = client.cookies[COOKIE]

    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert [row.token_hash for row in CustomerSession.objects.all()] == [
        hash_secret("session", cookie.value)
    ]


def test_number_logs_in_however_it_is_typed(shop: Shop) -> None:
    number = _open_account(Client(), shop)
    typed = f"  {number.lower().replace('-', ' ').replace('0', 'o')} "
    client = Client()

    answer = client.post("/log-in/", {"number": typed})

    assert (answer.status_code, answer["Location"]) == (302, "/account/")
    assert client.get("/account/").status_code == 200


def test_log_in_goes_on_to_our_own_pages_only(alice: Customer) -> None:
    ours = Client().post("/log-in/", {"number": alice.number, "next": "/buy/prc_X/"})
    foreign = Client().post("/log-in/", {"number": alice.number, "next": "//evil.example/"})

    assert ours["Location"] == "/buy/prc_X/"
    assert foreign["Location"] == "/account/"


@pytest.mark.django_db
def test_wrong_number_says_so_and_lets_nobody_in() -> None:
    client = Client()

    answer = client.post("/log-in/", {"number": "0000-0000-0000-0000"})

    assert answer.status_code == 422
    assert "There is no account with this number." in answer.content.decode()
    assert COOKIE not in client.cookies


def test_log_out_ends_the_session_in_the_database(alice: Customer) -> None:
    answer = alice.client.post("/log-out/")

    assert answer["Location"] == "/"
    assert list(CustomerSession.objects.all()) == []
    assert alice.client.get("/account/")["Location"].startswith("/log-in/")


def test_bank_transfer_shows_reference_and_becomes_a_term_when_booked(
    shop: Shop, alice: Customer, now: datetime
) -> None:
    order = alice.order(shop)

    alice.client.post(f"/orders/{order}/bank/")
    page = alice.client.get(f"/orders/{order}/").content.decode()

    reference = re.search(r'id="reference"[^>]*>([^<]+)<', page)
    assert reference is not None
    assert "Bank of Tests, account 1" in page
    assert "10.00 CNY" in page
    captured = payments.book_receipt(
        reference=reference[1],
        transaction_id="bank-1",
        money=Money(shop.prices[1].amount_minor, "CNY"),
        now=now,
        actor=OWNER,
    )
    assert captured.outcome == "settled"
    assert Order.objects.get(code=order).state == "fulfilled"
    assert "Add a device" in alice.client.get("/account/").content.decode()


def test_renewal_takes_one_tap_and_keeps_the_place(
    shop: Shop, alice: Customer, new_voucher: NewVoucher
) -> None:
    alice.pay(alice.order(shop), new_voucher())
    page = alice.client.get("/account/").content.decode()
    renew = re.search(r'action="(/account/[^"]+/renew/)"', page)
    assert renew is not None

    answer = alice.client.post(renew[1], {"price": shop.prices[6].code})

    order = Order.objects.get(state="open")
    assert answer["Location"] == f"/orders/{order.code}/"
    assert (order.place, order.term_months) == ("XD", 6)


def test_device_page_shows_the_key_once_and_the_file_carries_it(
    shop: Shop, alice: Customer, new_voucher: NewVoucher
) -> None:
    alice.pay(alice.order(shop), new_voucher())
    subscription = Order.objects.get().subscription
    page = alice.add_device(subscription.code)
    text = page.content.decode()
    device = Device.objects.get()
    hidden = dict(re.findall(r'name="(private_key|gateway|line)" value="([^"]+)"', text))

    file = alice.client.post(f"/devices/{device.code}/file/", hidden)

    assert "no-store" in page["Cache-Control"]
    assert "no-store" in file["Cache-Control"]
    assert file["Content-Disposition"].startswith("attachment; filename=")
    assert f"PrivateKey = {hidden['private_key']}\n" in file.content.decode()
    assert (
        hidden["private_key"] not in alice.client.get(f"/devices/{device.code}/").content.decode()
    )


def test_own_public_key_gets_a_file_without_a_private_key(
    shop: Shop, alice: Customer, new_voucher: NewVoucher
) -> None:
    alice.pay(alice.order(shop), new_voucher())
    own = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="

    page = alice.add_device(Order.objects.get().subscription.code, public_key=own)

    assert Device.objects.get().public_key == own
    assert "PUT-YOUR-PRIVATE-KEY-HERE" in page.content.decode()


def test_device_live_counts_gateways(shop: Shop, alice: Customer, new_voucher: NewVoucher) -> None:
    alice.pay(alice.order(shop), new_voucher())
    alice.add_device(Order.objects.get().subscription.code)

    answer = alice.client.get(f"/devices/{Device.objects.get().code}/live/")

    assert answer.json() == {
        "on": 0,
        "of": 1,
        "good": False,
        "text": "waiting: 0 of 1 gateways have it",
    }


def test_removed_device_frees_its_place(
    shop: Shop, alice: Customer, new_voucher: NewVoucher
) -> None:
    alice.pay(alice.order(shop), new_voucher())
    alice.add_device(Order.objects.get().subscription.code)
    device = Device.objects.get()

    answer = alice.client.post(f"/devices/{device.code}/remove/")

    device.refresh_from_db()
    assert answer["Location"] == "/account/"
    assert device.removed_at is not None
    assert alice.client.get(f"/devices/{device.code}/").status_code == 404


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("word", ["zzz", "order", "staff-plan"])
def test_log_in_takes_a_word_for_an_address_and_not_for_a_name(alice: Customer, word: str) -> None:
    answer = Client().post("/log-in/", {"number": alice.number, "next": word})

    assert (answer.status_code, answer["Location"]) == (302, word)
