"""The page of choices while no line may serve a customer, and what each of them does."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine

from ferriage.approvals.models import Approval
from ferriage.core import clock
from ferriage.devices.models import Device
from ferriage.fleet import actions as fleet
from ferriage.fleet import tasks as fleet_tasks
from ferriage.orders import tasks as orders
from ferriage.orders.models import Order
from ferriage.plans.models import Lapse, Subscription
from till import Till
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from conftest import Customer, NewVoucher
    from ferriage.fleet.models import Line
    from shop import Shop

LATER = timedelta(days=10)


@pytest.fixture
def holder(shop: Shop, alice: Customer, now: datetime) -> Customer:
    """Alice, who paid a month of 10.00 by bank transfer and has a device."""
    till = Till(shop, now)
    code = alice.order(shop)
    order = Order.objects.get(code=code)
    assert till.receive(till.transfer(order).reference, 1000).outcome == "settled"
    alice.add_device(Order.objects.get().subscription.code)
    return alice


@pytest.fixture
def other(shop: Shop) -> Line:
    """Another line of the same service, with a plan of its own."""
    line = shop.yard.open_line("Sea")
    shop.add_plan("By sea", line)
    return line


@pytest.fixture
def lapsed(holder: Customer, other: Line, now: datetime) -> Iterator[Customer]:
    """Ten days later: Alice's line was revoked and the worker has seen it."""
    del other
    with time_machine.travel(now + LATER, tick=False):
        at = clock.now()
        fleet.revoke_approval(approval=Approval.objects.earliest("pk"), now=at, actor=OWNER)
        fleet_tasks.run(at)
        orders.run(at)
        yield holder


def _subscription() -> Subscription:
    return Subscription.objects.get()


def test_page_offers_three_choices_with_reason_and_amount(lapsed: Customer) -> None:
    page = lapsed.client.get("/held/").content.decode()

    assert "section 1, Demoland Lines Act (invented)" in page
    assert "21 days are left" in page
    assert "Move to By sea" in page
    assert "6.78 CNY" in page  # 10.00 less 10 of 31 days, rounded up
    assert "2026-04-10 12:00 UTC" in page


def test_page_speaks_the_customers_language(lapsed: Customer) -> None:
    page = lapsed.client.get("/held/", headers={"accept-language": "zh-hans"}).content.decode()

    assert 'lang="zh-Hans"' in page
    assert "跨越" in page or "批准" in page or "许可" in page


def test_account_and_device_lead_to_the_choices(lapsed: Customer) -> None:
    device = _subscription_device()

    pages = [lapsed.client.get(path).content.decode() for path in ("/account/", device)]

    assert ['href="/held/"' in page for page in pages] == [True, True]
    assert "Renew" not in pages[0]


def _subscription_device() -> str:
    return f"/devices/{Device.objects.get().code}/"


def test_nothing_is_offered_while_the_line_is_open(holder: Customer) -> None:
    assert "nothing of yours is held" in holder.client.get("/held/").content.decode()
    assert "/held/" not in holder.client.get("/account/").content.decode()


def test_waiting_is_noted_and_shown(lapsed: Customer) -> None:
    answer = lapsed.client.post(f"/held/{_subscription().code}/wait/", follow=True)

    assert "You chose to wait." in answer.content.decode()
    assert Lapse.objects.get().choice == "wait"


def test_moving_says_that_files_are_needed_anew(lapsed: Customer) -> None:
    plan = Subscription.objects.get().service.plans.get(name="By sea")

    answer = lapsed.client.post(
        f"/held/{_subscription().code}/move/", {"plan": plan.code}, follow=True
    )

    assert "remove each device and add it anew" in answer.content.decode()
    assert _subscription().plan == plan


def test_refund_ends_it_and_tells_what_is_owed_and_how(lapsed: Customer) -> None:
    answer = lapsed.client.post(f"/held/{_subscription().code}/refund/", follow=True)

    page = answer.content.decode()
    assert "We owe you 6.78 CNY" in page
    assert "goes back to the bank account" in page
    assert Order.objects.get().refund_due_minor == 678


def test_choice_that_comes_too_late_is_refused(holder: Customer) -> None:
    answer = holder.client.post(f"/held/{_subscription().code}/refund/")

    assert answer.status_code == 409
    assert "There is nothing to choose any more." in answer.content.decode()
    assert Order.objects.get().refund_due_minor == 0


@pytest.mark.parametrize("plan", ["", "pln_unknown", "own"])
def test_move_to_no_plan_of_the_page_changes_nothing(lapsed: Customer, plan: str) -> None:
    subscription = _subscription()
    code = subscription.plan.code if plan == "own" else plan

    answer = lapsed.client.post(f"/held/{subscription.code}/move/", {"plan": code})

    assert answer.status_code == (409 if plan == "own" else 404)
    assert _subscription().plan == subscription.plan


def test_free_voucher_has_nothing_to_refund(shop: Shop, alice: Customer, now: datetime) -> None:
    alice.pay(alice.order(shop), Till(shop, now).voucher())
    fleet.revoke_approval(approval=Approval.objects.get(), now=now, actor=OWNER)

    page = alice.client.get("/held/").content.decode()

    assert "Nothing was paid for it" in page


def test_voucher_that_was_sold_is_refunded_by_asking_the_shop(
    shop: Shop, alice: Customer, new_voucher: NewVoucher, now: datetime
) -> None:
    alice.pay(alice.order(shop), new_voucher())
    fleet.revoke_approval(approval=Approval.objects.get(), now=now, actor=OWNER)

    answer = alice.client.post(f"/held/{_subscription().code}/refund/", follow=True)

    assert "You paid with a voucher" in answer.content.decode()


def test_held_by_staff_shows_what_they_wrote(shop: Shop, holder: Customer) -> None:
    fleet.hold_line(line=shop.line, reason="Cable is cut", now=clock.now(), actor=OWNER)

    assert "Cable is cut" in holder.client.get("/held/").content.decode()
