"""A term that is over, and one whose payment was taken back: what staff read and may press."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from dearer import held_by
from ferriage.orders.actions import refunds
from ferriage.orders.refunds import Rules
from ferriage.payments import disputes, recalls
from ferriage.payments.models import Payment
from ferriage.plans.actions import NothingToEnd
from till import Till
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client

    from ferriage.orders.models import Order
    from shop import Shop

pytestmark = pytest.mark.django_db
WAYS = ("staff-subscription-refund", "staff-subscription-end")


@pytest.fixture
def till(shop: Shop, now: datetime) -> Till:
    shop.approve_for_years()
    return Till(shop, now)


@pytest.fixture
def lost(till: Till) -> Order:
    """A month whose payer took all of it back, for good."""
    order = till.sell()
    dispute = recalls.take_back(
        payment=Payment.objects.get(order=order),
        money=order.due,
        reference="REC-1",
        from_account="assets:bank",
        now=till.now,
        actor=OWNER,
    )
    disputes.lose(dispute=dispute, now=till.now, actor=OWNER)
    order.refresh_from_db()
    return order


def page_of(client: Client, name: str, *args: str) -> str:
    return client.get(reverse(name, args=args)).content.decode()


def test_tables_say_that_the_payment_was_taken_back(olga: Client, till: Till, lost: Order) -> None:
    other = till.sell()
    subscriptions = [held_by(order).code for order in (lost, other)]

    said = [
        "payment taken back" in page
        for page in (
            *(page_of(olga, "staff-subscription", code) for code in subscriptions),
            *(page_of(olga, "staff-order", order.code) for order in (lost, other)),
        )
    ]

    assert said == [True, False, True, False]
    assert page_of(olga, "staff-orders").count("payment taken back") == 1


def test_term_that_is_over_is_neither_refunded_nor_ended(
    olga: Client, till: Till, lost: Order
) -> None:
    over, running = held_by(lost).code, held_by(till.sell()).code
    answers = [
        ask(reverse(way, args=[over]), {"reason": "Asked", "at": "2030-01-01T00:00:00"})
        for way in WAYS
        for ask in (olga.get, olga.post)
    ]

    for code, offered in ((over, False), (running, True)):
        page = page_of(olga, "staff-subscription", code)
        assert [reverse(way, args=[code]) in page for way in WAYS] == [offered, offered]
    assert [answer.status_code for answer in answers] == [409] * 4
    assert all("is over already" in answer.content.decode() for answer in answers)
    with pytest.raises(NothingToEnd):
        refunds.refund_on_request(
            subscription=held_by(lost),
            at=till.now,
            quoted=[],
            rules=Rules(),
            now=till.now,
            actor=OWNER,
        )


def test_nothing_is_there_to_press_where_nothing_would_be_refunded(
    olga: Client, till: Till
) -> None:
    order = till.order()
    till.redeem(order, till.voucher())
    order.refresh_from_db()

    page = page_of(olga, "staff-subscription-refund", held_by(order).code)

    assert ("nothing would be refunded now" in page, "End it for this" in page) == (True, False)
