"""Receipts that were kept and could not be handled at once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.approvals.actions.decisions import ClockBehind
from ferriage.payments import queries, tasks
from ferriage.payments.models import InboxEvent, Payment
from ferriage.plans.models import Period
from till import Till, assert_sound

if TYPE_CHECKING:
    from ferriage.orders.models import Order


@pytest.fixture
def kept(till: Till) -> Order:
    """An order whose money came while the site's clock stood an hour behind its own records."""
    order = till.order()
    reference = till.transfer(order).reference
    till.now -= timedelta(hours=1)
    with pytest.raises(ClockBehind):
        till.receive(reference, 1000)
    return order


def test_receipt_that_comes_while_the_clock_is_behind_is_kept(till: Till, kept: Order) -> None:
    kept.refresh_from_db()

    assert kept.state == "open"
    assert [event.event_id for event in queries.worklist(till.now).unhandled] == ["T0"]
    assert Period.objects.count() == 0
    assert_sound()


def test_worker_settles_what_was_kept_once_the_clock_is_right(till: Till, kept: Order) -> None:
    behind = tasks.run(till.now)
    right = [tasks.run(till.now + timedelta(hours=1)) for _again in range(2)]

    kept.refresh_from_db()
    assert (behind, right) == (0, [1, 0])
    assert kept.state == "fulfilled"
    assert queries.worklist(till.now).unhandled == []
    assert_sound()


@pytest.mark.usefixtures("kept")
def test_receipt_that_cannot_be_handled_holds_up_no_other(till: Till) -> None:
    event = InboxEvent.objects.create(
        provider="bank",
        event_id="T-9",
        raw={
            "reference": "nobody's",
            "amount_minor": 5,
            "currency": "CNY",
            "note": "",
            "actor": ["staff", "olga"],
        },
        received_at=till.now,
    )

    ran = tasks.run(till.now)

    event.refresh_from_db()
    assert (ran, event.outcome) == (1, "unallocated")
    assert Payment.objects.filter(outcome="unallocated").count() == 1
    assert_sound()
