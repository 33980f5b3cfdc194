"""Lines of a statement that meet what staff typed, and what a bank takes back of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage.core.money import Money
from ferriage.payments.models import BankAccount, StatementLine
from ferriage.payments.providers.bank import booking, files, queries, receipts
from statement_files import IBAN, Entry, camt
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.orders.models import Order

PRICE = 1000
NUMBER = "BANK-777"
COMES_TO = {
    "settles": "settled",
    "recall": "recalled",
    "sent-back": "refund-paid",
    "waits": "",
    "refused": "refund",
}
"""What a line comes to where that has another name than what was foreseen."""


@pytest.fixture
def account(till: Till) -> BankAccount:
    return files.add_account(
        name="Everyday", number=IBAN, currency="CNY", now=till.now, actor=OWNER
    )


def asked(till: Till) -> tuple[Order, str]:
    order = till.order()
    reference = till.transfer(order).reference
    assert reference is not None
    return order, reference


def typed(till: Till, reference: str, minor: int = PRICE) -> None:
    receipts.enter(
        kind="transfer",
        reference=reference,
        transaction_id=NUMBER,
        money=Money(minor, "CNY"),
        limit=50,
        store_dir=till.shop.yard.store,
        now=till.now,
        actor=OWNER,
    )


def post(
    till: Till, account: BankAccount, *entries: Entry, opening: int = 0, number: str = "1"
) -> list[str]:
    """Return what lines came to, after it was foreseen so."""
    data = camt(list(entries), currency="CNY", version="08", opening=opening, number=number)
    file = files.upload(account=account, name="m.xml", data=data, now=till.now, actor=OWNER)
    [preview] = queries.preview(file, now=till.now)
    before = StatementLine.objects.count()
    booking.post_file(file=file, take_opening=bool(opening), now=till.now, actor=OWNER)
    came = [line.outcome for line in StatementLine.objects.order_by("pk")[before:]]
    assert [COMES_TO.get(line.expected, line.expected) for line in preview.lines] == came
    assert_sound()
    return came


# --- a number that was typed with another amount ----------------------------------------------


def test_line_of_a_typed_number_and_another_amount_waits_and_says_why(
    till: Till, account: BankAccount
) -> None:
    _order, reference = asked(till)
    typed(till, reference)

    came = post(till, account, Entry(minor=995, text=reference, reference="bank-777"))

    assert came == [""]
    [line] = queries.waiting_lines()
    assert line.note == "10.00 CNY"
    assert books() == {"assets:bank": 1000, "liabilities:unearned": 1000}


def test_line_that_was_typed_wrongly_is_noted_and_books_nothing(
    till: Till, account: BankAccount
) -> None:
    typed(till, asked(till)[1])
    post(till, account, Entry(minor=995, reference=NUMBER))
    [line] = queries.waiting_lines()
    before = books()

    with pytest.raises(booking.LineWrong):
        booking.post_other(
            line=line, account="expenses:fees", reason="x", now=till.now, actor=OWNER
        )
    line = booking.post_other(
        line=line, account=booking.ALREADY, reason="typed wrongly", now=till.now, actor=OWNER
    )

    assert (line.outcome, line.note, books()) == ("noted", "typed wrongly", before)
    assert_sound()


def test_line_whose_number_the_bank_gave_twice_is_booked_like_any_other(
    till: Till, account: BankAccount
) -> None:
    typed(till, asked(till)[1])
    order, reference = asked(till)
    order_due = order.due.amount_minor
    typed_otherwise = Entry(minor=order_due, text=reference, reference=NUMBER)
    settled = post(till, account, Entry(minor=order_due - 1, text=reference, reference=NUMBER))
    [line] = queries.waiting_lines()

    line = booking.post_other(
        line=line, account=booking.OWN, reason="another payer", now=till.now, actor=OWNER
    )
    met = post(till, account, typed_otherwise, number="2")

    assert (settled, line.outcome, line.note, met) == ([""], "unallocated", "", ["duplicate"])
    assert_sound()


# --- the opening balance ----------------------------------------------------------------------


def test_opening_is_not_lowered_by_what_was_typed_and_the_statement_brings(
    till: Till, account: BankAccount
) -> None:
    typed(till, asked(till)[1])

    came = post(till, account, Entry(minor=PRICE, reference=NUMBER), opening=100000)

    assert came == ["duplicate"]
    assert books() == {
        "assets:bank": 101000,
        "equity:opening": 100000,
        "liabilities:unearned": 1000,
    }
    assert queries.comparison(account).difference_minor == 0
