"""After the end of a term the shop says what happened, and takes a renewal."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine

from ferriage.accounts.models import Account, CustomerSession
from ferriage.approvals import actions as approvals
from ferriage.approvals.models import Approval
from ferriage.core import clock
from ferriage.orders import actions as orders
from ferriage.orders.models import Order
from ferriage.payments import tasks as payments
from ferriage.payments.models import Voucher
from ferriage.web.portal.holdings import days_left
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from conftest import Customer, NewVoucher
    from shop import Shop


@pytest.fixture
def holder(shop: Shop, alice: Customer, new_voucher: NewVoucher) -> Customer:
    """Alice, with a month and a device."""
    alice.pay(alice.order(shop), new_voucher())
    alice.add_device(Order.objects.get().subscription.code)
    return alice


@pytest.mark.parametrize(
    ("left", "days"),
    [
        (timedelta(days=31), 31),
        (timedelta(days=1, seconds=1), 2),
        (timedelta(seconds=1), 1),
        (timedelta(0), 0),
        (timedelta(days=-3), 0),
    ],
)
def test_begun_days_count(now: datetime, left: timedelta, days: int) -> None:
    assert days_left(now + left, now) == days


def test_ended_term_is_on_hold_and_can_be_renewed(
    shop: Shop, holder: Customer, new_voucher: NewVoucher, now: datetime
) -> None:
    subscription = Order.objects.get().subscription
    end = now + timedelta(seconds=15)
    orders.end_subscription(
        subscription=subscription, at=end, reason="asked for", now=now, actor=OWNER
    )

    with time_machine.travel(end + timedelta(seconds=1), tick=True):
        held = holder.client.get("/account/").content.decode()
        holder.pay(holder.order(shop), new_voucher())
        open_again = holder.client.get("/account/").content.decode()

    assert [text in held for text in ("on hold", "Your term has ended.", "Renew")] == [True] * 3
    assert "Add a device" not in held
    assert [text in open_again for text in ("running", "on hold")] == [True, False]


def test_refund_of_an_ended_term_says_why_in_the_customers_language(
    holder: Customer, now: datetime
) -> None:
    order = Order.objects.get()
    end = now + timedelta(seconds=15)
    orders.end_subscription(
        subscription=order.subscription, at=end, reason="asked for", now=now, actor=OWNER
    )

    with time_machine.travel(end + timedelta(seconds=1), tick=True):
        payments.run(clock.now())
        page = holder.client.get(f"/orders/{order.code}/", headers={"accept-language": "zh-hans"})

    assert "订阅已提前结束" in page.content.decode()


def test_device_stays_listed_until_the_hold_days_are_over(holder: Customer, now: datetime) -> None:
    month_and_hold = timedelta(days=31 + 14)

    with time_machine.travel(now + month_and_hold - timedelta(minutes=1), tick=True):
        holder.client.post("/log-in/", {"number": holder.number})
        held = holder.client.get("/account/").content.decode()
    with time_machine.travel(now + month_and_hold + timedelta(minutes=1), tick=True):
        holder.client.post("/log-in/", {"number": holder.number})
        over = holder.client.get("/account/").content.decode()

    assert "on hold" in held
    assert ("on hold" in over, "ended" in over) == (False, True)


def test_revoked_approval_is_told_with_its_reason(holder: Customer, now: datetime) -> None:
    approvals.revoke(approval=Approval.objects.get(), now=now, actor=OWNER)

    page = holder.client.get("/account/").content.decode()

    assert "This line may not be open now." in page
    assert "section 1, Demoland Lines Act (invented)" in page
    assert "Your devices go on by themselves when it opens again." in page


def test_no_page_carries_a_stored_secret(shop: Shop, holder: Customer) -> None:
    order = Order.objects.get()
    paths = ["/", "/account/", f"/orders/{order.code}/", f"/lines/{shop.line.code}/"]
    secrets = [
        Account.objects.get(pk=holder.account.pk).number_hash,
        *CustomerSession.objects.values_list("token_hash", flat=True),
        *Voucher.objects.values_list("code_hash", flat=True),
        shop.gateway.signing_key,
        holder.number,
    ]

    pages = {path: holder.client.get(path).content.decode() for path in paths}
    pages["added"] = holder.add_device(order.subscription.code).content.decode()

    found = [(path, secret) for path, text in pages.items() for secret in secrets if secret in text]
    assert found == []
