"""Order states × what a provider says: whatever comes, it has one outcome, the documented one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.ledger.models import LedgerTransaction
from ferriage.orders import actions as orders
from ferriage.orders import balance
from ferriage.orders import tasks as order_tasks
from ferriage.payments import actions, queries
from ferriage.payments.models import InboxEvent, Payment, Refund
from ferriage.payments.providers.contract import Event
from ferriage.plans.models import Period
from stand_in import StandIn
from till import assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from counter import Counter

    type Become = Callable[[Counter, Payment], None]

PRICE = 1000
ASSET = f"assets:{StandIn.slug}"


def opened(counter: Counter, payment: Payment) -> None:
    """Leave the order as it is."""


def fulfilled(counter: Counter, payment: Payment) -> None:
    assert payment.order is not None
    counter.till.redeem(payment.order, counter.till.voucher(paid=PRICE))


def expired(counter: Counter, payment: Payment) -> None:
    overdue(counter, payment)
    order_tasks.run(counter.now)


def overdue(counter: Counter, payment: Payment) -> None:
    assert payment.order is not None
    counter.till.now = payment.order.expires_at


def cancelled(counter: Counter, payment: Payment) -> None:
    assert payment.order is not None
    orders.cancel(order=payment.order, now=counter.now, actor=CUSTOMER)


def line_held(counter: Counter, payment: Payment) -> None:  # noqa: ARG001 -- one form for all
    line = counter.till.shop.line
    fleet.hold_line(line=line, reason="Cable cut", now=counter.now, actor=OWNER)


def said_to_have_failed(counter: Counter, payment: Payment) -> None:
    counter.tell(counter.world.fail(payment, counter.now))


EXACT: dict[Become, tuple[str, str]] = {
    opened: ("settled", ""),
    said_to_have_failed: ("settled", ""),
    fulfilled: ("unallocated", "order-fulfilled"),
    expired: ("unallocated", "order-expired"),
    overdue: ("unallocated", "order-expired"),
    cancelled: ("unallocated", "order-cancelled"),
    line_held: ("refund", "not-authorised"),
}
WRONG = {
    "short": (PRICE - 1, "CNY", "too-little"),
    "over": (PRICE + 1, "CNY", "too-much"),
    "wrong currency": (PRICE, "EUR", "other-currency"),
}
STATES = pytest.mark.parametrize("become", EXACT, ids=lambda become: become.__name__)


@STATES
def test_exact_money(counter: Counter, become: Become) -> None:
    payment = counter.begin(counter.till.order())
    become(counter, payment)
    terms = Period.objects.count()

    outcomes = counter.tell(counter.world.pay(payment, counter.now))

    payment.refresh_from_db()
    outcome, reason = EXACT[become]
    assert (outcomes, payment.outcome, payment.reason) == ([outcome], outcome, reason)
    assert Period.objects.count() - terms == (outcome == "settled")
    assert books()[ASSET] == PRICE
    assert_sound()


@STATES
@pytest.mark.parametrize("kind", WRONG)
def test_money_that_does_not_fit_waits_for_staff(
    counter: Counter, become: Become, kind: str
) -> None:
    payment = counter.begin(counter.till.order())
    become(counter, payment)
    terms = Period.objects.count()
    minor, currency, mismatch = WRONG[kind]
    reason = "order-fulfilled" if become is fulfilled else mismatch

    counter.tell(counter.world.pay(payment, counter.now, minor=minor, currency=currency))

    (waits,) = queries.worklist(counter.now).unallocated
    assert (waits.order, waits.reason) == (payment.order, reason)
    assert Period.objects.count() == terms
    assert_sound()


@STATES
def test_said_twice_is_booked_once(counter: Counter, become: Become) -> None:
    payment = counter.begin(counter.till.order())
    become(counter, payment)
    (raw,) = counter.world.pay(payment, counter.now)
    counter.tell([raw])
    before = books()

    outcomes = counter.tell([raw, raw])

    assert outcomes == ["duplicate", "duplicate"]
    assert books() == before
    assert_sound()


@STATES
def test_other_event_of_the_same_money_is_booked_once(counter: Counter, become: Become) -> None:
    payment = counter.begin(counter.till.order())
    become(counter, payment)
    counter.tell(counter.world.pay(payment, counter.now))
    before = books()
    payment = Payment.objects.get(
        transaction_id="txn_1" if become is not said_to_have_failed else "txn_2"
    )

    outcomes = counter.say(
        "paid",
        payment,
        "evt_again",
        transaction_id=payment.transaction_id,
        money=Money(PRICE, "CNY"),
    )

    assert outcomes == ["duplicate"]
    assert books() == before
    assert_sound()


@STATES
def test_paid_a_second_time_waits_or_goes_back(counter: Counter, become: Become) -> None:
    payment = counter.begin(counter.till.order())
    become(counter, payment)
    counter.tell(counter.world.pay(payment, counter.now))

    counter.tell(counter.world.pay(payment, counter.now))

    assert books()[ASSET] == 2 * PRICE
    assert Payment.objects.filter(outcome="settled", account=counter.account).count() == (
        EXACT[become][0] == "settled"
    )
    assert_sound()


@pytest.mark.parametrize("order", ["failed first", "failed last"])
def test_events_out_of_order_come_to_the_same(counter: Counter, order: str) -> None:
    payment = counter.begin(counter.till.order())
    callbacks = [
        *counter.world.fail(payment, counter.now),
        *counter.world.pay(payment, counter.now),
    ]

    counter.tell(callbacks if order == "failed first" else callbacks[::-1])

    payment.refresh_from_db()
    assert (payment.state, payment.outcome) == ("captured", "settled")
    assert_sound()


def test_callback_that_is_faster_than_the_answer_to_start_is_found_by_our_code(
    counter: Counter,
) -> None:
    payment = counter.begin(counter.till.order())
    Payment.objects.filter(pk=payment.pk).update(state="created", provider_ref="", pay_url="")

    counter.tell(counter.world.pay(payment, counter.now))

    payment.refresh_from_db()
    assert payment.outcome == "settled"


def test_money_for_nobody_waits_for_staff(counter: Counter) -> None:
    payment = Payment(code="pay_NOBODY", amount_minor=PRICE, currency="CNY")

    counter.tell(counter.world.pay(payment, counter.now))

    (waits,) = queries.worklist(counter.now).unallocated
    assert (waits.order, waits.reason, waits.received_minor) == (None, "unknown-order", PRICE)
    assert_sound()


def test_amount_due_is_the_orders_and_not_what_was_asked_when_it_began(counter: Counter) -> None:
    order = counter.till.order()
    payment = counter.begin(order)
    Payment.objects.filter(pk=payment.pk).update(amount_minor=1)
    payment.refresh_from_db()

    counter.tell(counter.world.pay(payment, counter.now, minor=1))

    order.refresh_from_db()
    assert order.state == "open"
    assert_sound()


def test_money_that_waits_pays_an_order_of_its_amount(counter: Counter) -> None:
    payment = counter.late()
    order = counter.till.order()

    actions.assign_unallocated(payment=payment, order=order, now=counter.now, actor=OWNER)

    order.refresh_from_db()
    assert order.state == "fulfilled"
    assert books() == {ASSET: PRICE, "liabilities:unearned": PRICE}
    assert_sound()


def test_money_that_waits_is_credited_once(counter: Counter) -> None:
    payment = counter.late()
    assert payment.order is not None
    account = payment.order.account
    assert account is not None
    how = {"payment": payment, "account": account, "now": counter.now, "actor": OWNER}

    actions.credit_unallocated(**how)
    for again in (actions.credit_unallocated,):
        with pytest.raises(StaleState):
            again(**how)
    with pytest.raises(StaleState):
        actions.refund_unallocated(payment=payment, now=counter.now, actor=OWNER)

    assert balance.balance(account, "CNY") == PRICE
    assert books() == {ASSET: PRICE, "liabilities:credits": PRICE}
    assert Refund.objects.count() == 0
    assert_sound()


def test_event_without_an_amount_is_not_made() -> None:
    with pytest.raises(ValueError, match="paid"):
        Event(event_id="evt_1", kind="paid", transaction_id="txn_1")


def test_nothing_is_posted_for_what_is_no_money(counter: Counter) -> None:
    payment = counter.begin(counter.till.order())

    counter.tell(counter.world.others(payment, counter.now))

    assert LedgerTransaction.objects.count() == 0
    assert InboxEvent.objects.filter(handled_at=None).count() == 0


def test_declined_payment_says_so_and_can_still_be_paid(counter: Counter) -> None:
    payment = counter.begin(counter.till.order())

    outcomes = counter.say("declined", payment, "evt_declined")
    payment.refresh_from_db()
    assert (outcomes, payment.state, payment.reason) == (["noted"], "pending", "declined")
    assert books() == {}
    counter.tell(counter.world.pay(payment, counter.now))
    counter.say("declined", payment, "evt_declined_late")

    payment.refresh_from_db()
    assert (payment.state, payment.outcome, payment.reason) == ("captured", "settled", "")
    assert_sound()
