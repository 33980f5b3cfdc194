"""Pages about lines in Debian's Chromium, scripts off, under the site's own strict policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from people import logged_in, make_staff
from playwright.sync_api import expect
from real_browser import chromium, page, serving

from ferriage.fleet import actions as fleet
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from playwright.sync_api import Page

    from ferriage.config import Config
    from shop import Shop

__all__ = ["chromium", "page"]

pytestmark = pytest.mark.browser


@pytest.fixture
def busy(own_database: Config, make_shop: Callable[[datetime], Shop], now: datetime) -> Shop:
    """A shop with an open line, a held one and one that the law rules out."""
    del own_database
    shop = make_shop(now)
    held = shop.yard.open_line("A held line with quite a long name")
    fleet.hold_line(line=held, reason="Fibre cut " * 15, now=now, actor=OWNER)
    fleet.create_line(
        name="Nanjing to Tokyo",
        party=shop.yard.party,
        enter_place="CN",
        exit_place="JP",
        sell_places=["CN", "SE", "DE", "NL", "FR", "GB", "US"],
        customer_class="public",
        use="resale",
        now=now,
        actor=OWNER,
    )
    return shop


@pytest.fixture
def site(busy: Shop, page: Page) -> Iterator[str]:
    """Serve it, with an owner logged in."""
    del busy
    with serving() as url:
        for cookie in logged_in(make_staff("olga", "owner")).cookies.values():
            page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": url}])
        yield url


def test_pages_about_lines_fit_a_telephone_and_obey_the_policy(
    busy: Shop, site: str, page: Page
) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    line = busy.line.code
    addresses = [
        reverse("staff-lines-diagram"),
        reverse("staff-line-history", args=[line]),
        reverse("staff-line-verdict", args=[line]) + "?customer=XD",
        reverse("staff-reports"),
        reverse("staff-report-register"),
        reverse("staff-report-authority") + "?place=XD",
        reverse("transparency"),
        reverse("line", args=[line]),
    ]
    widths = {}
    for address in addresses:
        page.goto(site + address)
        widths[address] = page.evaluate("document.documentElement.scrollWidth")

    assert {address: width for address, width in widths.items() if width > 360} == {}
    assert complaints == []


def test_diagram_is_drawn_where_there_is_room_and_told_everywhere(site: str, page: Page) -> None:
    page.goto(site + reverse("staff-lines-diagram"))
    expect(page.locator("svg.reg-map")).to_be_hidden()
    expect(page.locator(".reg-words > li")).to_have_count(3)

    page.set_viewport_size({"width": 1280, "height": 800})
    expect(page.get_by_role("img", name="Lines from their operators")).to_be_visible()
    # Each text lies inside its box, whatever the place is called.
    outside = page.evaluate(
        """() => [...document.querySelectorAll('svg.reg-map rect')].filter(box => {
            const inner = box.nextElementSibling.getBBox(), outer = box.getBBox();
            return inner.x < outer.x || inner.x + inner.width > outer.x + outer.width;
        }).length"""
    )
    assert outside == 0
