"""The page of a new gateway in Debian's Chromium, scripts off: it looks again by itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from people import logged_in, make_staff
from playwright.sync_api import expect
from real_browser import chromium, page, serving

from ferriage import wire
from ferriage.core import clock
from ferriage.fleet import actions
from ferriage.fleet.models import Gateway, PoolGateway
from yard import report_of, status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from playwright.sync_api import Page

    from ferriage.config import Config
    from yard import Yard

__all__ = ["chromium", "page"]

pytestmark = pytest.mark.browser
PICTURES = os.environ.get("FERRIAGE_TEST_PICTURES", "")
"""A directory for pictures, for somebody who wants to look."""

SEEN = (
    wire.Check(
        slug="wireguard", state="ok", value="wireguard-go v0.0.20220316", remedy="slow-build"
    ),
    wire.Check(slug="outside", state="unknown", value="192.168.1.4", remedy="nat"),
    wire.Check(slug="handshake", state="unknown", remedy="no-handshake"),
    wire.Check(slug="ipv4", state="ok", value="ens3"),
    wire.Check(slug="ipv6", state="ok", value="none", remedy="no-ipv6"),
    wire.Check(
        slug="forwarding",
        state="failed",
        value="ip filter FORWARD (set by docker)",
        remedy="foreign-forward",
    ),
    wire.Check(slug="resolver", state="ok", value="10.64.0.1"),
    wire.Check(slug="clock", state="failed", value="-7200", remedy="clock-off"),
)


def _take_pictures(page: Page, name: str) -> None:
    for width in (360, 1280) if PICTURES else ():
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=Path(PICTURES) / f"{name}-{width}.png", full_page=True)
    page.set_viewport_size({"width": 360, "height": 740})


def test_page_ticks_without_scripts(
    own_database: Config, make_yard: Callable[[datetime], Yard], page: Page
) -> None:
    del own_database
    now = clock.now()
    yard = make_yard(now)
    gateway = yard.gateway(yard.open_line())
    Gateway.objects.update(enrolled_at=now)
    cookies = logged_in(make_staff("olga", "owner")).cookies.values()
    with serving() as site:
        for one in cookies:
            page.context.add_cookies([{"name": one.key, "value": one.value, "url": site}])
        page.goto(site + reverse("staff-gateway", args=[gateway.row.code]))
        clock_row = page.locator("li[data-step=clock]")
        expect(clock_row).to_have_attribute("data-state", "waiting")
        _take_pictures(page, "newcomer-waiting")
        pool = PoolGateway.objects.select_related("pool").get().pool.code
        actions.take_report(
            gateway=gateway.row,
            report=report_of(status(pool), checks=SEEN),
            outward="203.0.113.5",
            now=clock.now(),
        )
        expect(clock_row).to_have_attribute("data-state", "failed", timeout=15_000)
        _take_pictures(page, "newcomer-seen")
        width = page.evaluate("document.documentElement.scrollWidth")

    assert width <= 360
