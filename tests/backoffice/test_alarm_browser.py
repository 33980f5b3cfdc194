"""The fleet and its alarms in Debian's Chromium, scripts off, as narrow as a telephone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from people import logged_in, make_staff
from playwright.sync_api import expect
from real_browser import chromium, page, serving

from ferriage import wire
from ferriage.core import clock
from ferriage.fleet import actions
from ferriage.fleet.feed import FeedPut, append
from ferriage.fleet.models import Alarm, Gateway
from yard import device, report_of, status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from playwright.sync_api import Page

    from ferriage.config import Config
    from yard import Yard

__all__ = ["chromium", "page"]

pytestmark = pytest.mark.browser


@pytest.fixture
def fleet(own_database: Config, make_yard: Callable[[datetime], Yard]) -> Gateway:
    """Three gateways of one line: in step, behind with a refusal, and silent."""
    del own_database
    now = clock.now()
    yard = make_yard(now)
    line = yard.open_line("Stockholm public")
    rows = [yard.gateway(line, name=name) for name in ("alpha", "beta", "gamma")]
    pool = line.pools.get()
    pool.refresh_from_db()
    had = {"rev": pool.revision, "digest": pool.digest}
    append(pool=pool, items=[FeedPut(device(1))], now=now - timedelta(seconds=95))
    pool.refresh_from_db()
    has = {"rev": pool.revision, "digest": pool.digest}
    refused = (wire.Refused(device="dev_1", reason="slot is taken"),)
    late = report_of(status(pool.code, refused=refused, **had), warnings=("watch: no way",))
    actions.take_report(gateway=rows[0].row, report=report_of(status(pool.code, **has)), now=now)
    actions.take_report(gateway=rows[1].row, report=late, now=now)
    behind = {"Stockholm public": 1}
    kinds = {
        Alarm.Kind.GATEWAY_LAGS: {"behind": behind, "differs": []},
        Alarm.Kind.GATEWAY_REFUSES: {"lines": behind},
    }
    for kind, details in kinds.items():
        actions.raise_alarm(kind=kind, subject=rows[1].row.code, now=now, name="beta", **details)
    return rows[1].row


def _log_in(page: Page, site: str) -> None:
    client = logged_in(make_staff("olga", "owner"))
    for cookie in client.cookies.values():
        page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": site}])


def test_alarm_is_read_and_seen_to_on_a_telephone(page: Page, fleet: Gateway) -> None:
    with serving() as site:
        _log_in(page, site)
        for name, args in (
            ("staff-start", []),
            ("staff-gateways", []),
            ("staff-gateway", [fleet.code]),
            ("staff-alarms", []),
        ):
            page.goto(site + reverse(name, args=args))
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 360, f"{name} is {width} px wide"
            expect(page.get_by_text("gateway lags").first).to_be_visible()
        cells = page.goto(site + reverse("staff-gateways"))
        assert cells is not None
        assert page.locator("td").first.bounding_box() is not None
        page.goto(site + reverse("staff-alarms"))
        page.get_by_role("button", name="I see to it").first.click()
        expect(page.get_by_text("olga sees to it.")).to_be_visible()
