"""Stripe on a bad day: callbacks that are lost, doubled, late, out of order and forged."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from stripe_world import StripeWorld
from test_stripe import add, begin

from ferriage.core import clock
from ferriage.ledger.models import LedgerTransaction
from ferriage.orders.models import Order
from ferriage.payments import inbox, matching, tasks
from ferriage.payments.models import Dispute, Payment
from ferriage.payments.providers.contract import Unverified
from ferriage.plans.models import Hold, Period
from running_sandbox import Ear, running_sandbox
from till import Till, assert_sound, books

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ferriage.payments.providers.contract import RawEvent


@pytest.fixture
def world(till: Till) -> Iterator[StripeWorld]:
    till.shop.approve_for_years()
    till.now = clock.now()
    with Ear() as ear, running_sandbox(ear.url) as sandbox:
        yield StripeWorld(sandbox, ear)


def _tell(callbacks: Sequence[RawEvent], till: Till) -> int:
    """Deliver what came as the site does; returns how many nobody vouched for."""
    refused = 0
    for raw in callbacks:
        try:
            kept = inbox.receive(slug="stripe", raw=raw, now=till.now)
        except Unverified:
            refused += 1
            continue
        for event in kept:
            matching.handle(event=event, now=till.now)
    return refused


def test_lost_callback_is_made_up_for_by_asking(world: StripeWorld, till: Till) -> None:
    payment = begin(add(world.secrets, till), till)
    world.sandbox.set_faults(lose=100)
    assert world.pay(payment, till.now) == []
    till.now += timedelta(minutes=2)

    tasks.run(till.now)
    tasks.run(till.now)

    payment.refresh_from_db()
    assert (payment.state, payment.outcome) == ("captured", "settled")
    assert Period.objects.count() == 1
    assert books() == {"assets:stripe:test": 1000, "liabilities:unearned": 1000}


def test_forged_copies_open_nothing(world: StripeWorld, till: Till) -> None:
    payment = begin(add(world.secrets, till), till)
    world.sandbox.set_faults(lose=100, forge=100)

    forged = world.pay(payment, till.now)

    assert len(forged) == 5
    assert _tell(forged, till) == 5
    assert books() == {}
    assert inbox.refused_since(till.now.date()) == {"stripe": 5}


def test_bad_day_ends_with_every_order_paid_once(world: StripeWorld, till: Till) -> None:
    account = add(world.secrets, till)
    begun = [begin(account, till) for _number in range(8)]
    world.sandbox.set_faults(
        lose=30, double=30, delay=25, reorder=15, forge=30, delay_seconds=3600, seed=7
    )
    for payment in begun:
        world.sandbox.act(payment.pay_url, "pay", means="card", place="XD")
    world.sandbox.control("POST", "/flush")
    callbacks = world.callbacks()

    refused = _tell(callbacks, till)
    till.now += timedelta(minutes=2)
    tasks.run(till.now)

    fates = {row["fate"] for row in world.sandbox.sent()}
    assert fates == {"lost", "doubled", "delayed", "reordered", "forged"}
    assert refused == sum(row["fate"] == "forged" for row in world.sandbox.sent())
    assert set(Order.objects.values_list("state", flat=True)) == {"fulfilled"}
    assert set(Payment.objects.values_list("state", "outcome")) == {("captured", "settled")}
    assert Period.objects.count() == 8
    assert LedgerTransaction.objects.filter(kind="receipt").count() == 8
    assert_sound()


def test_page_that_ran_out_fails_the_payment_by_asking(world: StripeWorld, till: Till) -> None:
    payment = begin(add(world.secrets, till), till)
    world.sandbox.set_faults(lose=100)
    assert world.fail(payment, till.now) == []
    till.now += timedelta(minutes=2)

    tasks.run(till.now)

    payment.refresh_from_db()
    assert (payment.state, books()) == ("failed", {})


@pytest.mark.parametrize("end", ["open", "won", "lost"])
def test_dispute_that_overtakes_its_payment_is_done_when_that_comes(
    world: StripeWorld, till: Till, end: str
) -> None:
    payment = begin(add(world.secrets, till), till)
    world.sandbox.set_faults(reorder=100)
    world.sandbox.act(payment.pay_url, "pay", means="card", place="XD")
    (intent,) = world.stripe.v1.payment_intents.list().data
    opened = world.sandbox.control("POST", "/stripe/dispute", payment_intent=intent.id)
    if end != "open":
        how = {"dispute": opened["dispute"], "won": end == "won"}
        world.sandbox.control("POST", "/stripe/decide", **how)
    world.sandbox.control("POST", "/flush")
    callbacks = world.callbacks()
    kinds = [json.loads(raw.body)["type"] for raw in callbacks]
    assert kinds.index("charge.dispute.created") < kinds.index("charge.succeeded")

    _tell(callbacks, till)

    payment.refresh_from_db()
    dispute = Dispute.objects.get()
    assert (payment.outcome, dispute.state, dispute.payment) == ("settled", end, payment)
    assert Hold.objects.filter(ended_at=None).exists() is (end == "open")
    kept = {"assets:stripe:test": 1000, "liabilities:unearned": 1000}
    assert books() == ({} if end == "lost" else kept)
    assert_sound()
