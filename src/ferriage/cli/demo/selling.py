"""The staff's steps: a shop that is refused, and one that opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage.cli.demo import shop
from ferriage.cli.demo.scene import start_gateway

if TYPE_CHECKING:
    from ferriage.cli.demo.scene import Scene

NOTICE: Final = "工信部信管函〔2017〕32号"
ITEM: Final = "二(二)4"


def refuse_the_story(scene: Scene) -> None:
    """Record the newspaper's shop and let the register answer."""
    line = shop.plan_line(
        seller="An engineer in Jiangsu", name="Nanjing – Tokyo", place="CN", leave="JP"
    )
    reasons = shop.try_to_open(line)
    scene.teller.claim(reasons, "the line Nanjing – Tokyo, sold to the public, stays closed:")
    for reason in reasons:
        scene.teller.show(f"  ✗ {reason}")
    named = [reason for reason in reasons if NOTICE in reason and ITEM in reason]
    scene.teller.claim(named, f"the refusal names the notice {NOTICE} and its item {ITEM}")


def open_a_lawful_one(scene: Scene) -> None:
    """Record an approval, have it verified by a second person, open the line, fill the shelves."""
    teller = scene.teller
    line = shop.plan_line(
        seller="Demo Lines Ltd", name="Demoland", place=shop.PLACE, leave=shop.PLACE
    )
    teller.claim(shop.try_to_open(line), "without an approval, a line in Demoland stays closed too")
    approval = shop.enter_approval(line)
    teller.show(f"approval {approval.code}: granted, number {approval.number}, document kept")
    refusal = shop.verify(approval, shop.OLGA)
    teller.claim(refusal, f"olga, who entered it, may not verify it: {refusal}")
    teller.claim(not shop.verify(approval, shop.PAUL), "paul read the document and verified it")
    teller.claim(not shop.try_to_open(line), f"the line {line.code} is in service")
    shop.fill_shelves(line)
    teller.show("on sale: 2 services; 1, 6, 12, 24 months at 10, 50, 90, 120 yuan; 5 devices")
    start_gateway(scene, line)
