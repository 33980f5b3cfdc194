"""From the landing page to the first packet, in Chromium with JavaScript off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from world import WORLD4, WORLD6

from support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Response
    from world import Newcomer, OpenShop

pytestmark = [pytest.mark.tunnel, pytest.mark.browser]


def test_newcomer_gets_from_landing_to_first_packet_in_six_pages(
    demo: OpenShop, chromium: Browser, newcomer: Callable[[], Newcomer]
) -> None:
    voucher = demo.vouchers(1)[0]
    context = chromium.new_context(java_script_enabled=False, accept_downloads=True)
    page = context.new_page()
    answers: list[str] = []

    def count(response: Response) -> None:
        if response.request.resource_type == "document" and response.status == 200:
            answers.append(response.url)

    page.on("response", count)
    page.goto(demo.url)
    page.get_by_role("button", name="1 month").first.click()
    number = page.locator("#number").inner_text()
    page.get_by_label("Where are you?").select_option("XD")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_label("Voucher code").fill(voucher)
    page.get_by_role("button", name="Pay with this voucher").click()
    page.get_by_role("button", name="Add").first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").first.click()
    conf = download.value.path().read_text(encoding="utf-8")

    laptop = newcomer()
    laptop.connect(conf)
    eventually(lambda: laptop.laptop.ping(WORLD4), within=15)

    assert len(answers) <= 6
    assert len(number.replace("-", "").strip()) == 16
    assert laptop.laptop.ping(WORLD6, count=3) == 3
    assert laptop.laptop.fetch(WORLD4)[0] == 200
    context.close()
