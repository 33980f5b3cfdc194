"""A balance that a customer brings along, on the pages: who sees, types and confirms it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.ledger import queries as ledger
from ferriage.orders import balance
from ferriage.payments.models import Proposal
from till import Till

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client
    from pytest_django.fixtures import SettingsWrapper

    from ferriage.orders.models import Order
    from shop import Shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(shop: Shop, now: datetime, settings: SettingsWrapper) -> Order:
    """A month that somebody holds; above 9 units two people are needed."""
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(config, shop=replace(config.shop, receipt_limit=9))
    shop.approve_for_years()
    return Till(shop, now).sell()


def typed(amount: str, **other: str) -> dict[str, str]:
    known = {
        "source": "old shop",
        "number": "4711",
        "currency": "CNY",
        "reason": "As it said there",
    }
    return known | {"amount": amount} | other


def address(order: Order, by: str) -> str:
    if by == "order":
        return reverse("staff-order-opening", args=[order.code])
    assert order.subscription is not None
    return reverse("staff-subscription-opening", args=[order.subscription.code])


def held(order: Order) -> int:
    assert order.account is not None
    return balance.balance(order.account, "CNY")


@pytest.mark.parametrize("by", ["order", "subscription"])
def test_owner_credits_what_a_customer_brings_along(olga: Client, order: Order, by: str) -> None:
    page = olga.get(address(order, by)).content.decode()
    done = olga.post(address(order, by), typed("9.00"), follow=True)
    again = olga.post(address(order, by), typed("9.00"))

    assert "owed here" in page
    assert "customer&#x27;s balance now" in done.content.decode()
    assert (again.status_code, "came over before" in again.content.decode()) == (409, True)
    assert held(order) == 900
    code = balance.moves_of(order.account).get().source_code  # type: ignore[arg-type] -- it has one
    books = olga.get(reverse("staff-ledger-source", args=[code])).content.decode()
    assert f"Balance: opening by {code}" in books
    assert "equity:opening" in books
    assert len(ledger.entries(code)) == 1


@pytest.mark.parametrize("by", ["order", "subscription"])
def test_above_the_limit_another_owner_sees_whose_it_is_and_confirms(
    olga: Client, order: Order, by: str
) -> None:
    vera = logged_in(make_staff("vera", "owner"))
    answer = olga.post(address(order, by), typed("10.00"), follow=True)
    proposal = Proposal.objects.get()
    confirm = reverse("staff-proposal-confirm", args=[proposal.code])
    page = vera.get(reverse("staff-payments")).content.decode()
    waited = held(order)

    vera.post(confirm)

    assert "waits for a second person" in answer.content.decode()
    assert order.subscription is not None
    assert "opening balance of a customer" in page
    assert reverse("staff-subscription", args=[order.subscription.code]) in page
    assert (order.code in page) is (by == "order")
    assert (waited, held(order)) == (0, 1000)


@pytest.mark.parametrize("by", ["order", "subscription"])
def test_owner_takes_back_what_was_typed_by_mistake(olga: Client, order: Order, by: str) -> None:
    olga.post(address(order, by), typed("9.00"))
    code = balance.moves_of(order.account).get().source_code  # type: ignore[arg-type] -- it has one
    back = reverse("staff-opening-back", args=[code])
    whose = address(order, by).removesuffix("opening/")
    before = olga.get(whose).content.decode()

    no_reason = olga.post(back, {"reason": " "})
    kept = held(order)
    done = olga.post(back, {"reason": "It was 90.00"}, follow=True).content.decode()

    assert (f'href="{back}"' in before, f'href="{back}"' in olga.get(whose).content.decode()) == (
        True,
        False,
    )
    assert (no_reason.status_code, kept, held(order)) == (422, 900, 0)
    assert "It is taken back." in done
    assert f"Balance: opening-undone by {code}" in done
    assert olga.get(back).status_code == 404
    assert olga.post(address(order, by), typed("9.00")).status_code == 302


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "x"},
        {"amount": "0"},
        {"source": ""},
        {"number": ""},
        {"reason": " "},
        {"number": "m@x.se"},
    ],
)
def test_form_says_what_is_wrong_and_keeps_what_was_typed(
    olga: Client, order: Order, wrong: dict[str, Any]
) -> None:
    answer = olga.post(address(order, "order"), typed("9.00") | wrong)

    assert (answer.status_code, held(order)) == (422, 0)
