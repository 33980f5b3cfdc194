"""From the plan's page to a paid order and back again: bitcoin in Chromium, without scripts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from real_browser import chromium, serving

from ferriage.core import clock
from ferriage.orders import actions as orders
from ferriage.orders.models import Order
from ferriage.payments import accounts, refunding, tasks
from ferriage.payments.models import Refund
from running_sandbox import RunningSandbox, running_sandbox
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from playwright.sync_api import Browser
    from pytest_django.fixtures import SettingsWrapper

    from ferriage.config import Config
    from shop import Shop

__all__ = ["chromium"]

pytestmark = pytest.mark.browser


@pytest.fixture
def served(
    own_database: Config,
    make_shop: Callable[[datetime], Shop],
    now: datetime,
    settings: SettingsWrapper,
) -> Iterator[tuple[str, RunningSandbox]]:
    """Serve a shop that takes bitcoin from the sandbox; each knows where the other is."""
    make_shop(now)
    with serving() as url, running_sandbox(url) as sandbox:
        settings.FERRIAGE = replace(own_database, site=replace(own_database.site, url=url))
        told = sandbox.settings
        accounts.add_provider(
            slug="btcpay",
            label="Bitcoin",
            mode="test",
            secrets={
                "server": told["BTCPay server"],
                "store": told["BTCPay store"],
                "api_key": told["BTCPay API key"],
                "webhook_secret": told["BTCPay webhook secret"],
            },
            now=now,
            actor=OWNER,
        )
        yield url, sandbox


def test_bitcoin_pays_an_order_and_is_claimed_back(
    chromium: Browser, served: tuple[str, RunningSandbox]
) -> None:
    url, sandbox = served
    page = chromium.new_context(java_script_enabled=False).new_page()

    page.goto(url)
    page.get_by_role("button", name="Buy 1 month", exact=True).click()
    page.get_by_label("Where are you?").select_option("XD")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_role("button", name="Pay: Bitcoin").click()
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_text("No real money moves here.")).to_be_visible()
    assert page.url.startswith(f"{sandbox.url}/page/btcpay/")
    page.get_by_role("button", name="Pay", exact=True).click()

    assert page.url.startswith(f"{url}/orders/")
    expect(page.get_by_role("link", name="To my devices")).to_be_visible(timeout=15_000)
    order = Order.objects.get()
    assert order.state == "fulfilled"
    assert order.subscription is not None

    later = clock.now()
    orders.end_subscription(
        subscription=order.subscription, at=later, reason="Asked", now=later, actor=OWNER
    )
    tasks.run(later)
    refunding.send_due(now=later, actor=OWNER)
    page.goto(f"{url}/orders/{order.code}/")
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("link", name="Claim it").click()
    page.get_by_role("button", name="Say where it should go").click()

    sandbox.control("POST", "/btcpay/complete", code=page.url.rsplit("/", 1)[1])
    refund = Refund.objects.get()
    refunding.send(refund=refund, now=later, actor=OWNER)
    refund.refresh_from_db()
    assert refund.state == "paid"
    page.goto(f"{url}/orders/{order.code}/")
    expect(page.get_by_text("has been sent back to you.")).to_be_visible()
    assert page.get_by_role("link", name="Claim it").count() == 0
