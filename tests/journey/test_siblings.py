"""A line whose pool is full: the next customer comes through its sibling, and all else is alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from world import WORLD4, WORLD6, device_file, order, pay_by_card

from ferriage.cli.demo.browser import Browser
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from world import Newcomer, OpenShop

    from ferriage.cli.demo.browser import Page

pytestmark = pytest.mark.tunnel

HELD = 511
"""The status of the hold page."""


@pytest.fixture
def narrow(demo: OpenShop) -> Iterator[None]:
    """Let the line's pools have place for one device more."""
    demo.office("narrow")
    yield
    demo.office("wide")


def _port(conf: str) -> int:
    found = re.search(r"^Endpoint = \S+:(\d+)$", conf, re.MULTILINE)
    assert found
    return int(found[1])


@pytest.mark.usefixtures("narrow")
def test_customer_of_the_sibling_pool_is_served_held_and_renewed_as_any_other(
    demo: OpenShop, newcomer: Callable[[], Newcomer]
) -> None:
    before = demo.office("places")
    browsers = [Browser(demo.url), Browser(demo.url)]
    for browser in browsers:
        pay_by_card(browser, order(browser))
    confs = [device_file(browser) for browser in browsers]
    first, second = newcomer(), newcomer()
    for one, conf in zip((first, second), confs, strict=True):
        one.connect(conf)
        eventually(lambda one=one: one.laptop.ping(WORLD4), within=30)

    assert demo.office("places") == [before[0] + 1, 1]
    assert _port(confs[1]) == _port(confs[0]) + 1
    for one in (first, second):
        assert one.laptop.ping(WORLD6, count=3) == 3
        assert one.laptop.fetch(WORLD4)[0] == 200
    handshake = second.handshake()

    def end_and_renew() -> None:
        demo.office("end", second.public_key(), "3")
        eventually(lambda: second.laptop.ping(WORLD4, wait=0.2) == 0, within=15)
        assert second.laptop.fetch(WORLD4)[0] == HELD
        pay_by_card(browsers[1], _renewal(browsers[1]))
        eventually(lambda: second.laptop.ping(WORLD4, wait=0.2), within=10)

    sent, received = first.pinging(end_and_renew)

    assert sent - received <= 1  # the last one may still be on its way
    assert second.laptop.fetch(WORLD4)[0] == 200
    assert second.handshake() == handshake


def _renewal(browser: Browser) -> Page:
    """Order another term with one tap on the account's page."""
    account = browser.get("/account/")
    form = next(form for form in account.forms if form.action.endswith("/renew/"))
    return browser.submit(account, "/renew/", price=form.choices["price"][0])
