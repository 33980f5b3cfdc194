"""What staff note of where a customer is, and the country of a payer's bank."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from ferriage.core.actors import CUSTOMER
from ferriage.orders import actions as orders
from ferriage.orders.models import PlaceEvidence
from ferriage.payments import actions as payments
from ferriage.payments.models import InboxEvent

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client
    from pytest_django.fixtures import SettingsWrapper

    from ferriage.orders.models import Order
    from shop import Shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(shop: Shop, now: datetime) -> Order:
    return orders.place(
        account=shop.account(),
        price=shop.prices[1],
        place="XD",
        now=now,
        expires_at=now + timedelta(hours=72),
        actor=CUSTOMER,
    )


def book(olga: Client, order: Order, now: datetime, country: str) -> str:
    payment = payments.start_bank(order=order, now=now, actor=CUSTOMER)
    typed = {
        "reference": payment.reference,
        "amount": "10",
        "currency": "CNY",
        "transaction_id": "B-1",
        "payer_place": country,
    }
    return olga.post(reverse("staff-bank-book"), typed, follow=True).content.decode()


def test_receipt_from_another_country_is_refunded_unless_two_kinds_were_shown(
    olga: Client, order: Order, now: datetime
) -> None:
    shown = reverse("staff-order-shown", args=[order.code])
    statuses = [
        olga.post(shown, {"kind": kind}).status_code
        for kind in ("residence_paper", "telephone", "self_declared", "")
    ]

    book(olga, order, now, "cn")

    order.refresh_from_db()
    assert statuses == [302, 302, 422, 422]
    assert order.state == "fulfilled"
    listed = olga.get(reverse("staff-order", args=[order.code])).content.decode()
    assert "a paper of residence that staff saw" in listed
    assert "the country that the payment came from" in listed


def test_receipt_from_another_country_says_why_it_goes_back(
    olga: Client, order: Order, now: datetime
) -> None:
    page = book(olga, order, now, "CN")

    order.refresh_from_db()
    assert order.state == "open"
    assert "the payment came from a place where this may not be sold" in page


def test_country_that_is_none_books_nothing(olga: Client, order: Order, now: datetime) -> None:
    page = book(olga, order, now, "C1")

    assert "is not the code of a country" in page
    assert InboxEvent.objects.count() == 0
    assert [row.kind for row in PlaceEvidence.objects.all()] == ["self_declared"]


@pytest.mark.usefixtures("shop")
def test_form_begins_with_the_country_of_the_settings(
    olga: Client, settings: SettingsWrapper
) -> None:
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(config, shop=replace(config.shop, bank_country="SE"))

    page = olga.get(reverse("staff-bank-book")).content.decode()

    assert 'name="payer_place" value="SE"' in page
