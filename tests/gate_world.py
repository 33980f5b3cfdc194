"""A shop in the middle of business, and every way in which what it rests on may be missing.

The shop opens lawfully; a customer holds a term with a device and has an order to pay. Then the
record is spoilt by writing to the tables, past every action: no permit is renewed, no offer
withdrawn. What the entry points of `test_every_entry` do after that is up to them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from django.test import Client
from people import logged_in, make_staff

import lawbook
from ferriage.accounts import actions as accounts
from ferriage.approvals import actions as approvals
from ferriage.approvals.models import Approval, ApprovalLine, Determination, Party
from ferriage.approvals.queries import questions_left
from ferriage.approvals.site import GRACE, packs_in_force
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import Line
from ferriage.fleet.queries import line_facts
from ferriage.orders import actions as orders
from ferriage.orders.models import Order
from ferriage.payments import gifts
from ferriage.web.portal.customer import COOKIE
from shop import Shop, open_shop
from tampering import tampering
from till import THREE_DAYS, Till
from yard import OWNER, Yard, prepare_site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ferriage.accounts.models import Account
    from ferriage.devices.models import Device
    from ferriage.plans.models import Plan, Subscription


@dataclass(frozen=True)
class SwedishYard(Yard):
    """A yard in a place whose law the packs do not know: it rests on its operator's conclusions."""

    def open_line(self, name: str = "SE public") -> Line:
        line = self.plan(name, place="SE")
        conclude(line, self.now)
        return fleet.put_in_service(line=line, now=self.now, actor=OWNER)


def conclude(line: Line, now: datetime) -> None:
    """Record a conclusion on every question that the packs leave open."""
    approvals.record_determination(
        party=line.party,
        asked=approvals.Asked(
            questions=questions_left(line=line_facts(line), at=now),
            customer_class=line.customer_class,  # type: ignore[arg-type]
            use=line.use,  # type: ignore[arg-type]
        ),
        conclusion=approvals.Conclusion(
            words="We read the act and find that it asks for nothing.",
            source_clause="chapter 2, section 1",
            source_read_on=now.date(),
            author_name="Olga Harbour",
            statement=True,
        ),
        packs=packs_in_force(),
        now=now,
        actor=OWNER,
    )


@dataclass(frozen=True)
class World:
    """The shop, its customer's browser, and what they had begun when the record was spoilt."""

    shop: Shop
    till: Till
    place: str
    account: Account
    browser: Client
    staff: Client
    subscription: Subscription
    device: Device
    order: Order
    reference: str
    voucher: str
    coupon: str
    topup_reference: str
    gift: str
    friend: str
    other_plan: Plan

    @property
    def now(self) -> datetime:
        return self.shop.now

    @property
    def line(self) -> Line:
        return Line.objects.get(pk=self.shop.line.pk)


def build(place: str, store: Path, now: datetime) -> World:
    """Open the shop in a place and let business begin."""
    prepare_site()
    party = approvals.create_party(name="Lines Ltd", place=place, now=now, actor=OWNER)
    shop = open_shop((Yard if place == "XD" else SwedishYard)(party, store, now))
    till = Till(shop, now)
    opened = accounts.open_account(now=now, actor=CUSTOMER, place=place)
    browser = Client()
    browser.cookies[COOKIE] = accounts.start_session(account=opened.account, now=now)
    subscription = shop.extend(opened.account)
    order = _order(shop, opened.account, place)
    other = shop.add_plan("Ten devices")
    return World(
        shop=shop,
        till=till,
        place=place,
        account=opened.account,
        browser=browser,
        staff=logged_in(make_staff("olga", "owner")),
        subscription=subscription,
        device=shop.device(subscription),
        order=order,
        reference=till.transfer(order).reference or "",
        voucher=till.voucher(paid=1000),
        coupon=_coupon(now),
        topup_reference=_topups(till, opened.account, place),
        gift=_gift_code(till, place),
        friend=accounts.open_account(now=now, actor=CUSTOMER, place=place).number,
        other_plan=other,
    )


def _coupon(now: datetime) -> str:
    """Make a coupon that leaves nothing to pay."""
    grant = orders.Grant(off_bps=10_000, valid_from=now)
    orders.make_coupon(word="FREE", grant=grant, note="", now=now, actor=OWNER)
    return "FREE"


def _topups(till: Till, account: Account, place: str) -> str:
    """Top the account up; return the reference of a second top-up, of 7, that is not paid yet."""
    paid, waiting = (
        orders.place_topup(
            account=account,
            money=Money(minor, "CNY"),
            place=place,
            now=till.now,
            expires_at=till.now + THREE_DAYS,
            actor=CUSTOMER,
        )
        for minor in (1000, 700)
    )
    till.receive(till.transfer(paid).reference, 1000)
    return till.transfer(waiting).reference or ""


def _gift_code(till: Till, place: str) -> str:
    """Sell a gift code to somebody and return it."""
    order = orders.place(
        account=till.shop.account(place),
        price=till.shop.prices[1],
        place=place,
        kind=Order.Kind.GIFT,
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )
    till.receive(till.transfer(order).reference, 1000)
    return gifts.reveal(order=order, now=till.now, actor=CUSTOMER)


def _order(shop: Shop, account: Account, place: str) -> Order:
    return orders.place(
        account=account,
        price=shop.prices[1],
        place=place,
        now=shop.now,
        expires_at=shop.now + THREE_DAYS,
        actor=CUSTOMER,
    )


# --- what is missing --------------------------------------------------------------------------


@dataclass(frozen=True)
class Situation:
    """How the record stands. `says` must be named by every refusal, or is empty when lawful.

    A line that is `hidden` is not shown to the public at all, so public pages give no reason.
    """

    name: str
    says: str
    spoil: Callable[[World], object] = lambda _world: None
    place: str = "XD"
    hidden: bool = False

    def __str__(self) -> str:
        return self.name


def _approval(**values: object) -> Callable[[World], object]:
    return lambda _world: Approval.objects.update(**values)


def _determination(**values: object) -> Callable[[World], object]:
    return lambda _world: Determination.objects.update(**values)


def _line(**values: object) -> Callable[[World], object]:
    return lambda world: Line.objects.filter(pk=world.shop.line.pk).update(**values)


def _other_holder(world: World) -> None:
    other = approvals.create_party(name="Others", place="XD", now=world.now, actor=OWNER)
    Approval.objects.update(holder=other)


def _nothing_recorded(world: World) -> None:
    ApprovalLine.objects.all().delete()
    _other_holder(world)


def _other_operator(world: World) -> None:
    other = Party.objects.create(name="Others", place="SE")
    _line(party=other)(world)


def _newer_pack_put_off(world: World) -> None:
    lawbook.receive(lawbook.stricter(), at=world.now - GRACE)


DAY = timedelta(days=1)
AT = datetime.fromisoformat("2026-03-01T12:00+00:00")
UNKNOWN = "What the law asks is not known here"

LAWFUL = (Situation("ok by approval", ""), Situation("ok by conclusion", "", place="SE"))
MISSING = (
    Situation("none", "This needs an approval that is not recorded", _nothing_recorded),
    Situation(
        "wrong kind", "This needs an approval that is not", _approval(kind="CN-INTL-LINE-LEASE")
    ),
    Situation("not granted yet", "has been applied for but not granted", _approval(state="lodged")),
    Situation("not yet valid", "is not valid yet", _approval(valid_from=date(2026, 3, 2))),
    Situation(
        "lapsed", "has lapsed", _approval(valid_from=date(2026, 2, 1), valid_to=date(2026, 2, 28))
    ),
    Situation("suspended", "is suspended", _approval(state="suspended")),
    Situation("revoked", "was revoked", _approval(state="revoked")),
    Situation("unverified", "has not been verified", _approval(verified_by="")),
    Situation("verified later", "did not count yet", _approval(verified_at=AT + DAY)),
    Situation("wrong holder", "is held by another party", _other_holder),
    Situation(
        "wrong scope",
        "does not name this line",
        lambda _: ApprovalLine.objects.update(line_code="ln_X"),
    ),
    Situation("wrong class", UNKNOWN, _line(customer_class="enterprise"), hidden=True),
    Situation("wrong use", UNKNOWN, _line(use="internal_office")),
    Situation("crossing", "No approval can be obtained", _line(exit_place="SE")),
    Situation("no conclusion", UNKNOWN, _determination(ended_at=AT), place="SE"),
    Situation(
        "conclusion overdue",
        "is past its review date",
        _determination(made_on=date(2026, 2, 1), review_by=date(2026, 2, 28)),
        place="SE",
    ),
    Situation("somebody else's conclusion", UNKNOWN, _other_operator, place="SE"),
    Situation("newer pack put off", "No approval can be obtained", _newer_pack_put_off),
)


def world_in(situation: Situation, store: Path, now: datetime) -> World:
    """Return a shop in business whose record stands as the situation says."""
    world = build(situation.place, store, now)
    # No page can do this to a record; a bad restore can, and the gate must hold.
    with tampering():
        situation.spoil(world)
    return replace(world, shop=replace(world.shop, line=world.line))
