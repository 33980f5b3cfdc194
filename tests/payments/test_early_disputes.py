"""Disputes that a provider tells before the money came: done when it comes, once."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

import pytest

from ferriage.core.money import Money
from ferriage.orders import actions as orders
from ferriage.orders.models import Order
from ferriage.payments import actions, settlement, tasks
from ferriage.payments.models import Difference, Dispute, InboxEvent, Payment
from ferriage.payments.providers.contract import Event, RawEvent
from ferriage.plans.queries import holds_of, subscription_end
from stand_in import StandIn
from till import assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter

ASSET = f"assets:{StandIn.slug}"


def name_of(paid: list[RawEvent]) -> str:
    """Return the provider's name of the money that a callback brings."""
    name: str = json.loads(paid[0].body)["transaction_id"]
    return name


def told(counter: Counter, money: str, *words: str, code: str = "") -> list[RawEvent]:
    """Return callbacks about one dispute of money."""
    numbers = count()
    return [
        counter.world.say(
            Event(
                event_id=f"evt_{word}_{next(numbers)}",
                kind=f"dispute-{word}",  # type: ignore[arg-type] -- one of the contract's three
                payment=code,
                transaction_id=money,
                dispute="dp_1",
                money=Money(1000, "CNY"),
                reason="fraudulent",
            ),
            counter.now,
            "none",
        )
        for word in words
    ]


def outcomes() -> list[tuple[str, str | None, bool]]:
    """Return what the events of disputes came to, in their order."""
    rows = InboxEvent.objects.filter(raw__event__dispute="dp_1").order_by("pk")
    return [(row.outcome, row.awaits, row.payment is not None) for row in rows]


@pytest.mark.parametrize(
    ("words", "end"),
    [
        (["opened"], "open"),
        (["opened", "won"], "won"),
        (["won", "lost"], "won"),
        (["opened", "lost"], "lost"),
        (["lost", "opened"], "lost"),
    ],
)
@pytest.mark.parametrize("times", [1, 2])
def test_dispute_told_before_its_money_is_done_when_it_comes(
    counter: Counter, words: list[str], end: str, times: int
) -> None:
    payment = counter.begin(counter.till.order())
    paid = counter.world.pay(payment, counter.now)
    early = told(counter, name_of(paid), *words)

    first = counter.tell(early * times)
    assert first == ["early"] * len(words) + ["duplicate"] * len(words) * (times - 1)
    assert Dispute.objects.count() == 0
    assert counter.tell(paid * times) == ["settled", "duplicate"][:times]
    counter.tell(early)

    payment.refresh_from_db()
    dispute = Dispute.objects.get()
    assert (dispute.state, dispute.payment, dispute.account) == (end, payment, counter.account)
    assert outcomes() == [("noted", None, True)] * len(words)
    order = Order.objects.get()
    assert order.subscription is not None
    held = [hold.reason for hold in holds_of(order.subscription)]
    assert held == (["payment-disputed"] if end == "open" else [])
    assert subscription_end(order.subscription).is_over(counter.now) is (end == "lost")
    kept = {ASSET: 1000, "liabilities:unearned": 1000}
    assert books() == ({} if end == "lost" else kept)
    assert_sound()


def test_dispute_that_waits_for_its_money_touches_no_other(counter: Counter) -> None:
    counter.tell(told(counter, "txn_of_another_shop", "opened", "lost"))

    counter.sell()

    assert outcomes() == [("early", "txn_of_another_shop", False)] * 2
    assert Dispute.objects.count() == 0
    assert books() == {ASSET: 1000, "liabilities:unearned": 1000}


def test_dispute_by_our_code_waits_while_the_payment_is_only_begun(counter: Counter) -> None:
    payment = counter.begin(counter.till.order())
    counter.tell(told(counter, "", "lost", code=payment.code))
    assert outcomes() == [("early", payment.code, True)]

    counter.tell(counter.world.pay(payment, counter.now))

    assert Dispute.objects.get().state == "lost"
    assert books() == {}
    assert_sound()


def test_dispute_finds_money_of_another_amount_by_its_name(counter: Counter) -> None:
    payment = counter.begin(counter.till.order())
    paid = counter.world.pay(payment, counter.now, minor=700)
    counter.tell(told(counter, name_of(paid), "opened", code=payment.code))

    assert counter.tell(paid) == ["unallocated"]

    assert Dispute.objects.get().payment == Payment.objects.get(outcome="unallocated")


def test_money_disputed_before_it_came_for_no_order_is_given_to_nobody(counter: Counter) -> None:
    payment = counter.begin(counter.till.order())
    assert payment.order is not None
    orders.cancel(order=payment.order, now=counter.now, actor=OWNER)
    paid = counter.world.pay(payment, counter.now)
    counter.tell(told(counter, name_of(paid), "opened"))
    counter.tell(paid)
    payment.refresh_from_db()

    with pytest.raises(actions.NotAssignable):
        actions.assign_unallocated(
            payment=payment, order=counter.till.order(), now=counter.now, actor=OWNER
        )
    assert_sound()


def test_money_that_is_only_found_by_asking_is_disputed_too(counter: Counter) -> None:
    payment = counter.begin(counter.till.order())
    paid = counter.world.pay(payment, counter.now)
    counter.tell(told(counter, name_of(paid), "opened", "lost"))
    assert payment.ask_at is not None
    counter.till.now = payment.ask_at

    tasks.run(counter.now)

    assert Dispute.objects.get().state == "lost"
    assert books() == {}
    assert_sound()


def test_difference_in_the_providers_books_ends_when_the_money_came(counter: Counter) -> None:
    payment = counter.begin(counter.till.order())
    paid = counter.world.pay(payment, counter.now)
    counter.tell(told(counter, name_of(paid), "opened"))
    counter.line("row_1", "dispute", "dp_1", -1000)
    settlement.read_books(account=counter.account, now=counter.now)
    assert Difference.objects.get().kind == "dispute-unknown"

    counter.tell(paid)
    settlement.read_books(account=counter.account, now=counter.now)

    assert Difference.objects.get().resolved_by == "agrees by now"


@pytest.mark.parametrize("first", ["look", "dispute"])
@pytest.mark.parametrize(("place", "state"), [("XD", "fulfilled"), ("XE", "open")])
def test_place_of_the_payer_is_known_whatever_was_said_first(
    counter: Counter, first: str, place: str, state: str
) -> None:
    payment = counter.begin(counter.till.order())
    assert payment.order is not None
    orders.cancel(order=payment.order, now=counter.now, actor=OWNER)
    paid = Event(
        event_id="evt_paid",
        kind="paid",
        payment=payment.code,
        provider_ref=payment.provider_ref,
        transaction_id="txn_1",
        money=Money(1000, "CNY"),
        payer_place=place,
    )
    raw = counter.world.say(paid, counter.now)
    if first == "look":
        look = Event(event_id="evt_look", kind="look", payment=payment.code)
        counter.tell([counter.world.say(look, counter.now, "none")])
    else:
        counter.tell(told(counter, "txn_1", "won"))
    counter.tell([raw])
    payment.refresh_from_db()

    order = counter.till.order()
    with suppress(actions.NotAssignable):
        actions.assign_unallocated(payment=payment, order=order, now=counter.now, actor=OWNER)

    order.refresh_from_db()
    assert order.state == state
