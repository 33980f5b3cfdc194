"""The pages of refund, withdrawal and documents, from the customer's side."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.template.loader import render_to_string
from django.test import Client

from ferriage.orders.models import Buyer, Document, Order, Withdrawal
from ferriage.orders.refunds import Part, Quote
from ferriage.web.portal.customer import COOKIE
from taxed import charge, confirm, set_up

if TYPE_CHECKING:
    from datetime import datetime

    from time_machine import TimeMachineFixture

    from conftest import Customer, NewVoucher
    from shop import Shop

DAY = timedelta(days=1)


@pytest.fixture
def paid(shop: Shop, alice: Customer, new_voucher: NewVoucher) -> Order:
    charge(shop.now)
    code = alice.order(shop)
    alice.pay(code, new_voucher())
    return Order.objects.get(code=code)


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None
    return found[1]


def subscription_of(order: Order) -> str:
    assert order.subscription is not None
    return order.subscription.code


def test_refund_page_shows_the_amount_that_confirming_books(
    alice: Customer, paid: Order, now: datetime, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(now + 20 * DAY)
    path = f"/account/{subscription_of(paid)}/refund/"
    page = alice.client.get(path).content.decode()
    form = {name: hidden(page, name) for name in ("at", "quoted")}
    time_machine.move_to(now + 20 * DAY + timedelta(minutes=10))

    answer = alice.client.post(f"{path}confirm/", form)

    paid.refresh_from_db()
    told = alice.client.get("/account/").content.decode()
    assert "That is 15 minutes after this page was made" in page
    assert "It ends at the instant that was shown, 2026-03-21 12:15 UTC." in told
    assert "Your term ends in 5 minutes." in told
    assert "Less than a day left" in told
    assert "paid, ended early" in told
    order = alice.client.get(f"/orders/{paid.code}/").content.decode()
    assert "ended early" in order
    assert (answer.status_code, answer["Location"]) == (302, "/account/")
    assert form["quoted"] == f"{paid.refund_due_minor}CNY"
    assert f"{paid.refund_due_minor / 100:.2f} CNY" in page


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"at": "soon", "quoted": "1000CNY"},
        {"at": "2026-03-01T12:05:00", "quoted": "1000CNY"},
        {"at": "2026-03-01T12:05:00+00:00", "quoted": "999CNY"},
        {"at": "2026-03-01T12:05:00+00:00", "quoted": "x"},
        {"at": "2027-03-01T12:05:00+00:00", "quoted": "1000CNY"},
    ],
)
def test_what_no_page_showed_is_not_booked(
    alice: Customer, paid: Order, form: dict[str, str]
) -> None:
    answer = alice.client.post(f"/account/{subscription_of(paid)}/refund/confirm/", form)

    paid.refresh_from_db()
    assert (answer.status_code, paid.refund_due_minor) == (409, 0)
    assert "End it for this amount" in answer.content.decode()


def test_withdrawal_takes_two_steps_and_hands_out_its_acknowledgement(
    alice: Customer, paid: Order
) -> None:
    subscription = subscription_of(paid)
    first = alice.client.get("/withdraw/").content.decode()
    second = alice.client.get(f"/withdraw/{subscription}/").content.decode()
    assert not Withdrawal.objects.exists()

    answer = alice.client.post(f"/withdraw/{subscription}/confirm/")

    done = Withdrawal.objects.get()
    assert f'href="/withdraw/{subscription}/">Withdraw from contract here' in first
    assert "Confirm withdrawal here" in second
    assert "whole, whatever was used of it" in second
    assert answer["Location"] == f"/withdrawn/{done.code}/"
    text = alice.client.get(f"/withdrawn/{done.code}.txt").content.decode()
    for said in (done.code, paid.code, "10.00 CNY", "2026-03-01 12:0"):
        assert said in text
    pdf = alice.client.get(f"/withdrawn/{done.code}.pdf?language=de")
    assert (pdf["Content-Type"], pdf.content[:4]) == ("application/pdf", b"%PDF")
    assert done.code in alice.client.get("/withdraw/").content.decode()
    order = alice.client.get(f"/orders/{paid.code}/").content.decode()
    assert "taken back whole, nothing of it counts" in order


def test_subscriptions_of_one_name_are_told_apart_where_one_withdraws(
    shop: Shop, alice: Customer, paid: Order, new_voucher: NewVoucher
) -> None:
    form = {"price": shop.prices[6].code, "place": "XD", "consent": "yes", "onto": "new"}
    second = alice.client.post("/orders/", form)["Location"].split("/")[2]
    alice.pay(second, new_voucher(6))
    for code in (subscription_of(paid), subscription_of(Order.objects.get(code=second))):
        alice.client.post(f"/account/{code}/name/", {"label": "Home"})

    page = alice.client.get("/withdraw/").content.decode()

    listed = re.findall(r'<li class="flex.*?</li>', page, re.DOTALL)
    told = [
        (row.count("Ferry · Five devices · Home"), re.findall(r'datetime="([\d-]+)T', row))
        for row in listed
    ]
    assert told == [(1, ["2026-04-01"]), (1, ["2026-09-01"])]
    assert [paid.code in listed[0], second in listed[1]] == [True, True]


def test_withdrawal_that_gives_back_all_says_so_whatever_the_rule(
    paid: Order, now: datetime
) -> None:
    part = Part(paid, "pro_rata", paid.amount_minor)

    page = render_to_string("shared/quote.html", {"quote": Quote(now, (part,))})

    assert "the whole price" in page
    assert "for the time not used" not in page


def test_withdrawal_needs_the_account_number_and_nothing_else(alice: Customer, paid: Order) -> None:
    stranger = Client()
    asked = stranger.get("/withdraw/")

    let_in = stranger.post(asked["Location"], {"number": alice.number, "next": "/withdraw/"})

    assert let_in["Location"] == "/withdraw/"
    assert COOKIE in stranger.cookies
    assert subscription_of(paid) in stranger.get("/withdraw/").content.decode()


def test_withdrawal_is_linked_from_every_page_of_the_shop(alice: Customer) -> None:
    for path in ("/", "/account/", "/privacy/"):
        assert 'href="/withdraw/"' in alice.client.get(path).content.decode()


def test_withdrawal_too_late_is_not_offered(
    alice: Customer, paid: Order, now: datetime, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(now + 16 * DAY)
    subscription = subscription_of(paid)

    assert subscription not in alice.client.get("/withdraw/").content.decode()
    assert alice.client.get(f"/withdraw/{subscription}/")["Location"] == "/withdraw/"
    assert alice.client.post(f"/withdraw/{subscription}/confirm/").status_code == 409


def test_consent_says_what_is_owed_for_the_days_used(shop: Shop, alice: Customer) -> None:
    page = alice.client.get(f"/buy/{shop.prices[1].code}/").content.decode()

    assert "I ask you to begin at once" in page
    assert "we may keep what the days used until then are worth" in page
    assert "within 14 days of paying it refunds the whole price" in page


def test_order_page_says_the_tax_and_leads_to_the_invoice(alice: Customer, paid: Order) -> None:
    invoice = Document.objects.get()

    page = alice.client.get(f"/orders/{paid.code}/").content.decode()

    assert "19 % VAT of" in page
    assert f'href="/documents/{invoice.code}.pdf"' in page
    text = alice.client.get(f"/documents/{invoice.code}.txt?language=de").content.decode()
    assert "Rechnung" in text
    assert alice.client.get(f"/documents/{invoice.code}.exe").status_code == 404


def test_name_for_the_invoice_is_asked_before_paying_only(
    shop: Shop, alice: Customer, new_voucher: NewVoucher
) -> None:
    charge(shop.now)
    code = alice.order(shop)
    form = {"name": "Ann", "address": "Street 2", "vat_id": ""}

    named = alice.client.post(f"/orders/{code}/buyer/", form)
    page = alice.client.get(f"/orders/{code}/").content.decode()
    alice.pay(code, new_voucher())
    late = alice.client.post(f"/orders/{code}/buyer/", form | {"name": "Bob"})

    assert (named.status_code, late.status_code) == (302, 422)
    assert "The invoice is made out to Ann" in page
    assert Buyer.objects.get().name == "Ann"
    assert Document.objects.get().content["buyer"]["name"] == "Ann"


def test_vat_number_of_another_place_is_refused_with_what_to_do(
    shop: Shop, alice: Customer
) -> None:
    set_up(shop.now)
    confirm(shop.now)
    code = alice.order(shop)

    answer = alice.client.post(
        f"/orders/{code}/buyer/", {"name": "A", "address": "B", "vat_id": "DE136695976"}
    )

    assert answer.status_code == 422
    assert "This is not a VAT number of the place of the order." in answer.content.decode()
    assert not Buyer.objects.exists()


def test_shop_without_tax_set_up_promises_no_invoice(
    shop: Shop, alice: Customer, new_voucher: NewVoucher
) -> None:
    code = alice.order(shop)
    before = alice.client.get(f"/orders/{code}/").content.decode()
    alice.pay(code, new_voucher())

    after = alice.client.get(f"/orders/{code}/").content.decode()

    assert "invoice" not in before.lower()
    assert "/documents/" not in after
