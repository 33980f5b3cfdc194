"""From a plan's page to the customer's invoice, by every way to pay; without scripts."""

from __future__ import annotations

import io
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pypdf
import pytest
from playwright.sync_api import expect
from real_browser import chromium, serving

from ferriage.core import clock
from ferriage.core.money import Money
from ferriage.orders.models import Document, Order
from ferriage.payments import accounts
from ferriage.payments import actions as payments
from running_sandbox import RunningSandbox, running_sandbox
from taxed import set_up
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

SENTENCE = "Small business: no tax is charged."


@dataclass(frozen=True)
class Served:
    """A shop that is open at `url`, with a sandbox that plays its providers."""

    url: str
    shop: Shop
    sandbox: RunningSandbox


@pytest.fixture
def served(
    own_database: Config, make_shop: Callable[[datetime], Shop], settings: SettingsWrapper
) -> Iterator[Served]:
    """Serve a shop of a small business on the real clock, which the sandbox signs by."""
    shop = make_shop(clock.now())
    shop.approve_for_years()
    set_up(clock.now(), regime="small", tax_id="", exempt_sentence=SENTENCE)
    with ExitStack() as stack:
        url = stack.enter_context(serving())
        config = replace(own_database, site=replace(own_database.site, url=url))
        bank = replace(config.shop, bank_details="Bank of Demoland, account 1080")
        settings.FERRIAGE = replace(config, shop=bank)
        yield Served(url, shop, stack.enter_context(running_sandbox(url)))


def _by_voucher(page: Page, served: Served) -> None:
    worth = Money(1000, "CNY")
    issued = payments.issue_vouchers(
        name="test",
        plan=served.shop.plan,
        term_months=1,
        money=worth,
        count=1,
        kind="sold",
        paid_per_code=worth,
        now=clock.now(),
        actor=OWNER,
    )
    page.get_by_label("Voucher code").fill(issued.codes[0])
    page.get_by_role("button", name="Pay with this voucher").click()


def _by_bank(page: Page, served: Served) -> None:
    del served
    page.get_by_role("button", name="Show where to send it").click()
    payments.book_receipt(
        reference=page.locator("#reference").inner_text(),
        transaction_id="R-1",
        money=Money(1000, "CNY"),
        now=clock.now(),
        actor=OWNER,
    )


def _by_card(page: Page, served: Served) -> None:
    page.get_by_role("button", name="Pay: Card").click()
    page.get_by_role("link", name="Go on").click()
    page.get_by_label("issued in").fill("XD")
    page.get_by_role("button", name="Pay", exact=True).click()
    page.wait_for_url(f"{served.url}/orders/*/**")
    expect(page.get_by_role("link", name="To my devices")).to_be_visible(timeout=20_000)


def _by_bitcoin(page: Page, served: Served) -> None:
    page.get_by_role("button", name="Pay: Bitcoin").click()
    page.get_by_role("link", name="Go on").click()
    page.get_by_role("button", name="Pay", exact=True).click()
    page.wait_for_url(f"{served.url}/orders/*/**")
    expect(page.get_by_role("link", name="To my devices")).to_be_visible(timeout=20_000)


def _add_card(sandbox: RunningSandbox) -> None:
    told = sandbox.settings
    _add(
        "stripe",
        "Card",
        {
            "key": told["secret key"],
            "webhook_secret": told["webhook signing secret"],
            "wallets": "alipay wechat_pay",
            "address": told["address"],
        },
    )


def _add_bitcoin(sandbox: RunningSandbox) -> None:
    told = sandbox.settings
    _add(
        "btcpay",
        "Bitcoin",
        {
            "server": told["BTCPay server"],
            "store": told["BTCPay store"],
            "api_key": told["BTCPay API key"],
            "webhook_secret": told["BTCPay webhook secret"],
        },
    )


def _add(slug: str, label: str, secrets: dict[str, str]) -> None:
    accounts.add_provider(
        slug=slug, label=label, mode="test", secrets=secrets, now=clock.now(), actor=OWNER
    )


@pytest.mark.parametrize(
    ("add", "pay"),
    [
        (None, _by_voucher),
        (None, _by_bank),
        (_add_card, _by_card),
        (_add_bitcoin, _by_bitcoin),
    ],
    ids=["voucher", "bank", "stripe", "btcpay"],
)
def test_customer_gets_from_the_plan_to_the_invoice(
    chromium: Browser,
    served: Served,
    add: Callable[[RunningSandbox], None] | None,
    pay: Callable[[Page, Served], None],
) -> None:
    if add is not None:
        add(served.sandbox)
    page = chromium.new_context(java_script_enabled=False).new_page()

    page.goto(served.url)
    page.get_by_role("button", name="Buy 1 month", exact=True).click()
    page.get_by_label("Where are you?").select_option("XD")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Continue to payment").click()
    pay(page, served)

    order = Order.objects.get()
    page.goto(f"{served.url}/orders/{order.code}/")
    invoice = Document.objects.get(order=order)
    address = page.get_by_role("link", name="PDF").first.get_attribute("href")
    pdf = page.request.get(f"{served.url}{address}")
    text = "".join(one.extract_text() for one in pypdf.PdfReader(io.BytesIO(pdf.body())).pages)
    assert pdf.headers["content-type"] == "application/pdf"
    for said in (invoice.label, order.code, "10.00 CNY", SENTENCE):
        assert said in text
