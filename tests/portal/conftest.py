"""A shop with customers at its counter; the clock stands at the suite's `now` and ticks on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.test import Client
from voucher_sale import issue_voucher

from ferriage.accounts import actions as accounts
from ferriage.core.actors import CUSTOMER
from ferriage.web.portal.customer import COOKIE
from own_database import own_database, template_database
from shop import make_shop, shop
from till import till
from yard import law, make_yard

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpResponse

    from ferriage.accounts.models import Account
    from shop import Shop

__all__ = ["law", "make_shop", "make_yard", "own_database", "shop", "template_database", "till"]

type NewCustomer = Callable[[], Customer]
type NewVoucher = Callable[..., str]


@pytest.fixture(autouse=True)
def clock_of_the_shop(now: datetime) -> Iterator[None]:
    """Approvals in the yard have dates: pages, which read the clock, must be inside them."""
    with time_machine.travel(now, tick=True):
        yield


@dataclass(frozen=True)
class Customer:
    """Somebody with an account and a browser that is logged in."""

    account: Account
    number: str
    client: Client

    def order(self, shop: Shop, months: int = 1) -> str:
        """Order a term by the page's form and return the order's code."""
        form = {"price": shop.prices[months].code, "place": "XD", "consent": "yes"}
        answer = self.client.post("/orders/", form)
        assert answer.status_code == 302, answer.content.decode()
        return answer["Location"].strip("/").split("/")[-1]

    def pay(self, order: str, voucher: str) -> HttpResponse:
        """Type a voucher on the order's page."""
        return self.client.post(f"/orders/{order}/voucher/", {"code": voucher})

    def add_device(self, subscription: str, **form: str) -> HttpResponse:
        """Press the button that adds a device."""
        return self.client.post(f"/account/{subscription}/devices/", form)


@pytest.fixture
def new_customer(db: None, now: datetime) -> NewCustomer:  # noqa: ARG001 -- asks for the database
    """Open an account and log its browser in."""

    def make() -> Customer:
        opened = accounts.open_account(now=now, actor=CUSTOMER)
        client = Client()
        client.cookies[COOKIE] = accounts.start_session(account=opened.account, now=now)
        return Customer(opened.account, opened.number, client)

    return make


@pytest.fixture
def alice(new_customer: NewCustomer) -> Customer:
    return new_customer()


@pytest.fixture
def charlie(new_customer: NewCustomer) -> Customer:
    """Somebody else, who must not see or touch what is Alice's."""
    return new_customer()


@pytest.fixture
def new_voucher(shop: Shop) -> NewVoucher:
    """Issue one voucher for a term of the shop's plan."""
    return lambda months=1: issue_voucher(shop, months)
