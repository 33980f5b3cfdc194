"""Eight processes do the same thing at the same moment, on a database of their own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from ferriage.core import audit
from ferriage.ledger.models import LedgerTransaction
from ferriage.orders.models import Order
from ferriage.payments.models import InboxEvent, Payment, Refund, Voucher
from ferriage.plans.models import Period
from till import Till, assert_sound, books

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from clerks import Clerks
    from ferriage.config import Config
    from shop import Shop

CLERKS = 8


@pytest.fixture
def till(own_database: Config, make_shop: Callable[[datetime], Shop], now: datetime) -> Till:  # noqa: ARG001 -- rows go there
    shop = make_shop(now)
    shop.approve_for_years()
    return Till(shop, now)


def kinds() -> Counter[str]:
    return Counter(LedgerTransaction.objects.values_list("kind", flat=True))


def test_one_receipt_replayed_settles_one_order_once(clerks: Clerks, till: Till) -> None:
    order = till.order()
    now = till.now.isoformat()
    how = {"reference": till.transfer(order).reference, "number": "B-1", "minor": 1000, "now": now}

    outcomes = clerks.act(*[("book", how)] * CLERKS)

    assert Counter(outcomes) == {"settled": 1, "duplicate": CLERKS - 1}
    assert InboxEvent.objects.count() == Payment.objects.count() == Period.objects.count() == 1
    assert kinds() == {"receipt": 1, "sale": 1}
    assert books() == {"assets:bank": 1000, "liabilities:unearned": 1000}
    assert audit.first_broken() is None
    assert_sound()


def test_eight_transfers_for_one_order_settle_it_once_and_owe_seven_back(
    clerks: Clerks, till: Till
) -> None:
    reference = till.transfer(till.order()).reference
    how = {"reference": reference, "minor": 1000, "now": till.now.isoformat()}

    outcomes = clerks.act(*[("book", how | {"number": f"B-{clerk}"}) for clerk in range(CLERKS)])

    assert Counter(outcomes) == {"settled": 1, "refund": CLERKS - 1}
    assert Period.objects.count() == 1
    assert books() == {
        "assets:bank": 8000,
        "liabilities:refunds": 7000,
        "liabilities:unearned": 1000,
    }
    assert_sound()


def test_one_voucher_pays_one_of_eight_orders(clerks: Clerks, till: Till) -> None:
    code = till.voucher(paid=900)
    orders = [till.order() for _clerk in range(CLERKS)]
    now = till.now.isoformat()

    outcomes = clerks.act(
        *[("redeem", {"order": order.code, "code": code, "now": now}) for order in orders]
    )

    assert Counter(outcomes) == {"settled": 1, "UsedVoucher": CLERKS - 1}
    assert Order.objects.filter(state="fulfilled").count() == Period.objects.count() == 1
    assert Order.objects.get(state="fulfilled").code == orders[outcomes.index("settled")].code
    assert Voucher.objects.filter(used_at=None).count() == 0
    assert kinds() == {"issued": 1, "receipt": 1, "sale": 1}
    assert_sound()


def test_one_voucher_sent_eight_times_for_one_order_pays_it_once(
    clerks: Clerks, till: Till
) -> None:
    how = {"order": till.order().code, "code": till.voucher(), "now": till.now.isoformat()}

    outcomes = clerks.act(*[("redeem", how)] * CLERKS)

    assert Counter(outcomes) == {"settled": 1, "duplicate": CLERKS - 1}
    assert kinds() == {"receipt": 1, "sale": 1}
    assert_sound()


def test_eight_vouchers_for_one_order_use_one(clerks: Clerks, till: Till) -> None:
    order = till.order()
    codes = till.vouchers(CLERKS, paid=1000)
    how = {"order": order.code, "now": till.now.isoformat()}

    outcomes = clerks.act(*[("redeem", how | {"code": code}) for code in codes])

    assert Counter(outcomes) == {"settled": 1, "VoucherNotTaken": CLERKS - 1}
    assert Voucher.objects.filter(used_at=None).count() == CLERKS - 1
    assert Payment.objects.count() == Period.objects.count() == 1
    assert_sound()


def test_eight_early_ends_with_eight_workers_owe_once(clerks: Clerks, till: Till) -> None:
    order = till.sell()
    now = till.now.isoformat()
    end = ("end", {"order": order.code, "at": now, "now": now})
    ended = clerks.act(*[end] * CLERKS)

    clerks.act(*[("work", {"now": now})] * CLERKS)

    assert Counter(ended) == {"ended": 1, "NothingToEnd": CLERKS - 1}
    assert [refund.amount_minor for refund in Refund.objects.all()] == [1000]
    assert_sound()


def test_one_day_earned_by_eight_workers_is_earned_once(clerks: Clerks, till: Till) -> None:
    till.sell()
    end = till.now.replace(day=11).isoformat()

    outcomes = clerks.act(*[("recognise", {"now": end})] * CLERKS)

    assert Counter(outcomes) == {"1": 1, "0": CLERKS - 1}
    assert books()["income:ferry"] == 1000 * 10 // 31
    assert kinds()["earned"] == 1
    assert_sound()


def test_one_refund_paid_by_eight_goes_out_once(clerks: Clerks, till: Till) -> None:
    payment = till.receive("nobody's", 500).payment.code
    now = till.now.isoformat()

    queued = clerks.act(*[("refund", {"payment": payment, "now": now})] * CLERKS)
    refund = Refund.objects.get().code
    paid = clerks.act(*[("pay_back", {"refund": refund, "now": now})] * CLERKS)

    assert Counter(queued) == {"queued": 1, "StaleState": CLERKS - 1}
    assert Counter(paid) == {"paid": 1, "StaleState": CLERKS - 1}
    assert books() == {}
    assert_sound()
