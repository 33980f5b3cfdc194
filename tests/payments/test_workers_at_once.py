"""Several workers on one shop: whatever is due is done once, as if there were one."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.core import audit
from ferriage.core.models import AuditEntry
from ferriage.core.money import Money
from ferriage.ledger import actions as ledger
from ferriage.ledger.models import HostingBill, LedgerTransaction
from ferriage.orders.models import Order
from ferriage.payments import inbox
from ferriage.payments.models import InboxEvent, Refund
from till import Till, assert_sound
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from clerks import Clerks
    from ferriage.config import Config
    from shop import Shop

ROUNDS = 3
"""As many as it takes until one worker alone finds nothing more to do."""


@pytest.fixture
def till(own_database: Config, make_shop: Callable[[datetime], Shop], now: datetime) -> Till:  # noqa: ARG001 -- rows go there
    shop = make_shop(now)
    shop.approve_for_years()
    return Till(shop, now)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_each_task_is_done_once(clerks: Clerks, till: Till, workers: int) -> None:
    till.sell(1)
    till.order()
    late = till.order()
    ended = till.end(till.sell(6), till.now)
    receipt = {
        "reference": till.transfer(late).reference,
        "amount_minor": late.amount_minor,
        "currency": "CNY",
        "actor": ["staff", "olga"],
    }
    inbox.keep("bank", "left by a crash", receipt, till.now)
    ledger.record_bill(
        gateway="gw_1",
        what="host",
        money=Money(500, "CNY"),
        monthly=True,
        now=till.now,
        actor=OWNER,
    )
    before = AuditEntry.objects.count()
    later = till.now + timedelta(days=70)

    outcomes = [
        clerks.act(*[("work_through", {"now": later.isoformat()})] * workers)
        for _round in range(ROUNDS)
    ]

    assert outcomes == [["0 failed"] * workers] * ROUNDS
    assert Counter(Order.objects.values_list("state", flat=True)) == {"fulfilled": 2, "expired": 2}
    told = AuditEntry.objects.order_by("pk")[before:]
    assert Counter(row.action for row in told) == {
        "order.expired": 2,
        "payment.captured": 1,
        "permit.written": 1,
        "refund.queued": 1,
    }
    assert Counter(LedgerTransaction.objects.values_list("kind", flat=True)) == {
        "bill": 3,
        "earned": 2,
        "ended": 1,
        "owed": 1,
        "receipt": 3,
        "sale": 2,
    }
    assert sorted(Refund.objects.values_list("payment__order", "amount_minor")) == [
        (late.pk, 1000),
        (ended.pk, 5000),
    ]
    assert HostingBill.objects.get().booked == 3
    assert InboxEvent.objects.get(event_id="left by a crash").outcome == "refund"
    assert audit.first_broken() is None
    assert_sound()
