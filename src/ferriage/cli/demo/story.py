"""The story that the demo tells: the steps, in order, each with its evidence."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from ferriage.cli import books, init
from ferriage.cli.demo import buying, paying, selling, shop
from ferriage.cli.demo.scene import REPORT_SECONDS, Scene, settings_of, start_shop
from ferriage.cli.demo.telling import StepFailed, Teller, wait_for
from ferriage.cli.words import say
from ferriage.core import codes

if TYPE_CHECKING:
    from ferriage.cli.demo.lab import Lab


def play(lab: Lab, *, port: int, stay: bool) -> None:
    """Tell the story; then, if it is to stay, keep the shop open until Ctrl-C.

    Raises:
        StepFailed: A step did not show what it must.
    """
    teller = Teller()
    with teller.step("A shop is made: settings, keys, database"):
        config = init.make(settings_of(lab, port), lab.directory / "ferriage.toml")
    scene = Scene(lab, port, teller, config, lab.directory / "laptop.conf")
    for title, step in _STEPS:
        with teller.step(title):
            step(scene)
    if stay:
        _keep_open(scene)
    say("\nDone. Everything that ran is taken down again.")
    say(f"The shop's database and keys stay in {lab.directory}; rm -r removes them.")


def _meter(scene: Scene) -> None:
    wait_for(lambda: all(shop.metered()), within=5 * REPORT_SECONDS, what="metered bytes")
    down, up = shop.metered()
    scene.teller.show(f"✓ the gateway reported {down} bytes down, {up} bytes up")


def _balance(scene: Scene) -> None:
    from ferriage.payments.queries import check

    for line in books.balance_lines():
        scene.teller.show(line)
    scene.teller.claim(not list(check()), "the books balance")
    verdict = shop.export_books(scene.lab.directory / "books.beancount")
    if verdict == "not installed":
        scene.teller.show("bean-check would check them too: ./setup test installs it")
    else:
        scene.teller.claim(verdict == "accepted", f"bean-check: {verdict}")


def _keep_open(scene: Scene) -> None:
    from ferriage.cli.people import invitation

    link = invitation(scene.config, "owner").replace(scene.shop_inside, scene.shop_outside)
    say(f"\nThe shop is open at {scene.shop_outside} until Ctrl-C.")
    say(f"  a voucher to try      {codes.grouped(scene.vouchers[1])}")
    say(f"  the customer's number {scene.number}")
    say(f"  to pay by card        any order's “Card (sandbox)” leads to {scene.sandbox}/")
    say(f"  a way into the back office, once: {link}")
    if scene.supervisor is not None:
        with contextlib.suppress(KeyboardInterrupt):
            scene.supervisor.wait()
            raise StepFailed("the shop ended by itself")


_STEPS: Final = (
    ("The shop's processes start", start_shop),
    ("The newspaper's shop is refused, with the notice and its item", selling.refuse_the_story),
    ("A lawful shop opens, in the invented place XD", selling.open_a_lawful_one),
    ("Before: the customer's laptop reaches nothing", buying.see_nothing),
    ("A customer buys one month for 10 yuan by bank transfer", buying.buy),
    ("The laptop connects with the file the shop gave", buying.connect),
    ("The term ends and the device is held", buying.end_term),
    ("The customer renews with a voucher, through the tunnel", buying.renew),
    ("A payment service to try out starts: the sandbox", paying.start_sandbox),
    ("Another customer buys a month and pays by card, on its page", paying.buy_by_card),
    ("What was used is metered", _meter),
    ("The books balance", _balance),
)
