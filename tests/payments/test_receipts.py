"""Receipts typed by hand: the limit, the second person, the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, connection, transaction

from ferriage.approvals.actions import EvidenceFile
from ferriage.approvals.models import Evidence
from ferriage.core.actors import Actor
from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.payments import actions, tasks
from ferriage.payments.capture import Captured
from ferriage.payments.models import (
    BankAccount,
    HandReceipt,
    InboxEvent,
    Payment,
    StatementLine,
)
from ferriage.payments.providers.bank import booking, files, receipts
from ferriage.payments.providers.bank.actions import ReceiptWrong
from statement_files import IBAN, Entry, camt
from till import Till, assert_sound, books
from yard import OWNER, SECOND

if TYPE_CHECKING:
    from ferriage.orders.models import Order

PHOTO = EvidenceFile(data=b"photo", title="receipt.jpg", media_type="image/jpeg")
PRICE = 1000


def enter(till: Till, minor: int = PRICE, **how: Any) -> HandReceipt | Captured:
    typed: dict[str, Any] = {
        "kind": "transfer",
        "reference": "",
        "transaction_id": "T-1",
        "money": Money(minor, "CNY"),
        "limit": 10,
        "store_dir": till.shop.yard.store,
        "now": till.now,
        "actor": OWNER,
    }
    return receipts.enter(**typed | how)


def asked(till: Till) -> tuple[Order, str]:
    order = till.order(6)
    reference = till.transfer(order).reference
    assert reference is not None
    return order, reference


def waiting(till: Till) -> tuple[Order, HandReceipt]:
    order, reference = asked(till)
    receipt = enter(till, 5000, reference=reference, file=PHOTO)
    assert isinstance(receipt, HandReceipt)
    return order, receipt


def test_receipt_up_to_the_limit_is_booked_at_once(till: Till) -> None:
    order = till.order()
    reference = till.transfer(order).reference

    captured = enter(till, reference=reference)

    assert isinstance(captured, Captured)
    assert captured.outcome == "settled"
    receipt = HandReceipt.objects.get()
    assert (receipt.needs_second, receipt.payment) == (False, captured.payment)
    assert books() == {"assets:bank": PRICE, "liabilities:unearned": PRICE}
    assert_sound()


def test_receipt_above_the_limit_does_nothing_until_another_person_confirms(till: Till) -> None:
    order, receipt = waiting(till)
    tasks.run(till.now)
    order.refresh_from_db()
    before = (order.state, books(), InboxEvent.objects.count(), receipts.waiting())

    captured = receipts.confirm(receipt=receipt, now=till.now, actor=SECOND)

    order.refresh_from_db()
    receipt.refresh_from_db()
    assert before == ("open", {}, 0, [receipt])
    assert (captured.outcome, order.state) == ("settled", "fulfilled")
    assert (receipt.entered_by, receipt.confirmed_by) == ("olga", "vera")
    assert receipts.waiting() == []
    assert books() == {"assets:bank": 5000, "liabilities:unearned": 5000}
    assert_sound()


@pytest.mark.parametrize("actor", [OWNER, Actor("staff", "OLGA"), Actor("system", "worker")])
def test_whoever_entered_it_cannot_confirm_it(till: Till, actor: Actor) -> None:
    _order, receipt = waiting(till)

    with pytest.raises(receipts.SecondPersonNeeded):
        receipts.confirm(receipt=receipt, now=till.now, actor=actor)

    assert books() == {}


def test_receipt_is_confirmed_once(till: Till) -> None:
    _order, receipt = waiting(till)
    receipts.confirm(receipt=receipt, now=till.now, actor=SECOND)

    with pytest.raises(StaleState):
        receipts.confirm(receipt=receipt, now=till.now, actor=SECOND)
    with pytest.raises(StaleState):
        receipts.drop(receipt=receipt, now=till.now, actor=SECOND)

    assert Payment.objects.filter(state="captured").count() == 1


def test_dropped_receipt_is_not_confirmed_and_its_number_is_free_again(till: Till) -> None:
    _order, receipt = waiting(till)
    with pytest.raises(ReceiptWrong, match="entered before, and waits"):
        enter(till, 5000, file=PHOTO)

    receipts.drop(receipt=receipt, now=till.now, actor=OWNER)

    with pytest.raises(StaleState):
        receipts.confirm(receipt=receipt, now=till.now, actor=SECOND)
    assert isinstance(enter(till, 5000, file=PHOTO), HandReceipt)
    assert books() == {}


@pytest.mark.parametrize(
    "change",
    [
        "confirmed_by = entered_by, confirmed_at = entered_at",
        "confirmed_by = upper(entered_by), confirmed_at = entered_at",
        "confirmed_by = 'vera'",
        "booked_at = entered_at, payment_id = (SELECT max(id) FROM payments_payment)",
        "entered_by = 'nobody'",
        "needs_second = NOT needs_second",
        "amount_minor = 1",
        "reference = 'another'",
    ],
)
def test_database_itself_asks_for_another_person(till: Till, change: str) -> None:
    _order, _receipt = waiting(till)

    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE payments_handreceipt SET {change}")  # noqa: S608 -- this test's own words


def test_receipt_is_kept_for_ever(till: Till) -> None:
    waiting(till)

    with (
        pytest.raises(DatabaseError, match="does not change"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("DELETE FROM payments_handreceipt")


@pytest.mark.parametrize(("kind", "minor"), [("cash", 100), ("transfer", 1001)])
def test_cash_and_large_amounts_need_a_file(till: Till, kind: str, minor: int) -> None:
    with pytest.raises(receipts.EvidenceMissing):
        enter(till, minor, kind=kind)

    assert HandReceipt.objects.count() == Evidence.objects.filter(approval=None).count() == 0


def test_cash_lies_in_the_till_and_goes_back_from_there(till: Till) -> None:
    captured = enter(till, kind="cash", reference="nobody", file=PHOTO)
    assert isinstance(captured, Captured)
    lay = books()

    refund = actions.refund_unallocated(payment=captured.payment, now=till.now, actor=OWNER)
    actions.mark_refund_paid(refund=refund, reference="K-1", now=till.now, actor=OWNER)

    assert lay == {"assets:cash": PRICE, "liabilities:unallocated": PRICE}
    assert books() == {}
    assert HandReceipt.objects.get().evidence == Evidence.objects.latest("pk")
    assert_sound()


def test_number_that_was_booked_before_is_not_booked_again(till: Till) -> None:
    first = enter(till)
    again = enter(till)

    assert isinstance(first, Captured)
    assert isinstance(again, Captured)
    assert (again.outcome, again.payment) == ("duplicate", first.payment)
    with pytest.raises(ReceiptWrong, match=r"10\.00 CNY"):
        enter(till, 999)
    assert HandReceipt.objects.count() == 1


def test_number_that_a_statement_brought_is_not_booked_again(till: Till) -> None:
    account = files.add_account(
        name="Everyday", number=IBAN, currency="CNY", now=till.now, actor=OWNER
    )
    data = camt([Entry(minor=PRICE, text="x", reference="T-1")], currency="CNY", opening=0)
    file = files.upload(account=account, name="a", data=data, now=till.now, actor=OWNER)
    booking.post_file(file=file, now=till.now, actor=OWNER)

    again = enter(till)

    assert isinstance(again, Captured)
    assert again.outcome == "duplicate"
    assert books() == {"assets:bank": PRICE, "liabilities:unallocated": PRICE}


def brought(till: Till, entry: Entry, version: str = "08") -> StatementLine:
    """Post a statement with one line."""
    account = BankAccount.objects.first() or files.add_account(
        name="Everyday", number=IBAN, currency="CNY", now=till.now, actor=OWNER
    )
    data = camt([entry], currency="CNY", opening=0, version=version)
    file = files.upload(account=account, name="a", data=data, now=till.now, actor=OWNER)
    booking.post_file(file=file, now=till.now, actor=OWNER)
    return StatementLine.objects.latest("pk")


def test_receipt_that_waits_is_not_booked_beside_the_statement_that_came_first(
    till: Till,
) -> None:
    order, reference = asked(till)
    receipt = enter(till, 5000, reference=reference, transaction_id="T 1x", file=PHOTO)
    assert isinstance(receipt, HandReceipt)
    line = brought(till, Entry(minor=5000, text=reference, reference="T1X", payer_iban=""))

    captured = receipts.confirm(receipt=receipt, now=till.now, actor=SECOND)

    order.refresh_from_db()
    receipt.refresh_from_db()
    assert (line.outcome, captured.outcome) == ("settled", "duplicate")
    assert (captured.payment, receipt.payment) == (line.payment, line.payment)
    assert books() == {"assets:bank": 5000, "liabilities:unearned": 5000}
    assert_sound()


def test_worker_does_not_book_a_confirmed_receipt_that_a_statement_brought(till: Till) -> None:
    _order, receipt = waiting(till)
    line = brought(till, Entry(minor=5000, text="no reference", reference="t-1"))
    HandReceipt.objects.filter(pk=receipt.pk).update(confirmed_by="vera", confirmed_at=till.now)

    ran = [tasks.run(till.now), tasks.run(till.now)]

    receipt.refresh_from_db()
    assert (ran, receipt.payment) == ([1, 0], line.payment)
    assert books() == {"assets:bank": 5000, "liabilities:unallocated": 5000}


def test_receipt_that_came_with_another_amount_is_not_confirmed_and_can_be_dropped(
    till: Till,
) -> None:
    _order, receipt = waiting(till)
    brought(till, Entry(minor=4999, text="x", reference="T-1"))

    with pytest.raises(ReceiptWrong, match=r"49\.99 CNY"):
        receipts.confirm(receipt=receipt, now=till.now, actor=SECOND)
    receipts.drop(receipt=receipt, now=till.now, actor=SECOND)

    assert books() == {"assets:bank": 4999, "liabilities:unallocated": 4999}


@pytest.mark.parametrize(("first", "then"), [("ab-1", "AB-1"), ("N 1 77", "n177")])
def test_number_is_the_same_in_any_case_and_with_blanks(till: Till, first: str, then: str) -> None:
    outcomes = [enter(till, transaction_id=number) for number in (first, then)]
    line = brought(till, Entry(minor=PRICE, text="x", reference=then))

    assert [one.outcome for one in outcomes if isinstance(one, Captured)] == [
        "unallocated",
        "duplicate",
    ]
    assert line.outcome == "duplicate"
    assert books() == {"assets:bank": PRICE, "liabilities:unallocated": PRICE}


def test_number_of_a_statement_is_known_however_it_is_typed(till: Till) -> None:
    brought(till, Entry(minor=PRICE, text="x", reference="Ab 17"))

    again = enter(till, transaction_id="aB17")

    assert isinstance(again, Captured)
    assert again.outcome == "duplicate"
    assert books() == {"assets:bank": PRICE, "liabilities:unallocated": PRICE}


def test_limit_is_in_whole_units_of_the_currency(till: Till) -> None:
    above = enter(till, 11, money=Money(11, "JPY"), file=PHOTO)
    at_it = enter(till, 10, money=Money(10, "JPY"), transaction_id="T-2")

    assert isinstance(above, HandReceipt)
    assert isinstance(at_it, Captured)


def test_confirmed_receipt_that_a_crash_left_is_booked_by_the_worker(till: Till) -> None:
    order, receipt = waiting(till)
    HandReceipt.objects.filter(pk=receipt.pk).update(confirmed_by="vera", confirmed_at=till.now)

    ran = [tasks.run(till.now), tasks.run(till.now)]

    order.refresh_from_db()
    assert (ran, order.state) == ([1, 0], "fulfilled")
    assert_sound()
