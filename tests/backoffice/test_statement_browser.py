"""A statement from the bank's file to a settled order, in Chromium with scripts off."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from people import PASSWORD, code
from playwright.sync_api import expect
from real_browser import chromium, page, serving

from ferriage.accounts import actions as accounts
from ferriage.core import clock
from ferriage.core.actors import CUSTOMER
from ferriage.orders import actions as orders
from ferriage.payments import actions as payments
from statement_files import FEE, IBAN, RENT, Entry, camt
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from playwright.sync_api import Page

    from ferriage.config import Config
    from ferriage.orders.models import Order
    from shop import Shop

__all__ = ["chromium", "page"]

pytestmark = pytest.mark.browser


@pytest.fixture
def shop_of_its_own(
    own_database: Config, make_shop: Callable[[datetime], Shop], now: datetime
) -> Shop:
    del own_database
    return make_shop(now)


def _ordered(shop: Shop) -> tuple[Order, str]:
    order = orders.place(
        account=shop.account(),
        price=shop.prices[1],
        place="XD",
        now=shop.now,
        expires_at=shop.now + timedelta(hours=72),
        actor=CUSTOMER,
    )
    reference = payments.start_bank(order=order, now=shop.now, actor=CUSTOMER).reference
    assert reference is not None
    return order, reference


def _come_in(page: Page, site: str) -> None:
    token = accounts.create_staff_link(purpose="invite", role="owner", now=clock.now(), actor=OWNER)
    page.goto(site + reverse("staff-link", args=[token]))
    page.get_by_label("Your name for logging in").fill("nina")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The password again").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("code").fill(code(page.locator("code.copyable").inner_text()))
    page.get_by_role("button", name="Turn on").click()


def _no_wider_than_the_screen(page: Page) -> bool:
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width <= (page.viewport_size or {"width": 0})["width"]


def test_statement_goes_from_upload_to_settled_order(
    shop_of_its_own: Shop, page: Page, tmp_path: Path
) -> None:
    order, reference = _ordered(shop_of_its_own)
    paid = Entry(
        minor=1000,
        text=f"Ferry, ref. {reference.lower()}, thank you",
        reference="R-1",
        payer_iban="X",
    )
    statement = tmp_path / "statement.xml"
    statement.write_bytes(camt([paid, FEE, RENT], version="08", currency="CNY", opening=90000))
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    fits = []
    with serving() as site:
        _come_in(page, site)
        page.goto(site + reverse("staff-statements"))
        page.get_by_role("link", name="New bank account").click()
        page.get_by_label("Name").fill("Everyday")
        page.get_by_label("IBAN or account number").fill(IBAN)
        page.get_by_label("Currency").fill("CNY")
        page.get_by_role("button", name="Add").click()
        page.get_by_role("link", name="Upload a statement").click()
        page.get_by_label("Bank statement", exact=True).set_input_files(statement)
        page.get_by_role("button", name="Look at it").click()
        expect(page.get_by_text("pays its order")).to_be_visible()
        fits.append(_no_wider_than_the_screen(page))
        page.get_by_role("button", name="Post these lines").click()
        expect(page.get_by_text("The statement is posted:")).to_be_visible()
        page.goto(site + reverse("staff-statements"))
        fits.append(_no_wider_than_the_screen(page))
        page.get_by_role("link", name="Say what it was").click()
        page.get_by_label("Or it was").select_option("another expense")
        page.get_by_label("What for").fill("Rack, March")
        page.get_by_role("button", name="Book").click()
        expect(page.get_by_text("The line is booked.")).to_be_visible()

    order.refresh_from_db()
    assert order.state == "fulfilled"
    assert fits == [True, True]
    assert complaints == []
