"""The back office in Debian's Chromium with scripts off, under the site's own strict policy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from people import PASSWORD, code
from playwright.sync_api import expect
from real_browser import chromium, page, serving

from ferriage.accounts import actions as accounts
from ferriage.approvals import actions as approvals
from ferriage.approvals.models import Approval
from ferriage.approvals.site import evidence_dir, packs_in_force
from ferriage.core import clock
from yard import ISSUED, OWNER, PAPER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from playwright.sync_api import Page

    from ferriage.config import Config
    from shop import Shop

__all__ = ["chromium", "page"]

pytestmark = pytest.mark.browser


@pytest.fixture
def shop_of_its_own(
    own_database: Config, make_shop: Callable[[datetime], Shop], now: datetime
) -> Shop:
    del own_database
    return make_shop(now)


def _choose_password(page: Page, site: str) -> None:
    token = accounts.create_staff_link(purpose="invite", role="owner", now=clock.now(), actor=OWNER)
    page.goto(site + reverse("staff-link", args=[token]))
    page.get_by_label("Your name for logging in").fill("nina")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The password again").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()


def _come_in(page: Page, site: str) -> None:
    _choose_password(page, site)
    page.get_by_label("code").fill(code(page.locator("code.copyable").inner_text()))
    page.get_by_role("button", name="Turn on").click()
    page.get_by_role("link", name="To the start page").click()


def test_newcomer_gets_in_and_saves_vouchers_without_scripts(
    shop_of_its_own: Shop, page: Page, tmp_path: Path
) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    with serving() as site:
        _come_in(page, site)
        expect(page.get_by_role("heading", name="How far the shop is")).to_be_visible()
        page.goto(site + reverse("staff-voucher-new"))
        page.get_by_label("Name of the batch").fill("Kiosk")
        plan = shop_of_its_own.plan
        page.get_by_label("Plan").select_option(label=f"{plan.service.name} · {plan.name}")
        page.get_by_label("How many codes").fill("3")
        page.get_by_label("Worth of each code").fill("10")
        page.get_by_label("free: given away").check()
        page.get_by_role("button", name="Issue").click()
        shown = page.locator("ul.staff-codes li").all_inner_texts()
        with page.expect_download() as waiting:
            page.get_by_role("link", name="Save as CSV").click()
        waiting.value.save_as(tmp_path / "codes.csv")

    assert (tmp_path / "codes.csv").read_text().split() == ["code", *shown]
    assert all(re.fullmatch(r"(\w{4}-){3}\w{4}", text) for text in shown)
    assert len(shown) == 3
    assert complaints == []


def test_picture_of_the_secret_is_shown_under_the_policy(shop_of_its_own: Shop, page: Page) -> None:
    del shop_of_its_own
    with serving() as site:
        _choose_password(page, site)
        box = page.locator("img.staff-qr").bounding_box()
        source = page.locator("img.staff-qr").get_attribute("src") or ""
        width = page.evaluate("document.querySelector('img.staff-qr').naturalWidth")

    assert source.startswith("data:image/svg+xml;base64,")
    assert width > 100, "the picture was decoded, not blocked"
    assert box is not None
    assert abs(box["width"] - box["height"]) < 1


def test_pages_fit_a_telephone(shop_of_its_own: Shop, page: Page) -> None:
    wide = {
        "staff-line": [shop_of_its_own.line.code],
        "staff-plan": [shop_of_its_own.plan.code],
        "staff-approval": [Approval.objects.get().code],
    }
    plain = (
        "staff-start",
        "staff-bank",
        "staff-ledger",
        "staff-lines",
        "staff-audit",
        "staff-clock",
    )
    addresses = [reverse(name, args=wide.get(name)) for name in (*plain, *wide)]
    widths = {}
    with serving() as site:
        _come_in(page, site)
        for address in addresses:
            page.goto(site + address)
            widths[address] = page.evaluate("document.documentElement.scrollWidth")

    assert {address: width for address, width in widths.items() if width > 360} == {}


def test_outsider_verifies_on_a_telephone_without_scripts_and_cookies(
    shop_of_its_own: Shop, page: Page
) -> None:
    yard = shop_of_its_own.yard
    former = Approval.objects.get()
    version = approvals.correct(
        approval=former,
        says=approvals.Record(
            kind=former.kind, holder=former.holder, line_codes=[shop_of_its_own.line.code]
        ),
        reason="The end date was read wrongly.",
        packs=packs_in_force(),
        now=yard.now,
        actor=OWNER,
    )
    approvals.grant(
        approval=version,
        issued=ISSUED,
        file=PAPER,
        store_dir=evidence_dir(),
        now=yard.now,
        actor=OWNER,
    )
    token = approvals.create_outside_link(subject=version, now=yard.now, actor=OWNER)
    with serving() as site:
        page.goto(site + reverse("outside-link", args=[token]))
        width = page.evaluate("document.documentElement.scrollWidth")
        with page.expect_download() as waiting:
            page.get_by_role("link", name="Licence").click()
        saved = waiting.value.path().read_bytes()
        page.get_by_label("Your name").fill("Karin Öberg")
        page.get_by_label("What you are to the operator").fill("Bookkeeper")
        page.get_by_label("What you looked at").fill("The licence as a file.")
        page.get_by_label("I confirm").check()
        page.get_by_role("button", name="Send my answer").click()
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
        cookies = page.context.cookies()

    version.refresh_from_db()
    assert (saved, width <= 360, cookies) == (PAPER.data, True, [])
    assert version.verified_by == "outside:Karin Öberg"
