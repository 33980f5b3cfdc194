"""A customer without scripts buys with a card: plan page, sandbox's payment page, paid order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from real_browser import chromium, serving

from ferriage.core import clock
from ferriage.orders.models import Order
from ferriage.payments import accounts
from ferriage.payments.models import Payment
from running_sandbox import RunningSandbox, running_sandbox
from till import books
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from playwright.sync_api import Browser, Page
    from pytest_django.fixtures import SettingsWrapper

    from ferriage.config import Config
    from shop import Shop

__all__ = ["chromium"]

pytestmark = pytest.mark.browser


@pytest.fixture
def served(
    own_database: Config, make_shop: Callable[[datetime], Shop], settings: SettingsWrapper
) -> Iterator[tuple[str, RunningSandbox]]:
    """Serve a shop whose Stripe is the sandbox; its rows are committed."""
    del own_database
    make_shop(clock.now()).approve_for_years()
    with serving() as url, running_sandbox(url) as sandbox:
        site = replace(settings.FERRIAGE.site, url=url)
        settings.FERRIAGE = replace(settings.FERRIAGE, site=site)
        accounts.add_provider(
            slug="stripe",
            label="Card",
            mode="test",
            secrets={
                "key": sandbox.settings["secret key"],
                "webhook_secret": sandbox.settings["webhook signing secret"],
                "wallets": "alipay wechat_pay",
                "address": sandbox.settings["address"],
            },
            now=clock.now(),
            actor=OWNER,
        )
        yield url, sandbox


def _to_the_payment_page(page: Page, shop: str, sandbox: RunningSandbox) -> None:
    page.goto(shop)
    page.get_by_role("button", name="Buy 1 month", exact=True).click()
    page.get_by_label("Where are you?").select_option("XD")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_role("button", name="Pay: Card").click()
    expect(page.get_by_text("This is a test: no real money is moved.")).to_be_visible()
    page.get_by_role("link", name="Go on").click()
    page.wait_for_url(f"{sandbox.url}/page/stripe/*")


@pytest.mark.parametrize("width", [360, 1280])
def test_customer_pays_by_card_and_comes_back_to_a_paid_order(
    chromium: Browser, served: tuple[str, RunningSandbox], width: int
) -> None:
    shop, sandbox = served
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": width, "height": 800}
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))

    _to_the_payment_page(page, shop, sandbox)
    expect(page.get_by_text("No real money moves here.")).to_be_visible()
    expect(page.get_by_text("10.00 CNY")).to_be_visible()
    page.get_by_label("issued in").fill("XD")
    page.get_by_role("button", name="Try to pay and be declined").click()
    expect(page.get_by_role("alert")).to_have_text("Your card was declined. Try another one.")
    page.get_by_label("issued in").fill("XD")
    page.get_by_role("button", name="Pay", exact=True).click()
    page.wait_for_url(f"{shop}/orders/*/**")
    expect(page.get_by_role("link", name="To my devices")).to_be_visible(timeout=20_000)
    context.close()

    assert Order.objects.get().state == "fulfilled"
    assert Payment.objects.get().outcome == "settled"
    assert books() == {"assets:stripe:test": 1000, "liabilities:unearned": 1000}
    assert [text for text in complaints if "402 (Payment Required)" not in text] == []


def test_customer_who_leaves_the_page_pays_another_time(
    chromium: Browser, served: tuple[str, RunningSandbox]
) -> None:
    shop, sandbox = served
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()

    _to_the_payment_page(page, shop, sandbox)
    page.get_by_role("button", name="Leave without paying").click()

    page.wait_for_url(f"{shop}/orders/*/")
    expect(page.get_by_text("A payment was begun.")).to_be_visible()
    expect(page.get_by_role("button", name="Pay: Card")).to_be_visible()
    context.close()
    assert Order.objects.get().state == "open"
