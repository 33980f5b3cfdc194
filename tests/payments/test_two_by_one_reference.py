"""Two payments by one reference, and a bank that takes one of them back: which one was it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage.payments import actions, queries
from ferriage.payments.models import BankAccount, Dispute, Payment, Refund, StatementLine
from ferriage.payments.providers.bank import booking, files, returns
from ferriage.plans.queries import holds_of
from statement_files import IBAN, Entry, camt
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.orders.models import Order

PRICE = 1000
FIRST, SECOND = "LINE-AAAAAA", "LINE-BBBBBB"


@pytest.fixture
def account(till: Till) -> BankAccount:
    return files.add_account(
        name="Everyday", number=IBAN, currency="CNY", now=till.now, actor=OWNER
    )


@pytest.fixture
def order(till: Till) -> Order:
    """A month that is to be paid by transfer."""
    order = till.order()
    till.transfer(order)
    return order


def reference(order: Order) -> str:
    found = Payment.objects.get(order=order, reference__isnull=False).reference
    assert found is not None
    return found


def state(till: Till, account: BankAccount, *entries: Entry) -> list[StatementLine]:
    number = str(StatementLine.objects.count() + 1)
    data = camt(list(entries), currency="CNY", version="08", number=number)
    file = files.upload(account=account, name="m.xml", data=data, now=till.now, actor=OWNER)
    stored = booking.post_file(file=file, now=till.now, actor=OWNER)
    return list(StatementLine.objects.filter(statement__in=stored).order_by("pk"))


def paid_twice(till: Till, account: BankAccount, order: Order) -> list[Payment]:
    quoted = reference(order)
    came = [
        Entry(minor=PRICE, text=quoted, reference=number, payer_iban="XX")
        for number in (FIRST, SECOND)
    ]
    lines = state(till, account, *came)
    order.refresh_from_db()
    assert [line.outcome for line in lines] == ["settled", "refund"]
    return list(Payment.objects.filter(order=order).order_by("pk"))


def taken(till: Till, account: BankAccount, text: str) -> StatementLine:
    back = Entry(minor=-PRICE, text=text, reference="REC-1", reversal=True)
    return state(till, account, back)[0]


def is_held(order: Order) -> bool:
    assert order.subscription is not None
    return bool(holds_of(order.subscription))


def test_bank_that_takes_the_second_back_pays_its_refund_and_holds_nobody(
    till: Till, account: BankAccount, order: Order
) -> None:
    paid_twice(till, account, order)

    line = taken(till, account, f"{reference(order)} RETURN")

    assert (line.outcome, Refund.objects.get().state) == ("refund-paid", "paid")
    assert (is_held(order), Dispute.objects.count()) == (False, 0)
    assert books() == {"assets:bank": PRICE, "liabilities:unearned": PRICE}
    assert_sound()


def test_number_of_the_line_that_brought_it_says_which(
    till: Till, account: BankAccount, order: Order
) -> None:
    first, _second = paid_twice(till, account, order)

    taken(till, account, f"{reference(order)} RETURN OF {FIRST}")

    assert Dispute.objects.get().payment == first
    assert is_held(order)
    assert_sound()


def test_refund_of_the_second_waits_while_the_first_is_taken_back(
    till: Till, account: BankAccount, order: Order
) -> None:
    """It may turn out that the bank took the second one, whose refund would then go out too."""
    paid_twice(till, account, order)
    taken(till, account, f"{reference(order)} RETURN OF {FIRST}")
    refund = Refund.objects.get()

    listed = queries.worklist(till.now).refunds
    with pytest.raises(actions.NotRefundable):
        actions.mark_refund_paid(refund=refund, reference="B-1", now=till.now, actor=OWNER)
    Dispute.objects.update(state="lost", closed_at=till.now)

    assert listed == []
    assert queries.worklist(till.now).refunds == [refund]


def test_line_waits_for_staff_where_neither_of_two_waits_to_go_back(
    till: Till, account: BankAccount, order: Order
) -> None:
    paid_twice(till, account, order)
    refund = Refund.objects.get()
    actions.mark_refund_paid(refund=refund, reference="B-1", now=till.now, actor=OWNER)

    line = taken(till, account, f"{reference(order)} RETURN")

    assert (line.state, is_held(order), Dispute.objects.count()) == ("waits", False, 0)
    assert_sound()


def test_money_that_was_refused_first_is_the_one_that_goes_back(
    till: Till, account: BankAccount, order: Order
) -> None:
    """The order's own payment was refused, and one that quoted the same settled it."""
    quoted = reference(order)
    refused = till.receive(quoted, PRICE, payer_place="YD").payment
    settled = till.receive(quoted, PRICE).payment
    order.refresh_from_db()
    assert (refused.outcome, settled.outcome) == ("refund", "settled")

    line = taken(till, account, f"{quoted} RETURN")

    assert (line.outcome, Refund.objects.get().payment) == ("refund-paid", refused)
    assert not is_held(order)
    assert_sound()


def test_payments_of_a_reference_are_all_that_quoted_it(
    till: Till, account: BankAccount, order: Order
) -> None:
    both = paid_twice(till, account, order)
    till.sell()

    assert list(returns.came_by([reference(order)]).order_by("pk")) == both
