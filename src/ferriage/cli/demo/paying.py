"""A customer who pays by card: on the page of the sandbox, since no money may move in a demo."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Final

from ferriage.cli import books
from ferriage.cli.demo import shop
from ferriage.cli.demo.browser import Browser
from ferriage.cli.demo.scene import OK, ok_page, status_of
from ferriage.cli.demo.telling import StepFailed, wait_for

if TYPE_CHECKING:
    from ferriage.cli.demo.scene import Scene

_WAY_THERE: Final = re.compile(r'href="(http://127\.0\.0\.1:\d+/page/stripe/\w+)"')


def start_sandbox(scene: Scene) -> None:
    """Start the sandbox and give the shop a test account with it."""
    directory = scene.lab.directory
    keys = directory / "sandbox-keys.json"
    words = ("--port", str(scene.sandbox_port), "--shop-url", scene.shop_outside)
    scene.lab.start_here(
        "sandbox",
        *words,
        "--keys",
        str(keys),
        config=scene.config.path,
        log=directory / "sandbox.log",
    )
    url = f"{scene.sandbox}/"
    status = wait_for(functools.partial(status_of, url), within=30, what=f"{url} answers")
    scene.teller.claim(status == OK, f"GET {url} → {status}; it plays Stripe, and no money moves")
    made = json.loads(keys.read_text(encoding="ascii"))
    account = shop.add_sandbox(
        key=made["stripe.key"],
        webhook_secret=made["stripe.webhook"],
        address=f"{scene.sandbox}/stripe",
    )
    scene.teller.show(f"olga enters the account {account.code} in test mode, its secrets sealed")


def buy_by_card(scene: Scene) -> None:
    """Buy as another customer, and pay on the sandbox's page."""
    browser, teller = Browser(scene.shop_outside, tell=scene.teller.show), scene.teller
    opened = ok_page(
        browser.submit(ok_page(browser.get("/")), "/open/", price=shop.month_price().code)
    )
    order = ok_page(browser.submit(opened, "/orders/", place=shop.PLACE, consent="yes"))
    leaving = ok_page(browser.submit(order, "/pay/stripe/"))
    found = _WAY_THERE.search(leaving.text)
    if found is None:
        raise StepFailed(f"{leaving.url} leads to no payment page:\n{leaving.text[:2000]}")
    page = ok_page(browser.get(found[1]))
    teller.show("POST …/pay/stripe/ → a page that leads to the sandbox's payment page")
    back = ok_page(browser.submit(page, "/page/stripe/", act="pay", means="card", place=""))
    teller.show(f"POST …/page/stripe/… → {back.status} {back.url.removeprefix(scene.shop_outside)}")
    code = order.url.rstrip("/").rpartition("/")[2]
    payment = wait_for(
        functools.partial(shop.settled_payment, code), within=20, what="the order is settled"
    )
    teller.claim(payment, f"the sandbox called back, signed; payment {payment}: settled")
    for line in books.posting_lines(payment) + books.posting_lines(code):
        teller.show(f"  {line}")
