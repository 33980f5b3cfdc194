"""The customer's steps: buy, connect, be held, renew."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from ferriage.cli import books
from ferriage.cli.demo import lab as machines
from ferriage.cli.demo import shop
from ferriage.cli.demo.browser import Browser
from ferriage.cli.demo.scene import OK, ok_page
from ferriage.cli.demo.telling import wait_for

if TYPE_CHECKING:
    from ferriage.cli.demo.scene import Scene

HOLD_PAGE: Final = 511
_END_SECONDS: Final = 15


def see_nothing(scene: Scene) -> None:
    """Show that without a tunnel there is no way."""
    for target in scene.world:
        seen = scene.laptop.ping(target, wait=0.5)
        scene.teller.claim(seen == 0, f"ping {target} from the customer's laptop: no answer")


def buy(scene: Scene) -> None:
    """Buy through the portal, pay by bank transfer, add a device, take its file."""
    browser, teller = Browser(scene.shop_outside, tell=scene.teller.show), scene.teller
    price = shop.month_price()
    home = ok_page(browser.get("/"))
    teller.show(f"GET / → {home.status}")
    opened = ok_page(browser.submit(home, "/open/", price=price.code))
    scene.number = opened.texts["number"].strip()
    teller.show(f"POST /open/ → {opened.status}, account number {scene.number}")
    order = ok_page(browser.submit(opened, "/orders/", place=shop.PLACE, consent="yes"))
    teller.show(f"POST /orders/ → {order.status} {order.url.removeprefix(scene.shop_outside)}")
    waiting = ok_page(browser.submit(order, "/bank/"))
    scene.reference = waiting.texts["reference"].strip()
    teller.claim(scene.reference, f"to pay: 10 yuan by bank transfer, reference {scene.reference}")
    captured = shop.book_receipt(scene.reference)
    teller.claim(captured.outcome == "settled", f"olga books the receipt: {captured.outcome}")
    order_code = order.url.rstrip("/").rpartition("/")[2]
    for line in books.posting_lines(captured.payment.code) + books.posting_lines(order_code):
        teller.show(f"  {line}")
    _add_device(scene, browser)


def _add_device(scene: Scene, browser: Browser) -> None:
    teller = scene.teller
    account = ok_page(browser.get("/account/"))
    device = ok_page(browser.submit(account, "/devices/", name="laptop"))
    file = ok_page(browser.submit(device, "/file/"))
    scene.file.touch(mode=0o600)
    scene.file.write_bytes(file.body)
    teller.claim(
        b"[Interface]" in file.body and b"[Peer]" in file.body,
        f"device added, file downloaded ({len(file.body)} bytes) after {browser.pages} pages",
    )


def connect(scene: Scene) -> None:
    """Bring the tunnel up and use it."""
    laptop, teller = scene.laptop, scene.teller
    began = time.monotonic()
    laptop.connect(scene.file)
    wait_for(lambda: laptop.ping(scene.world[0]), within=15, what="first ping")
    took = time.monotonic() - began
    teller.claim(laptop.handshake(), f"handshake done, first pong {took:.2f} s after the start")
    _see_the_world(scene)
    found = laptop.resolve(machines.NAME)
    teller.claim(found == scene.world[0], f"the tunnel's DNS: {machines.NAME} is {found}")
    # It ends with an error where something keeps customers from being served.
    said = scene.lab.ferriage("agent", "doctor", config=scene.lab.directory / "gateway.toml")
    teller.claim("✗" not in said, "the gateway's doctor finds nothing that stops customers")
    for line in advised(said):
        teller.show(line)


def advised(said: str) -> list[str]:
    """Return what the doctor advises where nothing is wrong, each with what to do below it.

    The back office tells the same, a slow build of WireGuard as an alarm.
    """
    lines = said.splitlines()
    below = zip(["", *lines], lines, strict=False)
    return [
        line for above, line in below if line[:1] == "!" or (above[:1] == "!" and line[:1] == " ")
    ]


def _see_the_world(scene: Scene) -> None:
    for target in scene.world:
        seen = scene.laptop.ping(target, count=3)
        scene.teller.claim(seen == 3, f"ping {target}: {seen} of 3 came back")  # noqa: PLR2004 -- as sent
        status, body = scene.laptop.fetch(target)
        is_theirs = (status, body) == (OK, machines.BODY)
        scene.teller.claim(is_theirs, f"GET http://{_host(target)}/ → {status}, its own page")


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def end_term(scene: Scene) -> None:
    """End the term early and show what a held device can do."""
    teller, laptop = scene.teller, scene.laptop
    at = shop.end_in(_END_SECONDS)
    teller.show(f"olga ends the subscription early, {_END_SECONDS} s from now, with a reason")
    teller.claim(laptop.ping(scene.world[0]), "until then traffic passes")
    time.sleep(max(0.0, at - time.time()))
    wait_for(lambda: not laptop.ping(scene.world[0], wait=0.3), within=5, what="traffic is held")
    teller.claim(True, f"held {time.time() - at:.1f} s after the end")
    status, body = laptop.fetch(scene.world[0], name=machines.NAME)
    teller.claim(
        status == HOLD_PAGE and b"<html" in body,
        f"GET http://{machines.NAME}/ → {status}, the hold page with the way to renew",
    )
    took = laptop.refusal_seconds(scene.world[0], 443)
    teller.claim(took < 0.5, f"https is refused at once, after {took * 1000:.0f} ms")  # noqa: PLR2004 -- half a second
    found = laptop.resolve(machines.NAME)
    teller.claim(found, f"DNS is answered: {machines.NAME} is {found}")


def renew(scene: Scene) -> None:
    """Renew through the tunnel, from the device that is held."""
    teller, laptop = scene.teller, scene.laptop
    scene.vouchers = shop.issue_vouchers(shop.month_price(), 2)
    browser = Browser(scene.shop_inside, scene.lab.client.entered, tell=scene.teller.show)
    page = ok_page(
        browser.submit(ok_page(browser.get("/log-in/")), "/log-in/", number=scene.number)
    )
    teller.show(f"through the tunnel: POST /log-in/ → {page.status}")
    order = ok_page(browser.submit(page, "/renew/", price=shop.month_price().code))
    teller.show(f"POST …/renew/ → {order.status}; the order waits for a voucher")
    began = time.monotonic()
    paid = ok_page(browser.submit(order, "/voucher/", code=scene.vouchers[0]))
    answered = time.monotonic()
    wait_for(lambda: laptop.ping(scene.world[0], wait=0.2), within=10, what="traffic flows again")
    teller.claim(paid.status, f"POST …/voucher/ → {paid.status} in {answered - began:.2f} s")
    teller.show(f"traffic flows again {time.monotonic() - answered:.2f} s after the answer")
    _see_the_world(scene)
