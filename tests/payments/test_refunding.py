"""Refunds that a provider pays: each goes out once, and has one outcome."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.core.errors import StaleState
from ferriage.payments import actions, queries, refunding, tasks
from ferriage.payments.models import Refund
from stand_in import StandIn
from till import assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter

ASSET = f"assets:{StandIn.slug}"
HOUR = timedelta(hours=1)


def work(counter: Counter) -> None:
    counter.till.now += HOUR
    refunding.send_due(now=counter.now, actor=OWNER)


def test_queued_refund_is_paid_by_the_provider_once(counter: Counter) -> None:
    refund = counter.refund()

    for _again in range(3):
        work(counter)

    refund.refresh_from_db()
    assert (refund.state, refund.paid_reference) == ("paid", f"re_{refund.code}")
    assert refund.asked == 1
    assert counter.world.books.read("SELECT code, paid FROM refund") == [(refund.code, 1000)]
    assert books() == {}
    assert_sound()


def test_refund_that_is_paid_is_not_sent_again(counter: Counter) -> None:
    refund = counter.refund()
    work(counter)
    refund.refresh_from_db()

    with pytest.raises(StaleState):
        refunding.send(refund=refund, now=counter.now, actor=OWNER)

    refund.refresh_from_db()
    assert (refund.state, refund.asked) == ("paid", 1)
    assert_sound()


def test_refund_that_is_pending_is_asked_again_until_it_is_final(counter: Counter) -> None:
    counter.world.set("refunds", "pending")
    refund = counter.refund()
    work(counter)
    refund.refresh_from_db()
    assert (refund.state, books()["liabilities:refunds"]) == ("sent", 1000)

    counter.world.books.write("UPDATE refund SET state = 'paid'")
    work(counter)

    refund.refresh_from_db()
    assert refund.state == "paid"
    assert books() == {}
    assert_sound()


def test_refund_that_is_told_by_a_callback_is_paid_once(counter: Counter) -> None:
    counter.world.set("refunds", "pending")
    refund = counter.refund()
    work(counter)

    for event in ("evt_r1", "evt_r2"):
        counter.say("refunded", refund.payment, event, refund=refund.code, transaction_id="re_1")
    work(counter)

    refund.refresh_from_db()
    assert (refund.state, refund.paid_reference) == ("paid", "re_1")
    assert books() == {}
    assert_sound()


def test_refund_that_the_provider_cannot_pay_is_paid_by_hand(counter: Counter) -> None:
    counter.world.set("refunds", "failed")
    counter.till.receive("nobody's", 1000)
    refund = counter.refund()
    work(counter)
    (waits,) = queries.worklist(counter.now).refunds

    actions.mark_refund_paid(refund=refund, reference="B-1", now=counter.now, actor=OWNER)
    work(counter)

    refund.refresh_from_db()
    assert (waits.state, waits.note) == ("by_hand", "no account")
    assert refund.state == "paid"
    assert books() == {ASSET: 1000, "liabilities:unallocated": 1000}
    assert_sound()


def test_refund_that_the_provider_pays_is_not_paid_by_hand_too(counter: Counter) -> None:
    refund = counter.refund()

    with pytest.raises(StaleState):
        actions.mark_refund_paid(refund=refund, reference="B-1", now=counter.now, actor=OWNER)

    assert queries.worklist(counter.now).refunds == []
    assert queries.worklist(counter.now).sent == [refund]


def test_service_that_is_down_delays_a_refund(counter: Counter) -> None:
    refund = counter.refund()
    counter.world.set("down", "yes")
    work(counter)
    refund.refresh_from_db()
    assert refund.state == "sent"

    counter.world.set("down", "")
    work(counter)

    refund.refresh_from_db()
    assert refund.state == "paid"
    assert_sound()


def test_order_that_ended_early_is_refunded_without_staff(counter: Counter) -> None:
    order = counter.sell().order
    assert order is not None
    counter.till.end(order, counter.now)

    tasks.run(counter.now)

    refund = Refund.objects.get()
    assert (refund.kind, refund.state, refund.amount_minor) == ("ended", "paid", 1000)
    assert books() == {}
    assert_sound()
