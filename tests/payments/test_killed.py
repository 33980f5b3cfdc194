"""kill -9 before every write and every commit of what moves money; then the same step once more.

Whatever was on its way, the worker and a second try bring the money to one outcome.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ferriage.core import audit
from ferriage.core.actors import CUSTOMER
from ferriage.ledger.models import LedgerTransaction
from ferriage.orders import actions as orders
from ferriage.payments.models import Payment, Refund, Voucher
from ferriage.plans.models import Period
from killing import MOST_WRITES, kill_at_every_write
from till import Till, books

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from clerks import Clerks
    from ferriage.config import Config
    from ferriage.orders.models import Order
    from shop import Shop

DAY = timedelta(days=1)


@pytest.fixture
def till(own_database: Config, make_shop: Callable[[datetime], Shop], now: datetime) -> Till:  # noqa: ARG001 -- rows go there
    shop = make_shop(now)
    shop.approve_for_years()
    return Till(shop, now)


def postings(code: str) -> list[str]:
    rows = LedgerTransaction.objects.filter(source_code=code).order_by("kind")
    return [row.kind for row in rows]


def assert_sold_once(order: Order) -> None:
    order.refresh_from_db()
    assert order.state == "fulfilled"
    payment = Payment.objects.get(order=order)
    assert (payment.state, payment.outcome) == ("captured", "settled")
    assert postings(payment.code) == ["receipt"]
    assert postings(order.code) == ["sale"]
    assert Period.objects.filter(source_code=order.code).count() == 1


def test_receipt_comes_to_one_outcome_however_its_clerk_dies(clerks: Clerks, till: Till) -> None:
    account = till.shop.account()
    sold: list[Order] = []

    def prepare() -> dict[str, Any]:
        sold.append(till.order(account=account))
        reference = till.transfer(sold[-1]).reference
        return {"reference": reference, "number": f"B-{len(sold)}", "minor": 1000}

    for _how in kill_at_every_write(clerks, till, "book", prepare):
        assert_sold_once(sold[-1])

    assert books() == {
        "assets:bank": 1000 * len(sold),
        "liabilities:unearned": 1000 * len(sold),
    }
    assert audit.first_broken() is None


def test_receipt_that_is_short_waits_however_its_clerk_dies(clerks: Clerks, till: Till) -> None:
    reference = till.transfer(till.order()).reference
    numbers: list[str] = []

    def prepare() -> dict[str, Any]:
        numbers.append(f"B-{len(numbers)}")
        return {"reference": reference, "number": numbers[-1], "minor": 999}

    for _how in kill_at_every_write(clerks, till, "book", prepare):
        assert Payment.objects.filter(outcome="unallocated").count() == len(numbers)

    assert books() == {
        "assets:bank": 999 * len(numbers),
        "liabilities:unallocated": 999 * len(numbers),
    }


def test_voucher_pays_whole_or_stays_unused_however_its_clerk_dies(
    clerks: Clerks, till: Till
) -> None:
    account = till.shop.account()
    codes = till.vouchers(MOST_WRITES, paid=800)
    sold: list[Order] = []

    def prepare() -> dict[str, Any]:
        sold.append(till.order(account=account))
        return {"order": sold[-1].code, "code": codes.pop()}

    for _how in kill_at_every_write(clerks, till, "redeem", prepare):
        assert_sold_once(sold[-1])

    assert Voucher.objects.filter(used_at=None).count() == len(codes)
    assert books() == {
        "assets:bank": 800 * MOST_WRITES,
        "expenses:promotions": 200 * len(sold),
        "liabilities:unearned": 1000 * len(sold),
        "liabilities:vouchers": 800 * len(codes),
    }


def test_early_end_owes_once_however_its_clerk_dies(clerks: Clerks, till: Till) -> None:
    ended: list[Order] = []

    def prepare() -> dict[str, Any]:
        ended.append(till.sell())
        return {"order": ended[-1].code, "at": (till.now + DAY).isoformat()}

    for _how in kill_at_every_write(clerks, till, "end", prepare):
        refund = Refund.objects.get(payment__order=ended[-1])
        assert (refund.kind, refund.amount_minor) == ("ended", 1000 - 1000 // 31)

    assert books()["liabilities:refunds"] == (1000 - 1000 // 31) * len(ended)


def test_refund_of_an_early_end_is_queued_once_however_its_clerk_dies(
    clerks: Clerks, till: Till
) -> None:
    def prepare() -> dict[str, Any]:
        sold = [till.sell(), till.sell()]
        for order in sold:
            till.end(order, till.now)
        return {}

    for times, _how in enumerate(kill_at_every_write(clerks, till, "work", prepare), start=1):
        assert Refund.objects.count() == 2 * times


def test_service_is_earned_once_however_its_clerk_dies(clerks: Clerks, till: Till) -> None:
    for _customer in range(3):
        till.sell()

    def prepare() -> dict[str, Any]:
        till.now += DAY
        return {}

    killed = kill_at_every_write(clerks, till, "recognise", prepare)
    for days, _how in enumerate(killed, start=1):
        assert books()["income:ferry"] == 3 * (1000 * days // 31)


def test_unallocated_money_is_owed_back_once_however_its_clerk_dies(
    clerks: Clerks, till: Till
) -> None:
    def prepare() -> dict[str, Any]:
        return {"payment": till.receive("nobody's", 500).payment.code}

    for how in kill_at_every_write(clerks, till, "refund", prepare):
        assert postings(how["payment"]) == ["owed", "receipt"]
        assert Refund.objects.filter(payment__code=how["payment"]).count() == 1


def test_refund_is_paid_once_however_its_clerk_dies(clerks: Clerks, till: Till) -> None:
    def prepare() -> dict[str, Any]:
        order = till.order()
        reference = till.transfer(order).reference
        orders.cancel(order=order, now=till.now, actor=CUSTOMER)
        payment = till.receive(reference, 1000).payment
        return {"refund": Refund.objects.get(payment=payment).code}

    for how in kill_at_every_write(clerks, till, "pay_back", prepare):
        assert Refund.objects.get(code=how["refund"]).state == "paid"
        assert postings(how["refund"]) == ["refund-paid"]

    assert books() == {}
