"""The shop in Debian's Chromium: the journey with scripts off, its budget, and its looks."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connections
from playwright.sync_api import expect, sync_playwright
from voucher_sale import issue_voucher

from ferriage.devices.models import Device
from ferriage.fleet.models import PoolCurrent, PoolGateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Response

    from ferriage.config import Config
    from shop import Shop

pytestmark = pytest.mark.browser

MOST_PAGES = 6
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass(frozen=True)
class OpenShop:
    """A shop that is served at `url`, and a voucher for a month."""

    url: str
    shop: Shop
    voucher: str


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Playwright runs a loop in this thread, which Django would take for an async view.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def served(
    own_database: Config, make_shop: Callable[[datetime], Shop], now: datetime
) -> Iterator[OpenShop]:
    """Serve a shop on loopback. Its rows are committed: the database is the test's own."""
    del own_database
    shop = make_shop(now)
    with _serving() as url:
        yield OpenShop(url, shop, issue_voucher(shop, 1))


@contextmanager
def _serving() -> Iterator[str]:
    ours = connections["default"]
    server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=_Quiet)

    def run() -> None:
        mine = connections["default"] = ours.copy()
        server.serve_forever(poll_interval=0.02)
        mine.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name there
        """Say nothing."""


class Visit:
    """A page that notes what a browser is answered, and what its console complains of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.pages: list[str] = []
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        page.on("response", self._note)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, response: Response) -> None:
        self.hosts.add(response.url.split("/")[2])
        html = response.headers.get("content-type", "").startswith("text/html")
        if html and response.status == 200:
            self.pages.append(response.url)


def _buy(visit: Visit, site: str, voucher: str) -> None:
    page = visit.page
    page.goto(site)
    page.get_by_role("button", name="Buy 1 month", exact=True).click()
    page.get_by_label("Where are you?").select_option("XD")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_label("Voucher code").fill(voucher)
    page.get_by_role("button", name="Pay with this voucher").click()
    page.get_by_role("button", name="Add a device").click()


@pytest.mark.parametrize("scripts", [False, True], ids=["without scripts", "with scripts"])
def test_journey_ends_with_a_file_within_its_budget(
    chromium: Browser,
    served: OpenShop,
    tmp_path: Path,
    *,
    scripts: bool,
) -> None:
    context = chromium.new_context(java_script_enabled=scripts, accept_downloads=True)
    visit = Visit(context.new_page())

    _buy(visit, served.url, served.voucher)
    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("button", name=re.compile("^Download")).click()
    waiting.value.save_as(tmp_path / "device.conf")
    picture = visit.page.locator("figure img").get_attribute("src") or ""
    (tmp_path / "qr.png").write_bytes(b64decode(picture.removeprefix("data:image/png;base64,")))
    context.close()

    conf = (tmp_path / "device.conf").read_text()
    device = Device.objects.get()
    assert f"Address = {device.ip4}/32, {device.ip6}/128\n" in conf
    assert f"PublicKey = {served.shop.gateway.wireguard_key}\n" in conf
    assert len(visit.pages) <= MOST_PAGES, visit.pages
    assert visit.hosts == {served.url.split("/")[2]}
    assert visit.complaints == []
    assert _read_qr(tmp_path / "qr.png") == conf


def _read_qr(picture: Path) -> str:
    command = ["zbarimg", "--quiet", "--raw", "--oneshot", "-Sbinary", str(picture)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_no_page_scrolls_sideways(
    chromium: Browser,
    served: OpenShop,
    width: int,
    language: str,
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 800}, locale=language)
    page = context.new_page()
    wide = []

    def look() -> None:
        page.wait_for_load_state()
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(page.url)

    page.goto(served.url)
    look()
    page.goto(f"{served.url}/lines/{served.shop.line.code}/")
    look()
    page.goto(served.url)
    page.locator('button[name="price"]').first.click()
    look()
    page.locator("#place").select_option("XD")
    page.get_by_role("checkbox").check()
    page.locator('form[action="/orders/"] button').click()
    page.locator('form[action$="/bank/"] button').click()
    look()
    page.locator("#code").fill(served.voucher)
    page.locator('form[action$="/voucher/"] button').click()
    look()
    page.locator('form[action$="/devices/"] button').first.click()
    look()
    context.close()

    assert wide == []


def test_keyboard_alone_reaches_the_first_choice(chromium: Browser, served: OpenShop) -> None:
    page = chromium.new_page()
    page.goto(served.url)

    page.keyboard.press("Tab")
    first = page.evaluate("document.activeElement.textContent")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == served.shop.prices[1].code:
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/open/")

    assert first == "Skip to the content"
    assert page.locator("#number").count() == 1
    page.close()


def test_ends_of_terms_are_shown_with_the_viewers_offset(
    chromium: Browser, served: OpenShop
) -> None:
    context = chromium.new_context(timezone_id="Asia/Shanghai", locale="en")
    page = context.new_page()

    page.goto(f"{served.url}/lines/{served.shop.line.code}/")
    shown = page.locator("time").first.text_content()
    context.close()

    assert shown == "2027-03-01 00:00 UTC (Mar 1, 2027, 8:00 AM, UTC+08:00)"


def test_device_page_follows_the_gateways_by_itself(chromium: Browser, served: OpenShop) -> None:
    page = chromium.new_page()
    _buy(Visit(page), served.url, served.voucher)
    live = page.get_by_role("status")
    before = live.text_content()

    newest = PoolCurrent.objects.order_by("-rev").first()
    PoolGateway.objects.update(applied_epoch="e1", applied_rev=newest.rev)
    expect(live).to_have_text("live on 1 of 1 gateways", timeout=5000)
    page.close()

    assert before.strip() == "waiting: 0 of 1 gateways have it"
