"""A service that loses, doubles, delays and reorders its callbacks; and what asking makes good."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest

from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import NotFound
from ferriage.ledger.models import LedgerTransaction
from ferriage.orders import actions as orders
from ferriage.orders.models import Order
from ferriage.payments import accounts, asking, inbox, tasks
from ferriage.payments.models import InboxEvent, Payment
from ferriage.payments.providers.contract import ProviderDown
from ferriage.payments.schedule import next_ask, next_ask_of_payment
from ferriage.plans.models import Period
from stand_in import StandIn
from till import assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter
    from ferriage.payments.providers.contract import RawEvent

ORDERS = 60
MINUTE = timedelta(minutes=1)


@dataclass
class Lossy:
    """Drops 30 % of what it is given, doubles 30 %, delays the rest; all out of order."""

    luck: Random
    dropped: int = 0
    doubled: list[RawEvent] = field(default_factory=list)
    late: list[RawEvent] = field(default_factory=list)

    def send(self, callbacks: list[RawEvent]) -> list[RawEvent]:
        """Return what comes at once; `late` comes afterwards, with copies of some of that."""
        for raw in callbacks:
            drawn = self.luck.random()
            if drawn < 0.3:
                self.dropped += 1
            elif drawn < 0.6:
                self.doubled.append(raw)
            else:
                self.late.append(raw)
        at_once = [*self.doubled, *self.doubled[::2]]
        self.late += self.doubled[1::2]
        self.luck.shuffle(at_once)
        self.luck.shuffle(self.late)
        return at_once


def reconcile(counter: Counter) -> None:
    """Let the worker do what is due until nothing is."""
    counter.till.now += MINUTE
    while tasks.run(counter.now):
        pass


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_reconciliation_makes_good_what_callbacks_did_not_say(
    counter: Counter, seed: int
) -> None:
    luck = Random(seed)  # noqa: S311 -- luck that can be had again
    callbacks: list[RawEvent] = []
    paid, unpaid, gone = set(), set(), set()
    for _number in range(ORDERS):
        payment = counter.begin(counter.till.order())
        assert payment.order is not None
        fate = luck.random()
        if fate < 0.1:
            unpaid.add(payment.order.pk)
            continue
        if fate < 0.2:
            orders.cancel(order=payment.order, now=counter.now, actor=CUSTOMER)
            gone.add(payment.order.pk)
        else:
            paid.add(payment.order.pk)
        callbacks += counter.world.pay(payment, counter.now)
    service = Lossy(luck)
    told = counter.tell(service.send(callbacks))
    open_though_paid = Order.objects.filter(pk__in=paid, state="open").count()

    reconcile(counter)
    once = books()
    told_late = counter.tell(service.late)
    reconcile(counter)

    # Each of these is some of 60, or nothing was lost and nothing had to be made good.
    assert min(service.dropped, len(service.doubled), len(service.late)) > 3
    assert len(gone) > 0
    assert open_though_paid > service.dropped // 2
    assert told.count("duplicate") == len(service.doubled[::2])
    assert set(told_late) == {"duplicate"}
    fulfilled = set(Order.objects.filter(state="fulfilled").values_list("pk", flat=True))
    assert fulfilled == paid
    assert set(Order.objects.filter(state="open").values_list("pk", flat=True)) == unpaid
    assert Period.objects.count() == len(paid)
    assert LedgerTransaction.objects.filter(kind="receipt").count() == len(paid) + len(gone)
    assert Payment.objects.filter(outcome="unallocated").count() == len(gone)
    assert books() == once
    assert once == {
        f"assets:{StandIn.slug}": 1000 * (len(paid) + len(gone)),
        "liabilities:unearned": 1000 * len(paid),
        "liabilities:unallocated": 1000 * len(gone),
    }
    assert InboxEvent.objects.filter(handled_at=None).count() == 0
    assert_sound()


def test_open_payment_is_asked_about_ever_more_seldom_and_not_for_ever(counter: Counter) -> None:
    begun = counter.begin(counter.till.order()).created_at
    asked = []
    while due := Payment.objects.get().ask_at:
        asked.append(due - begun)
        assert asking.ask_due(due) == 1
        assert asking.ask_due(due) == 0

    waits = [later - earlier for earlier, later in pairwise(asked)]
    assert asked[0] == MINUTE
    assert waits == sorted(waits)
    assert max(waits) == timedelta(days=1)
    assert asked[-1] < timedelta(days=30)


def test_settled_payment_is_asked_about_no_more(counter: Counter) -> None:
    payment = counter.sell()

    assert payment.ask_at is None
    assert asking.ask_due(counter.now + timedelta(days=1)) == 0


def test_customer_who_comes_back_is_not_kept_waiting(counter: Counter) -> None:
    payment = counter.begin(counter.till.order())
    counter.world.pay(payment, counter.now)

    assert payment.order is not None
    asking.ask_soon(order=payment.order, now=counter.now)
    asking.ask_due(counter.now)

    payment.refresh_from_db()
    assert payment.outcome == "settled"


def test_service_that_is_down_loses_nothing(counter: Counter) -> None:
    order = counter.till.order()
    counter.world.set("down", "yes")
    with pytest.raises(ProviderDown):
        counter.begin(order)
    left = Payment.objects.get()

    counter.world.set("down", "")
    payment = counter.begin(order)

    assert (left.state, payment) == ("created", left)
    assert payment.pay_url


def test_event_that_nobody_understands_holds_up_nothing_else(counter: Counter) -> None:
    InboxEvent.objects.create(
        provider=StandIn.slug,
        account=counter.account,
        event_id="evt_0",
        raw={"event": {"kind": "paid"}},
        received_at=counter.now,
    )
    payment = counter.begin(counter.till.order())
    (raw,) = counter.world.pay(payment, counter.now)
    inbox.receive(slug=StandIn.slug, raw=raw, now=counter.now)
    refund = counter.refund()

    with pytest.raises(ExceptionGroup):
        tasks.run(counter.now)

    payment.refresh_from_db()
    refund.refresh_from_db()
    assert (payment.outcome, refund.state) == ("settled", "paid")
    assert [left.event_id for left in InboxEvent.objects.filter(handled_at=None)] == ["evt_0"]


def test_provider_that_is_out_of_use_is_offered_to_nobody(counter: Counter) -> None:
    accounts.set_enabled(account=counter.account, enabled=False, now=counter.now, actor=OWNER)

    with pytest.raises(NotFound):
        counter.begin(counter.till.order())


@pytest.mark.parametrize(("asked", "minutes"), [(0, 1), (1, 2), (5, 32), (11, 1440), (999, 1440)])
def test_next_question_is_twice_as_far_and_a_day_at_most(
    counter: Counter, asked: int, minutes: int
) -> None:
    assert next_ask(asked, counter.now) == counter.now + minutes * MINUTE


def test_last_question_is_within_a_month(counter: Counter) -> None:
    now = counter.now

    assert next_ask_of_payment(20, now - timedelta(days=28), now) == now + timedelta(days=1)
    assert next_ask_of_payment(20, now - timedelta(days=29), now) is None
