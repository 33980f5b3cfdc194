"""Pages about tax, refunds and documents in Debian's Chromium, scripts off, on a telephone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from people import logged_in, make_staff
from real_browser import chromium, page, serving

from ferriage.accounts import actions as accounts
from ferriage.core.actors import CUSTOMER
from ferriage.orders.actions import refunds
from ferriage.orders.models import Document, Order
from ferriage.orders.refunds import Rules
from ferriage.web.portal.customer import COOKIE
from taxed import charge, confirm
from till import Till

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from playwright.sync_api import Page

    from ferriage.config import Config
    from shop import Shop

__all__ = ["chromium", "page"]

pytestmark = pytest.mark.browser
PICTURES = os.environ.get("FERRIAGE_TEST_PICTURES", "")
"""A directory for pictures, for somebody who wants to look."""


@pytest.fixture
def sold(own_database: Config, make_shop: Callable[[datetime], Shop], now: datetime) -> list[Order]:
    """A shop that charges tax: a term that was refunded, one that runs, one that is not paid."""
    del own_database
    shop = make_shop(now)
    shop.approve_for_years()
    till = Till(shop, now)
    till.sell()
    charge(now)
    confirm(now, "FR", 2000)
    ended = till.sell(24)
    assert ended.subscription is not None
    refunds.withdraw(subscription=ended.subscription, rules=Rules(), now=now, actor=CUSTOMER)
    account = shop.account()
    running = till.sell(24, account=account)
    waiting = till.order(1, account=account)
    return [ended, running, waiting]


@pytest.fixture
def site(sold: list[Order], page: Page, now: datetime) -> Iterator[str]:
    """Serve it, with an owner and the customer logged in."""
    account = sold[1].account
    assert account is not None
    token = accounts.start_session(account=account, now=now)
    with serving() as url:
        staff = logged_in(make_staff("olga", "owner")).cookies.values()
        for name, value in [*((one.key, one.value) for one in staff), (COOKIE, token)]:
            page.context.add_cookies([{"name": name, "value": value, "url": url}])
        yield url


@pytest.mark.parametrize("width", [360, 1280])
def test_pages_about_money_back_fit_their_screen(
    sold: list[Order], site: str, page: Page, width: int
) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    ended, running, waiting = sold
    assert running.subscription is not None
    mine, theirs = running.subscription.code, Document.objects.filter(kind="credit").count()
    page.set_viewport_size({"width": width, "height": 900})
    addresses = {
        "staff-tax": "/staff/tax/",
        "staff-tax-setup": "/staff/tax/setup/",
        "staff-tax-rates": "/staff/tax/rates/",
        "staff-tax-report": "/staff/tax/report/?quarter=2026-Q1",
        "staff-documents": "/staff/documents/",
        "staff-order": f"/staff/orders/{ended.code}/",
        "staff-refund": f"/staff/customers/{mine}/refund/",
        "order": f"/orders/{running.code}/",
        "order-open": f"/orders/{waiting.code}/",
        "account": "/account/",
        "refund": f"/account/{mine}/refund/",
        "withdraw": "/withdraw/",
        "withdraw-step": f"/withdraw/{mine}/",
    }
    widths = {}
    for name, address in addresses.items():
        answer = page.goto(site + address)
        assert answer is not None
        assert answer.status == 200
        widths[name] = page.evaluate("document.documentElement.scrollWidth")
        if PICTURES:
            page.screenshot(path=Path(PICTURES) / f"{name}-{width}.png", full_page=True)
    page.get_by_role("button", name="Confirm withdrawal here").click()

    assert page.get_by_role("heading", name="We received your withdrawal").is_visible()
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"withdrawn-{width}.png", full_page=True)
    assert {name: found for name, found in widths.items() if found > width} == {}
    assert Document.objects.filter(kind="credit").count() == theirs + 1
    assert complaints == []
