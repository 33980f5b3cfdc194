"""Kill -9 of any process: paid orders are neither lost nor doubled, live tunnels keep passing."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from world import WORLD4, device_file, order

from ferriage.cli.demo.browser import Browser
from ferriage.cli.demo.telling import StepFailed
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import Newcomer, OpenShop

    from ferriage.cli.demo.browser import Page

pytestmark = pytest.mark.tunnel


def _pay(browser: Browser, placed: Page, voucher: str) -> None:
    """Pay as often as it takes, like a customer who reloads a page that does not answer."""

    def paid() -> bool:
        browser.submit(placed, "/voucher/", code=voucher)
        return "To my devices" in browser.get(placed.url).text

    eventually(paid, within=40, every=0.5)


@pytest.fixture
def live(demo: OpenShop, newcomer: Callable[[], Newcomer]) -> Newcomer:
    """A customer who is connected."""
    browser = Browser(demo.url)
    _pay(browser, order(browser), demo.vouchers(1)[0])
    one = newcomer()
    one.connect(device_file(browser))
    eventually(lambda: one.laptop.ping(WORLD4), within=15)
    return one


@pytest.mark.parametrize("part", ["site", "hub", "worker"])
def test_killed_process_loses_no_order_and_no_packet(
    demo: OpenShop, live: Newcomer, part: str
) -> None:
    vouchers = demo.vouchers(3)
    before = demo.office("books")

    def sell_while_it_dies() -> None:
        for number, voucher in enumerate(vouchers):
            browser = Browser(demo.url)
            open_order = order(browser)
            victim = demo.part(part)
            delay = 0.03 * number
            killer = threading.Timer(delay, os.kill, (victim, signal.SIGKILL))
            killer.start()
            with contextlib.suppress(StepFailed, OSError):
                browser.submit(open_order, "/voucher/", code=voucher)
            killer.join()
            eventually(lambda gone=victim: demo.part(part) != gone, within=30)
            _pay(browser, open_order, voucher)

    sent, received = live.pinging(sell_while_it_dies)

    after = demo.office("books")
    assert after["findings"] == []
    assert after["fulfilled"] - before["fulfilled"] == len(vouchers)
    assert after["settled"] - before["settled"] == len(vouchers)
    assert after["used"] - before["used"] == len(vouchers)
    assert sent - received <= 1  # the last one may still be on its way


def test_killed_agent_loses_no_packet_and_its_successor_serves_new_devices(
    demo: OpenShop, live: Newcomer, newcomer: Callable[[], Newcomer]
) -> None:
    browser = Browser(demo.url)
    _pay(browser, order(browser), demo.vouchers(1)[0])
    other = newcomer()

    def replace_the_agent() -> None:
        os.kill(demo.agent(), signal.SIGKILL)
        conf = device_file(browser)
        other.connect(conf)
        assert other.laptop.ping(WORLD4, wait=0.5) == 0
        demo.start_agent()
        eventually(lambda: other.laptop.ping(WORLD4), within=30)

    sent, received = live.pinging(replace_the_agent)

    assert sent - received <= 1
