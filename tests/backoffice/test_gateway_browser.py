"""Pages of gateways in Debian's Chromium, as narrow as a telephone: none is wider than it."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from people import logged_in, make_staff
from real_browser import chromium, page, serving

from ferriage.core import clock
from ferriage.devices import setaside
from ferriage.fleet.models import PoolGateway
from ferriage.plans.models import Plan
from metered import QUOTA, Agent

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from playwright.sync_api import Page

    from ferriage.config import Config
    from shop import Shop

__all__ = ["chromium", "page"]

pytestmark = pytest.mark.browser
PICTURES = os.environ.get("FERRIAGE_TEST_PICTURES", "")
"""A directory for pictures, for somebody who wants to look."""
SINCE = [
    {"device": "dev_7K2M9QX4T8W1B5ND", "what": "unnamed", "until": 1_900_000_000},
    {"device": "dev_3H6J1VZ9C4R8P2FA", "what": "renewed", "until": 1_900_000_000},
    {"device": "dev_5G8S2YE6N1K7D3QW", "what": "off", "until": 0},
]


def _width(page: Page, name: str) -> int:
    for wide in (1280, 360):
        page.set_viewport_size({"width": wide, "height": 740})
        if PICTURES:
            page.screenshot(path=Path(PICTURES) / f"{name}-{wide}.png", full_page=True)
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width


def _set_aside(shop: Shop) -> int:
    """Have a gateway tell far more of a device than its speed allows; return the counter's key."""
    device, agent = shop.device(shop.holder()), Agent(shop)
    agent.tell(agent.row(device, 1000), at=shop.now + timedelta(minutes=1))
    agent.tell(agent.row(device, 1 << 50), at=shop.now + timedelta(seconds=61))
    return setaside.waiting().get().pk


def test_pages_of_gateways_fit_a_telephone(
    own_database: Config, make_shop: Callable[[datetime], Shop], page: Page
) -> None:
    del own_database
    shop = make_shop(clock.now())
    Plan.objects.update(quota_bytes=QUOTA)
    row = _set_aside(shop)
    code, pool = shop.gateway.row.code, shop.pool.code
    PoolGateway.objects.update(
        waiting=1, waiting_rev=7, waiting_digest="ab" * 32, since=SINCE, deferred=2
    )
    pages = {
        "gateways": reverse("staff-gateways"),
        "gateway": reverse("staff-gateway", args=[code]),
        "returns": reverse("staff-gateway-returns", args=[code, pool]),
        "asides": reverse("staff-asides"),
        "aside": reverse("staff-aside", args=[row]),
        "unserve": reverse("staff-gateway-unassign", args=[code, shop.line.code]),
        "close": reverse("staff-gateway-close", args=[code]),
        "alarms": reverse("staff-alarms"),
    }
    cookies = logged_in(make_staff("olga", "owner")).cookies.values()
    with serving() as site:
        for one in cookies:
            page.context.add_cookies([{"name": one.key, "value": one.value, "url": site}])
        widths = {}
        for name, address in pages.items():
            page.goto(site + address)
            widths[name] = _width(page, name)
        page.goto(site + reverse("staff-gateway-new"))
        widths["new"] = _width(page, "new")
        page.get_by_label("Name", exact=True).fill("beta")
        page.get_by_label("Where the host stands").fill("XD")
        page.get_by_role("button", name="Add gateway").click()
        assert page.get_by_text("beta serves nothing until it is given a line.").is_visible()
        widths["token"] = _width(page, "token")
        page.goto(site + pages["gateway"])
        page.get_by_role("button", name="New token").click()
        assert page.get_by_text("A host that enrols with the token takes its place").is_visible()
        widths["another token"] = _width(page, "another-token")

    assert {name: width for name, width in widths.items() if width > 360} == {}
