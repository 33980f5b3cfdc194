"""Order states × receipts: whatever comes, it has one outcome, and that is the documented one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.ledger.models import Transfer
from ferriage.orders import actions as orders
from ferriage.orders import tasks as order_tasks
from ferriage.payments import actions, queries, tasks
from ferriage.payments.models import InboxEvent, Payment, Refund
from ferriage.payments.providers.bank.actions import ReceiptWrong
from ferriage.payments.providers.bank.reference import is_reference
from ferriage.payments.starting import NotPayable
from ferriage.plans import actions as plans
from ferriage.plans.models import Period
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from ferriage.orders.models import Order

PRICE = 1000
UNKNOWN = "0000000000"  # checks, and was given to nobody


def fulfilled(till: Till, order: Order) -> None:
    till.redeem(order, till.voucher(paid=PRICE))


def expired(till: Till, order: Order) -> None:
    till.now = order.expires_at
    order_tasks.run(till.now)


def overdue(till: Till, order: Order) -> None:
    till.now = order.expires_at


def cancelled(till: Till, order: Order) -> None:
    orders.cancel(order=order, now=till.now, actor=CUSTOMER)


def line_held(till: Till, order: Order) -> None:  # noqa: ARG001 -- one form for all
    fleet.hold_line(line=till.shop.line, reason="Cable cut", now=till.now, actor=OWNER)


def line_closed(till: Till, order: Order) -> None:  # noqa: ARG001 -- one form for all
    fleet.close_line(line=till.shop.line, now=till.now, actor=OWNER)


def other_plan_held(till: Till, order: Order) -> None:
    assert order.account is not None
    plans.grant(
        account=order.account,
        plan=till.shop.add_plan("Ten devices", till.shop.line),
        subscription=None,
        starts_at=till.now,
        ends_at=till.now + timedelta(days=9),
        reason="Outage",
        source_code="grt_1",
        now=till.now,
        actor=OWNER,
    )


REFUSALS: dict[Callable[[Till, Order], None], str] = {
    fulfilled: "order-fulfilled",
    expired: "order-expired",
    overdue: "order-expired",
    cancelled: "order-cancelled",
    line_held: "not-authorised",
    line_closed: "not-authorised",
    other_plan_held: "other-plan-held",
}
MISMATCHES = {
    "short": (PRICE - 1, "CNY", "too-little"),
    "over": (PRICE + 1, "CNY", "too-much"),
    "wrong currency": (PRICE, "EUR", "other-currency"),
}


def test_exact_money_settles_the_open_order(till: Till) -> None:
    order = till.order()
    payment = till.transfer(order)

    captured = till.receive(payment.reference, PRICE)

    order.refresh_from_db()
    assert (captured.payment, captured.outcome, captured.reason) == (payment, "settled", "")
    assert order.state == "fulfilled"
    assert books() == {"assets:bank": PRICE, "liabilities:unearned": PRICE}
    assert_sound()


@pytest.mark.parametrize("become", REFUSALS, ids=lambda become: become.__name__)
def test_exact_money_that_the_order_cannot_take_is_queued_for_refund(
    till: Till, become: Callable[[Till, Order], None]
) -> None:
    order = till.order()
    payment = till.transfer(order)
    become(till, order)
    terms = Period.objects.count()

    captured = till.receive(payment.reference, PRICE)

    assert (captured.outcome, captured.reason) == ("refund", REFUSALS[become])
    refund = Refund.objects.get()
    assert (refund.payment, refund.amount_minor, refund.state) == (payment, PRICE, "queued")
    assert books()["liabilities:refunds"] == PRICE
    assert Period.objects.count() == terms
    assert_sound()


@pytest.mark.parametrize("become", [None, *REFUSALS], ids=lambda become: become and become.__name__)
@pytest.mark.parametrize("kind", MISMATCHES)
def test_money_that_does_not_fit_waits_on_the_worklist(
    till: Till, become: Callable[[Till, Order], None] | None, kind: str
) -> None:
    order = till.order()
    payment = till.transfer(order)
    if become:
        become(till, order)
    terms = Period.objects.count()
    minor, currency, mismatch = MISMATCHES[kind]
    reason = "order-fulfilled" if become is fulfilled else mismatch

    captured = till.receive(payment.reference, minor, currency=currency)

    assert (captured.outcome, captured.reason) == ("unallocated", reason)
    assert queries.worklist(till.now).unallocated == [captured.payment]
    assert captured.payment.order == order
    assert Period.objects.count() == terms
    assert_sound()


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (UNKNOWN, "unknown-reference"),
        ("ferry 1N40A4KJ4X", "reference-mistyped"),
        ("rent for march", "no-reference"),
        ("hello ferry", "no-reference"),
        ("", "no-reference"),
    ],
)
def test_money_nobody_asked_for_waits_on_the_worklist(
    till: Till, reference: str, reason: str
) -> None:
    captured = till.receive(reference, PRICE)

    assert (captured.outcome, captured.reason) == ("unallocated", reason)
    assert captured.payment.order is None
    assert queries.worklist(till.now).unallocated == [captured.payment]
    assert_sound()


def test_slip_of_the_pen_pays_nobodys_order(till: Till) -> None:
    reference = till.transfer(till.order()).reference
    assert reference is not None
    slip = reference[:-1] + ("0" if reference[-1] != "0" else "1")

    captured = till.receive(slip, PRICE)

    assert (captured.outcome, captured.reason) == ("unallocated", "reference-mistyped")
    assert_sound()


def test_reference_is_found_among_words_that_check_by_chance(till: Till) -> None:
    reference = till.transfer(till.order()).reference

    captured = till.receive(f"{UNKNOWN} for the VPN {reference} many thanks", PRICE)

    assert captured.outcome == "settled"


def test_money_that_names_two_orders_is_for_staff_to_judge(till: Till) -> None:
    first, second = (till.transfer(till.order()).reference for _ in range(2))

    captured = till.receive(f"{first} {second}", 2 * PRICE)

    assert (captured.outcome, captured.reason) == ("unallocated", "two-references")
    assert_sound()


def test_number_that_was_booked_does_nothing_again(till: Till) -> None:
    order = till.order()
    reference = till.transfer(order).reference
    till.receive(reference, PRICE, number="T-7")
    before = books()

    again = [
        till.receive(reference, PRICE, number="T-7"),
        till.receive(UNKNOWN, PRICE, number=" T-7 "),
    ]

    assert [(answer.outcome, answer.reason) for answer in again] == [("duplicate", "settled")] * 2
    assert (Payment.objects.count(), InboxEvent.objects.count()) == (1, 1)
    assert books() == before
    assert_sound()


def test_number_that_was_booked_with_another_amount_is_refused_naming_it(till: Till) -> None:
    reference = till.transfer(till.order()).reference
    till.receive(reference, PRICE, number="T-7")

    with pytest.raises(ReceiptWrong, match=r"10\.00 CNY"):
        till.receive(reference, 2 * PRICE, number="T-7")

    assert (Payment.objects.count(), InboxEvent.objects.count()) == (1, 1)
    assert_sound()


def test_second_transfer_for_one_reference_goes_back(till: Till) -> None:
    order = till.order()
    payment = till.transfer(order)
    till.receive(payment.reference, PRICE)

    second = till.receive(payment.reference, PRICE)

    assert (second.outcome, second.reason) == ("refund", "order-fulfilled")
    assert second.payment != payment
    assert Period.objects.count() == 1
    assert_sound()


def test_exact_money_after_too_little_settles_and_the_little_still_waits(till: Till) -> None:
    payment = till.transfer(till.order())
    little = till.receive(payment.reference, 1)

    captured = till.receive(payment.reference, PRICE)

    assert captured.outcome == "settled"
    assert queries.worklist(till.now).unallocated == [little.payment]
    assert books() == {
        "assets:bank": PRICE + 1,
        "liabilities:unallocated": 1,
        "liabilities:unearned": PRICE,
    }
    assert_sound()


def test_order_whose_line_was_held_is_paid_again_once_the_line_is_back(till: Till) -> None:
    order = till.order()
    payment = till.transfer(order)
    line_held(till, order)
    till.receive(payment.reference, PRICE)
    fleet.release_line(line=till.shop.line, now=till.now, actor=OWNER)

    captured = till.receive(till.transfer(order).reference, PRICE)

    assert captured.outcome == "settled"
    assert books() == {
        "assets:bank": 2 * PRICE,
        "liabilities:refunds": PRICE,
        "liabilities:unearned": PRICE,
    }
    assert_sound()


def test_unallocated_money_is_refunded_once(till: Till) -> None:
    payment = till.receive(UNKNOWN, PRICE).payment

    actions.refund_unallocated(payment=payment, now=till.now, actor=OWNER)
    with pytest.raises(StaleState):
        actions.refund_unallocated(payment=payment, now=till.now, actor=OWNER)

    assert books() == {"assets:bank": PRICE, "liabilities:refunds": PRICE}
    assert Refund.objects.count() == 1
    assert_sound()


def test_settled_money_is_not_refunded_as_unallocated(till: Till) -> None:
    till.sell()

    with pytest.raises(StaleState):
        actions.refund_unallocated(payment=Payment.objects.get(), now=till.now, actor=OWNER)

    assert Refund.objects.count() == 0


def test_refund_is_paid_once(till: Till) -> None:
    payment = till.receive(UNKNOWN, PRICE).payment
    refund = actions.refund_unallocated(payment=payment, now=till.now, actor=OWNER)

    paid = actions.mark_refund_paid(refund=refund, reference="B-1", now=till.now, actor=OWNER)
    with pytest.raises(StaleState):
        actions.mark_refund_paid(refund=refund, reference="B-2", now=till.now, actor=OWNER)

    assert (paid.state, paid.paid_reference) == ("paid", "B-1")
    assert books() == {}
    assert queries.worklist(till.now).refunds == []
    assert_sound()


@pytest.mark.parametrize("reference", ["", "  ", "x" * 101])
def test_refund_without_the_banks_number_is_not_noted(till: Till, reference: str) -> None:
    payment = till.receive(UNKNOWN, PRICE).payment
    refund = actions.refund_unallocated(payment=payment, now=till.now, actor=OWNER)

    with pytest.raises(actions.NotRefundable):
        actions.mark_refund_paid(refund=refund, reference=reference, now=till.now, actor=OWNER)

    assert books() == {"assets:bank": PRICE, "liabilities:refunds": PRICE}


def test_order_ended_early_is_queued_once_and_again_for_what_is_owed_later(till: Till) -> None:
    order = till.sell(6)
    till.end(order, till.now + timedelta(days=60))
    ran = [tasks.run(till.now), tasks.run(till.now)]

    till.end(order, till.now + timedelta(days=5))
    ran += [tasks.run(till.now), tasks.run(till.now)]

    order.refresh_from_db()
    assert ran == [1, 0, 1, 0]
    amounts = Refund.objects.values_list("amount_minor", flat=True)
    assert sum(amounts) == order.refund_due_minor < order.amount_minor
    assert {refund.payment.order for refund in Refund.objects.all()} == {order}
    assert_sound()


def test_transfer_is_begun_once_for_an_order(till: Till) -> None:
    order = till.order()

    first, again = till.transfer(order), till.transfer(order)

    assert first == again
    assert first.reference is not None
    assert is_reference(first.reference)
    assert queries.worklist(till.now).awaited == [first]


@pytest.mark.parametrize("become", [fulfilled, expired, overdue, cancelled])
def test_transfer_is_not_begun_for_an_order_that_is_not_open(
    till: Till, become: Callable[[Till, Order], None]
) -> None:
    order = till.order()
    become(till, order)
    begun = Payment.objects.count()

    with pytest.raises(NotPayable):
        till.transfer(order)

    assert Payment.objects.count() == begun


@pytest.mark.parametrize(
    ("number", "minor"), [("", 1), ("  ", 1), ("x" * 101, 1), ("T", 0), ("T", -1), ("T", 10**16)]
)
def test_receipt_that_no_statement_holds_is_not_kept(till: Till, number: str, minor: int) -> None:
    with pytest.raises(ReceiptWrong):
        actions.book_receipt(
            reference=UNKNOWN,
            transaction_id=number,
            money=Money(minor, "CNY"),
            now=till.now,
            actor=OWNER,
        )

    assert InboxEvent.objects.count() == 0


# --- no entitlement without exactly the money (F3) --------------------------------------------


def test_beginning_a_transfer_opens_nothing(till: Till) -> None:
    order = till.order()
    till.transfer(order)

    tasks.run(till.now)
    order_tasks.run(till.now)

    order.refresh_from_db()
    assert order.state == "open"
    assert (Period.objects.count(), Transfer.objects.count()) == (0, 0)


def test_two_halves_do_not_make_a_price(till: Till) -> None:
    payment = till.transfer(till.order())

    outcomes = [till.receive(payment.reference, PRICE // 2).outcome for _half in range(2)]

    assert outcomes == ["unallocated", "unallocated"]
    assert Period.objects.count() == 0
    assert_sound()


@pytest.mark.parametrize("today", [1, 100_000])
def test_amount_asked_for_is_the_orders_not_todays(till: Till, today: int) -> None:
    payment = till.transfer(till.order())
    plans.set_price(
        plan=till.shop.plan, term_months=1, money=Money(today, "CNY"), now=till.now, actor=OWNER
    )

    outcomes = [till.receive(payment.reference, minor).outcome for minor in (today, PRICE)]

    assert outcomes == ["unallocated", "settled"]
    assert Period.objects.count() == 1
    assert_sound()
