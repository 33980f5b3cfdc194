"""Every entry point that can lead to an open line or a sale, in every state of the record.

Only what is lawful passes, and each refusal names what is missing. Each entry point is a
function from a world to whether it let something through and what it said.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse

from ferriage.accounts.models import Account
from ferriage.approvals.models import Decision
from ferriage.cli import machines
from ferriage.core.clock import unix
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.devices import tasks as device_tasks
from ferriage.devices.models import Device
from ferriage.devices.queries import placements
from ferriage.fleet import actions as fleet
from ferriage.fleet import tasks as fleet_tasks
from ferriage.fleet.models import Line, Permit, PoolCurrent
from ferriage.orders.models import Order
from ferriage.payments import tasks as payment_tasks
from ferriage.payments.models import InboxEvent, Payment, Refund, Voucher
from ferriage.plans import actions as plans
from ferriage.plans.models import Offer, Period, Price
from gate_world import LAWFUL, MISSING, Situation, World, world_in
from till import assert_sound, books
from yard import OWNER, last_permit

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from django.http import HttpResponse

    type Entry = Callable[[World], tuple[bool, str]]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("law")]


# --- pages of the shop ------------------------------------------------------------------------


def window(world: World) -> tuple[bool, str]:
    said = _text(Client().get("/"))
    return f'value="{world.shop.prices[1].code}"' in said, said


def new_account(world: World) -> tuple[bool, str]:
    before = Account.objects.count()
    answer = Client().post("/open/", {"price": world.shop.prices[1].code})
    return Account.objects.count() > before, _text(answer)


def buy_page(world: World) -> tuple[bool, str]:
    answer = world.browser.get(f"/buy/{world.shop.prices[6].code}/")
    return answer.status_code == 200, _text(answer)


def order(world: World) -> tuple[bool, str]:
    return _order(world, world.shop.prices[6])


def renewal(world: World) -> tuple[bool, str]:
    form = {"price": world.shop.prices[6].code}
    answer = world.browser.post(f"/account/{world.subscription.code}/renew/", form)
    return _ordered(6), _text(answer)


def voucher(world: World) -> tuple[bool, str]:
    form = {"code": world.voucher}
    answer = world.browser.post(f"/orders/{world.order.code}/voucher/", form)
    used = Voucher.objects.exclude(used_at=None).exists()
    assert used == _fulfilled(world)
    return used, _text(answer)


def from_balance(world: World) -> tuple[bool, str]:
    answer = world.browser.post(f"/orders/{world.order.code}/balance/")
    assert_sound()
    return _fulfilled(world), _text(answer)


def for_nothing(world: World) -> tuple[bool, str]:
    """An order that a coupon leaves nothing to pay of begins at once."""
    form = {"price": world.shop.prices[6].code, "place": world.place, "consent": "yes"}
    answer = world.browser.post("/orders/", form | {"coupon": world.coupon})
    return _ordered(6), _text(answer)


def topup(world: World) -> tuple[bool, str]:
    form = {"amount": "20.00", "place": world.place}
    answer = world.browser.post("/balance/top-up/", form)
    return Order.objects.filter(kind="topup", amount_minor=2000).exists(), _text(answer)


def topup_receipt(world: World) -> tuple[bool, str]:
    """Money for a top-up that was ordered on a better day."""
    form = {"reference": world.topup_reference, "amount": "7", "currency": "CNY"}
    world.staff.post(reverse("staff-bank-book"), form | {"transaction_id": "1"})
    order = Order.objects.get(kind="topup", amount_minor=700)
    assert_sound()
    assert order.state in {Order.State.FULFILLED, Order.State.OPEN}
    answer = world.browser.get(f"/orders/{order.code}/")
    return order.state == Order.State.FULFILLED, _text(answer)


def gift_code(world: World) -> tuple[bool, str]:
    address = f"/gift/{world.shop.prices[6].code}/code/"
    answer = world.browser.post(address, {"place": world.place})
    return _ordered(6), _text(answer)


def gift_to_number(world: World) -> tuple[bool, str]:
    address = f"/gift/{world.shop.prices[6].code}/number/"
    answer = world.browser.post(address, {"number": world.friend})
    return _ordered(6), _text(answer)


def gift_redeemed(world: World) -> tuple[bool, str]:
    """A gift code that was paid on a better day."""
    form = {"code": world.gift}
    answer = world.browser.post(f"/orders/{world.order.code}/voucher/", form)
    return _fulfilled(world), _text(answer)


def device(world: World) -> tuple[bool, str]:
    before = Device.objects.count()
    answer = world.browser.post(f"/account/{world.subscription.code}/devices/", {})
    return Device.objects.count() > before, _text(answer)


# --- pages of the back office -----------------------------------------------------------------


def receipt(world: World) -> tuple[bool, str]:
    form = {"reference": world.reference, "amount": "10", "currency": "CNY", "transaction_id": "1"}
    world.staff.post(reverse("staff-bank-book"), form)
    return _money_came(world)


def assigned(world: World) -> tuple[bool, str]:
    """Money that came with a useless reference is given to the order by staff."""
    form = {"reference": "thanks", "amount": "10", "currency": "CNY", "transaction_id": "1"}
    world.staff.post(reverse("staff-bank-book"), form)
    payment = Payment.objects.get(transaction_id="1")
    address = reverse("staff-unallocated-assign", args=[payment.code])
    answer = world.staff.post(address, {"order": world.order.pk})
    payment.refresh_from_db()
    assert (payment.outcome == "settled") == _fulfilled(world)
    assert_sound()
    return _fulfilled(world), _text(answer)


def put_in_service(world: World) -> tuple[bool, str]:
    Line.objects.update(state=Line.State.PLANNED)
    answer = world.staff.post(reverse("staff-line-service", args=[world.line.code]))
    return world.line.state == Line.State.IN_SERVICE, _text(answer)


def release(world: World) -> tuple[bool, str]:
    Line.objects.update(state=Line.State.HELD)
    world.staff.post(reverse("staff-line-release", args=[world.line.code]))
    return _open(world)


def offer(world: World) -> tuple[bool, str]:
    price = _price_of_other_plan(world)
    form = {"line": str(world.line.pk)}
    world.staff.post(reverse("staff-offer-add", args=[world.other_plan.code]), form)
    return _sold_to_a_stranger(price)


def granted_days(world: World) -> tuple[bool, str]:
    form = {"days": "3", "reason": "Asked"}
    world.staff.post(reverse("staff-subscription-grant", args=[world.subscription.code]), form)
    granted = Period.objects.filter(kind=Period.Kind.GRANT).exists()
    passes = granted and _device_passes(world)
    fleet_tasks.run(world.now)
    return passes, last_permit(world.line).reason.get("en", "")


# --- commands and the worker ------------------------------------------------------------------


def own_device(world: World) -> tuple[bool, str]:
    file = world.shop.yard.store / "laptop.conf"
    parsed = argparse.Namespace(
        name="laptop", plan=world.shop.plan.code, place=world.place, out=str(file)
    )
    world.shop.yard.store.mkdir(exist_ok=True)
    try:
        machines.add_device(parsed)
    except FerriageError as refusal:
        assert not file.exists()
        return False, str(refusal)
    return True, ""


def permits(world: World) -> tuple[bool, str]:
    fleet_tasks.run(world.now)
    return _open(world)


def devices_followed(world: World) -> tuple[bool, str]:
    device_tasks.run(world.now)
    fleet_tasks.run(world.now)
    return _device_passes(world), last_permit(world.line).reason.get("en", "")


def receipt_left_by_a_crash(world: World) -> tuple[bool, str]:
    raw = {"reference": world.reference, "amount_minor": 1000, "currency": "CNY", "note": ""}
    InboxEvent.objects.create(
        provider="bank",
        event_id="1",
        raw={**raw, "actor": ["staff", "olga"]},
        received_at=world.now,
    )
    payment_tasks.run(world.now)
    return _money_came(world)


# --- past every page and action ---------------------------------------------------------------


def raw_offer(world: World) -> tuple[bool, str]:
    price = _price_of_other_plan(world)
    Offer.objects.create(plan=world.other_plan, line=world.line)
    return _sold_to_a_stranger(price)


def raw_permit(world: World) -> tuple[bool, str]:
    """Replay the word of a better day: a permit by SQL, on the Decision that once allowed it."""
    fleet_tasks.run(world.now)
    _open_now, said = _open(world)
    allowing = Decision.objects.filter(subject=world.line.code, allowed=True).latest("sequence")
    before = Permit.objects.latest("serial")
    as_stored = connection.ops.adapt_datetimefield_value
    values = (world.line.pk, before.serial + 1, "open", as_stored(allowing.valid_until))
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO fleet_permit (line_id, serial, state, open_until, decision_id,"
                " payload, signature, written_at) VALUES (%s, %s, %s, %s, %s, '', '', %s)",
                (*values, allowing.pk, as_stored(world.now)),
            )
    except DatabaseError:
        return False, said
    return True, said


ENTRIES: tuple[Entry, ...] = (
    window,
    new_account,
    buy_page,
    order,
    renewal,
    voucher,
    from_balance,
    for_nothing,
    topup,
    topup_receipt,
    gift_code,
    gift_to_number,
    gift_redeemed,
    device,
    receipt,
    assigned,
    put_in_service,
    release,
    offer,
    granted_days,
    own_device,
    permits,
    devices_followed,
    receipt_left_by_a_crash,
    raw_offer,
    raw_permit,
)
SILENT = frozenset(
    (
        "window",
        "new_account",
        "buy_page",
        "order",
        "renewal",
        "for_nothing",
        "gift_code",
        "gift_to_number",
        "offer",
        "own_device",
        "raw_offer",
    )
)
"""What says of a closed service only that it is not there, or not for this account."""


@pytest.mark.parametrize("situation", LAWFUL, ids=str)
def test_what_is_lawful_passes(situation: Situation, tmp_path: Path, now: datetime) -> None:
    found = _through_every_entry(world_in(situation, tmp_path, now))

    assert [name for name, (passed, _said) in found.items() if not passed] == []


@pytest.mark.parametrize("situation", MISSING, ids=str)
def test_what_is_not_is_refused_with_what_is_missing(
    situation: Situation, tmp_path: Path, now: datetime
) -> None:
    found = _through_every_entry(world_in(situation, tmp_path, now))
    silent = SILENT if situation.hidden else frozenset()

    assert [name for name, (passed, _said) in found.items() if passed] == []
    unnamed = {name for name, (_passed, said) in found.items() if situation.says not in said}
    assert unnamed <= silent


def test_raw_offer_lets_no_customer_onto_a_line_for_own_staff(
    tmp_path: Path, now: datetime
) -> None:
    world = world_in(LAWFUL[0], tmp_path, now)
    office = _office_line(world)
    with pytest.raises(DatabaseError, match="own staff is 0"), transaction.atomic():
        Offer.objects.create(plan=world.shop.plan, line=office)
    Price.objects.filter(plan=world.shop.plan).update(valid_to=now)
    Offer.objects.create(plan=world.shop.plan, line=office)
    device_tasks.run(now)

    world.shop.device(world.subscription)
    device_tasks.run(now)

    assert last_permit(office).state == "open"
    assert not PoolCurrent.objects.filter(pool__line=office, kind="put").exclude(
        subject=office.code
    )
    assert [found.line for found in placements(world.device)] == [world.line]


def _through_every_entry(world: World) -> dict[str, tuple[bool, str]]:
    """Try every entry point, each on the world as it was built."""
    found = {}
    for entry in ENTRIES:
        with transaction.atomic():
            found[entry.__name__] = entry(world)
            transaction.set_rollback(True)
    return found


# --- what came of it --------------------------------------------------------------------------


def _text(answer: HttpResponse) -> str:
    return answer.content.decode()


def _order(world: World, price: Price) -> tuple[bool, str]:
    form = {"price": price.code, "place": world.place, "consent": "yes"}
    answer = world.browser.post("/orders/", form)
    return _ordered(price.term_months), _text(answer)


def _ordered(months: int) -> bool:
    return Order.objects.filter(term_months=months).exists()


def _fulfilled(world: World) -> bool:
    return Order.objects.get(pk=world.order.pk).state == Order.State.FULFILLED


def _money_came(world: World) -> tuple[bool, str]:
    """Tell whether the order took the money; if not, all of it must be on its way back."""
    payment = Payment.objects.get(order=world.order, transaction_id="1")
    assert_sound()
    if _fulfilled(world):
        return True, ""
    refund = Refund.objects.get(payment=payment)
    owed = books()["liabilities:refunds"]
    assert (payment.outcome, refund.amount_minor, owed) == ("refund", 1000, 1000)
    return False, _text(world.browser.get(f"/orders/{world.order.code}/"))


def _open(world: World) -> tuple[bool, str]:
    said = last_permit(world.line)
    return said.state == "open" and said.open_until > unix(world.now), said.reason.get("en", "")


def _device_passes(world: World) -> bool:
    row = PoolCurrent.objects.get(subject=world.device.code)
    return row.kind == "put" and json.loads(row.payload)["device"]["hold_at"] > unix(world.now)


def _price_of_other_plan(world: World) -> Price:
    money = Money(2000, "CNY")
    return plans.set_price(
        plan=world.other_plan, term_months=1, money=money, now=world.now, actor=OWNER
    )


def _sold_to_a_stranger(price: Price) -> tuple[bool, str]:
    before = Account.objects.count()
    answer = Client().post("/open/", {"price": price.code})
    return Account.objects.count() > before, _text(answer)


def _office_line(world: World) -> Line:
    line = fleet.create_line(
        name="Office",
        party=world.line.party,
        enter_place="XD",
        exit_place="XD",
        sell_places=["XD"],
        customer_class="own_staff",
        use="internal_office",
        now=world.now,
        actor=OWNER,
    )
    return fleet.put_in_service(line=line, now=world.now, actor=OWNER)
