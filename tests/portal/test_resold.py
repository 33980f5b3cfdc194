"""A code of a reseller's that is ended early: a note for the customer, and nothing wholesale."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dearer import open_dearer
from ferriage.core.money import Money
from ferriage.orders.models import Document, Order
from ferriage.payments import actions, tasks
from ferriage.payments.models import Refund, Reseller, ResellerCredit
from ferriage.payments.providers.voucher import queries, resellers
from taxed import charge
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpResponse
    from time_machine import TimeMachineFixture

    from conftest import Customer

DAY = timedelta(days=1)
WHOLESALE = re.compile(r"\b(8\.00|[0-7]\.\d\d) (CNY|EUR)|[0-8]\d\dCNY")


def text(answer: HttpResponse) -> str:
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def kiosk(till: Till) -> Reseller:
    return resellers.add_reseller(
        slug="kiosk",
        name="Kiosk at the pier",
        currency="CNY",
        discount_bp=2000,
        now=till.now,
        actor=OWNER,
    )


@pytest.fixture
def order(till: Till, kiosk: Reseller, alice: Customer) -> Order:
    charge(till.now)
    made = actions.issue_vouchers(
        name="Shelf",
        plan=till.shop.plan,
        term_months=1,
        money=Money(1000, "CNY"),
        count=2,
        kind="sold",
        paid_per_code=Money(800, "CNY"),
        reseller=kiosk,
        now=till.now,
        actor=OWNER,
    )
    code = alice.order(till.shop)
    alice.pay(code, made.codes[0])
    return Order.objects.get(code=code)


def subscription_of(order: Order) -> str:
    assert order.subscription is not None
    return order.subscription.code


def test_refund_gives_a_note_and_lowers_what_the_reseller_owes(
    alice: Customer,
    kiosk: Reseller,
    order: Order,
    now: datetime,
    time_machine: TimeMachineFixture,
) -> None:
    time_machine.move_to(now + 20 * DAY)
    path = f"/account/{subscription_of(order)}/refund/"
    page = text(alice.client.get(path))
    form = {
        name: found[1]
        for name in ("at", "quoted", "shares")
        if (found := re.search(rf'name="{name}" value="([^"]*)"', page))
    }
    assert form["quoted"] == ""
    wrong = form | {"shares": "9999"}
    assert alice.client.post(f"{path}confirm/", wrong).status_code == 409
    alice.client.post(f"{path}confirm/", form)
    told = text(alice.client.get("/account/"))
    tasks.run(now + 20 * DAY)

    order.refresh_from_db()
    credit = ResellerCredit.objects.get()
    assert str(credit.unused_bps) == form["shares"]
    share = f"{credit.unused_bps / 100:.2f}".rstrip("0").rstrip(".") + " %"
    # 1 March, 20 of 31 days and a quarter of an hour were used.
    assert (credit.unused_bps, credit.amount_minor) == (3550, 284)
    assert share in page
    assert "ask there for your money" in page
    mine = text(alice.client.get(f"/orders/{order.code}/"))
    assert f"Your note: number {credit.code}, {share} of the term was not used." in mine
    assert "the receipt for what you paid is theirs" in mine
    assert [bool(WHOLESALE.search(one)) for one in (page, told, mine)] == [False] * 3
    assert "We owe you" not in told

    assert queries.held(kiosk).owed_minor == 1600 - 284
    assert books()["assets:receivable:kiosk"] == 1600 - 284
    assert "liabilities:refunds" not in books()
    assert Refund.objects.get().state == "passed"
    month = queries.month(kiosk, 2026, 3)
    assert (month.unused, month.unused_minor, month.closing_minor) == ([credit], 284, 1316)
    assert_sound()


def test_withdrawal_acknowledges_a_share_and_no_amount(
    alice: Customer, kiosk: Reseller, order: Order, now: datetime
) -> None:
    step = text(alice.client.get(f"/withdraw/{subscription_of(order)}/"))
    done = alice.client.post(f"/withdraw/{subscription_of(order)}/confirm/")
    page = text(alice.client.get(done["Location"]))
    paper = text(alice.client.get(f"{done['Location'].rstrip('/')}.txt"))
    tasks.run(now)

    assert "100 %" in page
    assert "ask there for your money" in page
    assert "ask there for your money" in paper
    assert "It is refunded by the way" not in paper
    assert [bool(WHOLESALE.search(one)) for one in (step, page, paper)] == [False] * 3
    assert queries.held(kiosk).owed_minor == 800
    assert_sound()


def test_documents_of_a_resold_code_are_not_its_users(alice: Customer, order: Order) -> None:
    paper = Document.objects.get(order=order)

    assert paper.gross_minor == 800
    assert paper.content["owed_to"] == "reseller"
    assert alice.client.get(f"/documents/{paper.code}.txt").status_code == 404
    assert paper.label not in text(alice.client.get(f"/orders/{order.code}/"))


def test_resold_code_pays_no_other_plan(till: Till, alice: Customer, order: Order) -> None:
    other = open_dearer(till)
    page = text(alice.client.get(f"/account/{subscription_of(order)}/plan/"))
    assert "so it pays no other plan before it ends" in page
    assert "Change at the end" in page
    assert "for what is left" not in page
    answer = alice.client.post(
        f"/account/{subscription_of(order)}/plan/now/", {"price": other.prices[1].code}
    )

    assert "it pays no other plan" in answer.content.decode()
    assert Order.objects.filter(kind="change").count() == 0
