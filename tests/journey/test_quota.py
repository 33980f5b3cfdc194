"""A quota from the site to the last packet: counted, used up, held, and there again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from world import WORLD4, device_file, order, pay_by_card

from ferriage.cli.demo.browser import Browser
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import Newcomer, OpenShop

pytestmark = pytest.mark.tunnel

SIZE = 1400
"""A ping's bytes each way."""
SMALL = 84
QUOTA = 1_000_000
MONTH_SECONDS = 75


def _pings(one: Newcomer, count: int) -> int:
    return one.pings(count, SIZE)


@pytest.mark.long
def test_real_bytes_use_a_quota_up_and_the_next_month_lets_the_device_on(
    demo: OpenShop, newcomer: Callable[[], Newcomer]
) -> None:
    made: dict[str, str] = demo.office("metered", str(MONTH_SECONDS))
    one = newcomer()
    one.connect(made["conf"])
    eventually(lambda: one.laptop.ping(WORLD4), within=15)

    def used() -> Any:
        return demo.office("used", made["subscription"])

    def first_bytes() -> bool:
        # Small pings found out that the tunnel is up; all of them count too.
        small = int(sum(used()["months"])) - 2 * 300 * SIZE
        return small > 0 and small % SMALL == 0

    assert _pings(one, 300) == 300
    eventually(first_bytes, within=30, every=1)

    passed = _pings(one, 300)
    # Not held before its time: the last one may have gone out without an answer.
    assert 2 * (300 + passed + 1) * SIZE + 100 * SMALL >= QUOTA
    eventually(lambda: _pings(one, 1) == 0, within=20)
    assert b"Your data is used up" in one.laptop.fetch(WORLD4)[1]

    eventually(lambda: _pings(one, 1) == 1, within=MONTH_SECONDS + 15, every=1)
    eventually(lambda: len(used()["months"]) == 2, within=30, every=1)
    first, second = used()["months"]
    assert first >= QUOTA
    assert 0 < second < 100 * SIZE
    assert used()["alarms"] == []


def test_pack_bought_in_the_shop_lets_a_used_up_device_on_with_the_session_it_had(
    demo: OpenShop, newcomer: Callable[[], Newcomer]
) -> None:
    sold: dict[str, str] = demo.office("packed")
    browser = Browser(demo.url)
    pay_by_card(browser, order(browser, sold["price"]))
    one = newcomer()
    one.connect(device_file(browser))
    eventually(lambda: one.laptop.ping(WORLD4), within=15)

    one.pings(1000, SIZE)
    eventually(lambda: _pings(one, 1) == 0, within=20)
    assert b"Your data is used up" in one.laptop.fetch(WORLD4)[1]
    handshake = one.handshake()
    pack = eventually(lambda: _pack(browser, sold["pack"]), within=30, every=0.5)
    placed = browser.submit(browser.get("/account/"), "/place/", place=pack)
    assert _pings(one, 1) == 0, "an order alone gives nothing"
    pay_by_card(browser, placed)

    eventually(lambda: _pings(one, 1) == 1, within=10)
    assert _pings(one, 50) == 50
    assert one.laptop.fetch(WORLD4)[0] == 200
    assert one.handshake() == handshake


def _pack(browser: Browser, price: str) -> str:
    """Return what the account's page sends for a pack, once it says that the data is used up."""
    page = browser.get("/account/")
    if "Buy more, and they go on" not in page.text:
        return ""
    offered = [value for form in page.forms for value in form.choices.get("place", [])]
    return next(value for value in offered if value.endswith(price))
