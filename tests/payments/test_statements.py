"""From a statement's file to the books: what each line comes to, and that it does so once."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry
from ferriage.orders import actions as orders
from ferriage.payments import actions as payments
from ferriage.payments import capture, tasks
from ferriage.payments.models import (
    BankAccount,
    InboxEvent,
    Payment,
    Refund,
    StatementFile,
    StatementLine,
)
from ferriage.payments.providers.bank import booking, files
from ferriage.payments.providers.bank.queries import comparison
from ferriage.payments.providers.bank.statement import StatementUnreadable
from ferriage.plans.models import Period
from statement_files import FEE, IBAN, RENT, Entry, camt, china_csv
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.orders.models import Order

PRICE = 1000


@pytest.fixture
def account(till: Till) -> BankAccount:
    return files.add_account(
        name="Everyday", number=IBAN, currency="CNY", now=till.now, actor=OWNER
    )


def statement(*entries: Entry, opening: int = 0, version: str = "08", number: str = "1") -> bytes:
    return camt(list(entries), currency="CNY", opening=opening, version=version, number=number)


def post(till: Till, account: BankAccount, data: bytes, *, take_opening: bool = False) -> None:
    file = files.upload(account=account, name="march.xml", data=data, now=till.now, actor=OWNER)
    booking.post_file(file=file, take_opening=take_opening, now=till.now, actor=OWNER)


def test_money_that_the_bank_took_back_in_the_column_of_what_came_waits(
    till: Till, account: BankAccount
) -> None:
    order, _entry = wanted(till)
    told = Payment.objects.get(order=order).reference
    head = "交易日期,收入金额,支出金额,余额,摘要,流水号\n"
    lines = f"2026-03-01,10.00,,110.00,{told},A1\n2026-03-02,-10.00,,100.00,冲正 {told},A2\n"

    post(till, account, (head + lines).encode())

    assert outcomes() == [(1000, "done", "settled"), (-1000, "waits", "")]
    assert_sound()


def test_lines_that_their_balances_contradict_are_posted_after_a_look(
    till: Till, account: BankAccount
) -> None:
    data = b"Date;Text;Amount;Balance\n2026-03-01;a;10.00;110.00\n2026-03-02;b;30.00;80.00\n"
    file = files.upload(account=account, name="m.csv", data=data, now=till.now, actor=OWNER)

    with pytest.raises(files.StatementRefused, match="do not follow"):
        booking.post_file(file=file, now=till.now, actor=OWNER)
    nothing = outcomes()
    booking.post_file(file=file, take_doubtful=True, now=till.now, actor=OWNER)

    assert nothing == []
    assert [row[0] for row in outcomes()] == [1000, 3000]
    assert_sound()


@pytest.mark.parametrize(
    ("currency", "written", "minor"),
    [("JPY", ["1,000", "2500"], [1000, 2500]), ("KWD", ["12.500", "1,003.000"], [12500, 1003000])],
)
def test_csv_is_booked_by_the_decimals_of_its_currency(
    till: Till, currency: str, written: list[str], minor: list[int]
) -> None:
    account = files.add_account(
        name="Far", number=IBAN, currency=currency, now=till.now, actor=OWNER
    )
    rows = "".join(f"2026-03-02;{cell};x;N{cell}\n" for cell in written)

    post(till, account, f"Date;Amount;Purpose;Reference\n{rows}".encode())

    assert outcomes() == [(one, "done", "unallocated") for one in minor]
    assert_sound()


def outcomes() -> list[tuple[int, str, str]]:
    rows = StatementLine.objects.order_by("pk")
    return [(line.amount_minor, line.state, line.outcome) for line in rows]


def wanted(till: Till) -> tuple[Order, Entry]:
    """Return an order and the transfer that pays it, wrapped as banks do."""
    order = till.order()
    reference = till.transfer(order).reference
    assert reference is not None
    text = f"Thank you for the ferry, our ref. {reference.lower()}, kind regards"
    return order, Entry(minor=PRICE, text=text, reference=f"R{order.pk}", payer_iban="XX")


def owed(till: Till) -> Refund:
    """Return a refund that is queued."""
    order = till.order()
    reference = till.transfer(order).reference
    orders.cancel(order=order, now=till.now, actor=CUSTOMER)
    return Refund.objects.get(payment=till.receive(reference, PRICE).payment)


def test_transfer_settles_its_order(till: Till, account: BankAccount) -> None:
    order, paid = wanted(till)

    post(till, account, statement(paid))

    order.refresh_from_db()
    assert order.state == "fulfilled"
    assert outcomes() == [(PRICE, "done", "settled")]
    assert books() == {"assets:bank": PRICE, "liabilities:unearned": PRICE}
    assert_sound()


@pytest.mark.parametrize(
    ("minor", "outcome", "reason"),
    [(PRICE - 1, "unallocated", "too-little"), (PRICE + 1, "unallocated", "too-much")],
)
def test_other_amount_waits_in_suspense(
    till: Till, account: BankAccount, minor: int, outcome: str, reason: str
) -> None:
    order, paid = wanted(till)

    post(till, account, statement(Entry(minor=minor, text=paid.text)))

    line = StatementLine.objects.get()
    assert (line.outcome, line.payment and line.payment.order) == (outcome, order)
    assert reason_noted() == reason
    assert_sound()


def reason_noted() -> str:
    entry = AuditEntry.objects.filter(action="payment.captured").latest("sequence")
    return str(entry.details["reason"])


def test_same_and_overlapping_statements_post_nothing_twice(
    till: Till, account: BankAccount
) -> None:
    _order, paid = wanted(till)
    twice = Entry(minor=500, text="a friend")
    post(till, account, statement(paid, twice, twice))
    before, count = books(), StatementLine.objects.count()

    post(till, account, statement(paid, twice, twice))
    post(till, account, statement(twice, paid, FEE, twice, version="02", number="2"))

    assert count == 3
    assert StatementLine.objects.count() == 4
    assert books() == before | {"assets:bank": PRICE + 1000 - 390, "expenses:fees": 390}
    assert InboxEvent.objects.count() == 3
    assert_sound()


def test_second_transfer_of_one_reference_goes_back(till: Till, account: BankAccount) -> None:
    _order, paid = wanted(till)

    post(till, account, statement(paid, Entry(minor=PRICE, text=paid.text, reference="again")))

    assert outcomes() == [(PRICE, "done", "settled"), (PRICE, "done", "refund")]
    assert_sound()


def test_receipt_that_was_booked_by_hand_is_not_booked_again(
    till: Till, account: BankAccount
) -> None:
    order, paid = wanted(till)
    by_hand = till.receive(Payment.objects.get(order=order).reference, PRICE, number=paid.reference)

    post(till, account, statement(paid))

    assert by_hand.outcome == "settled"
    assert outcomes() == [(PRICE, "done", "duplicate")]
    assert StatementLine.objects.get().payment == by_hand.payment
    assert books() == {"assets:bank": PRICE, "liabilities:unearned": PRICE}


def test_second_line_of_a_number_that_was_booked_by_hand_is_booked(
    till: Till, account: BankAccount
) -> None:
    same = [Entry(minor=500, text=f"transfer {number}", reference="SAME") for number in range(2)]
    till.receive("", 500, number="SAME")

    post(till, account, statement(*same))

    assert outcomes() == [(500, "done", "duplicate"), (500, "done", "unallocated")]
    assert books() == {"assets:bank": 1000, "liabilities:unallocated": 1000}


@pytest.mark.parametrize(("presumed", "state"), [("", "fulfilled"), ("SE", "open")])
def test_line_that_names_no_country_is_presumed_in_that_of_the_shops_bank(
    till: Till, account: BankAccount, presumed: str, state: str
) -> None:
    order, paid = wanted(till)
    data = china_csv([paid])
    file = files.upload(account=account, name="a", data=data, now=till.now, actor=OWNER)

    booking.post_file(file=file, presumed_place=presumed, now=till.now, actor=OWNER)

    order.refresh_from_db()
    assert order.state == state
    assert_sound()


def test_outgoing_line_with_a_refunds_code_pays_it(till: Till, account: BankAccount) -> None:
    refund = owed(till)
    text = f"Refund {refund.code.replace('_', ' ')}"

    post(till, account, statement(Entry(minor=-PRICE, text=text, reference="OUT-1"), opening=9999))

    refund.refresh_from_db()
    line = StatementLine.objects.get()
    assert (refund.state, refund.paid_reference) == ("paid", f"OUT-1 ({line.code})")
    assert (line.outcome, line.refund) == ("refund-paid", refund)
    assert books() == {}
    assert_sound()


def test_refund_that_comes_back_is_queued_and_paid_again(till: Till, account: BankAccount) -> None:
    refund = owed(till)
    out = Entry(minor=-PRICE, text=refund.code, reference="OUT-1")
    back = Entry(minor=PRICE, text=f"RETURNED {refund.code}", reference="IN-1", reversal=True)
    post(till, account, statement(out))

    post(till, account, statement(out, back))
    refund.refresh_from_db()
    queued = (refund.state, refund.paid_at, books())
    post(till, account, statement(Entry(minor=-PRICE, text=refund.code, reference="OUT-2")))

    refund.refresh_from_db()
    assert queued == ("queued", None, {"assets:bank": PRICE, "liabilities:refunds": PRICE})
    assert refund.state == "paid"
    assert books() == {}
    assert_sound()


def test_transfer_that_its_bank_takes_back_goes_from_suspense(
    till: Till, account: BankAccount
) -> None:
    _order, paid = wanted(till)
    reference = Payment.objects.get().reference
    orders.cancel(order=_order, now=till.now, actor=CUSTOMER)
    recall = Entry(minor=-PRICE, text=f"RECALL {reference}", reference="REC-1", reversal=True)

    post(till, account, statement(paid, recall))

    assert outcomes() == [(PRICE, "done", "refund"), (-PRICE, "done", "refund-paid")]
    assert books() == {}
    assert_sound()


def test_recall_of_money_that_settled_is_a_dispute(till: Till, account: BankAccount) -> None:
    _order, paid = wanted(till)
    recall = Entry(minor=-PRICE, text=paid.text, reference="REC-1", reversal=True)

    post(till, account, statement(paid, recall))

    assert outcomes() == [(PRICE, "done", "settled"), (-PRICE, "done", "recalled")]
    assert_sound()


def test_outgoing_line_that_nobody_knows_waits_and_staff_book_it(
    till: Till, account: BankAccount
) -> None:
    post(till, account, statement(RENT, opening=99999), take_opening=True)
    line = StatementLine.objects.get()
    waited = (line.state, books())

    booking.post_other(
        line=line, account="expenses:other", reason="Rack, March", now=till.now, actor=OWNER
    )
    with pytest.raises(StaleState):
        booking.post_other(
            line=line, account="expenses:other", reason="Again", now=till.now, actor=OWNER
        )

    assert waited == ("waits", {"assets:bank": 99999, "equity:opening": 99999})
    assert books()["expenses:other"] == 50000
    assert comparison(account).difference_minor == 0
    assert_sound()


def test_line_that_was_booked_on_another_page_is_noted_and_posts_nothing(
    till: Till, account: BankAccount
) -> None:
    refund = owed(till)
    payments.mark_refund_paid(refund=refund, reference="by hand", now=till.now, actor=OWNER)
    post(till, account, statement(Entry(minor=-PRICE, text=refund.code)))
    waited = outcomes()

    booking.post_other(
        line=StatementLine.objects.get(),
        account=booking.ALREADY,
        reason="Noted when it was paid",
        now=till.now,
        actor=OWNER,
    )

    assert waited == [(-PRICE, "waits", "")]
    assert outcomes() == [(-PRICE, "done", "noted")]
    assert books() == {}
    assert_sound()


@pytest.mark.parametrize(
    ("book_account", "reason"), [("income:ferry", "x"), ("expenses:fees", " ")]
)
def test_line_is_booked_with_a_reason_to_an_account_for_such(
    till: Till, account: BankAccount, book_account: str, reason: str
) -> None:
    post(till, account, statement(RENT))

    with pytest.raises(booking.LineWrong):
        booking.post_other(
            line=StatementLine.objects.get(),
            account=book_account,
            reason=reason,
            now=till.now,
            actor=OWNER,
        )

    assert outcomes() == [(-50000, "waits", "")]


def test_staff_say_which_refund_a_line_paid(till: Till, account: BankAccount) -> None:
    refund, other = owed(till), owed(till)
    post(till, account, statement(Entry(minor=-PRICE, text="to a customer")))
    line = StatementLine.objects.get()

    booking.pay_with(line=line, refund=refund, now=till.now, actor=OWNER)
    with pytest.raises(StaleState):
        booking.pay_with(line=line, refund=other, now=till.now, actor=OWNER)

    refund.refresh_from_db()
    other.refresh_from_db()
    assert (refund.state, other.state) == ("paid", "queued")
    assert_sound()


def test_refund_of_another_amount_is_not_paid_by_a_line(till: Till, account: BankAccount) -> None:
    refund = owed(till)
    post(till, account, statement(Entry(minor=-999, text=refund.code)))

    with pytest.raises(booking.LineWrong):
        booking.pay_with(line=StatementLine.objects.get(), refund=refund, now=till.now, actor=OWNER)

    assert outcomes() == [(-999, "waits", "")]


# --- files ------------------------------------------------------------------------------------


def test_draft_posts_nothing_and_is_emptied_when_dropped(till: Till, account: BankAccount) -> None:
    _order, paid = wanted(till)
    file = files.upload(
        account=account, name="a.xml", data=statement(paid), now=till.now, actor=OWNER
    )
    assert (books(), file.state) == ({}, "draft")

    files.drop(file=file, now=till.now, actor=OWNER)

    file.refresh_from_db()
    assert (file.state, file.content) == ("dropped", None)
    for act in (files.drop, booking.post_file):
        with pytest.raises(StaleState):
            act(file=file, now=till.now, actor=OWNER)
    assert StatementLine.objects.count() == 0


def test_draft_that_nobody_posts_is_emptied_by_the_worker(till: Till, account: BankAccount) -> None:
    files.upload(account=account, name="a", data=statement(FEE), now=till.now, actor=OWNER)
    before = tasks.run(till.now + files.FORGOTTEN - timedelta(seconds=1))

    ran = tasks.run(till.now + files.FORGOTTEN)

    assert (before, ran) == (0, 1)
    assert StatementFile.objects.get().content is None


def test_posted_file_is_emptied(till: Till, account: BankAccount) -> None:
    post(till, account, statement(FEE))

    assert StatementFile.objects.get().content is None


def test_statement_of_another_account_or_currency_is_refused(
    till: Till, account: BankAccount
) -> None:
    other = camt([FEE], iban="DE89370400440532013000", currency="CNY")
    for data in (other, camt([FEE], currency="EUR")):
        with pytest.raises(files.StatementRefused, match="This is a statement of account"):
            files.upload(account=account, name="a", data=data, now=till.now, actor=OWNER)

    assert StatementFile.objects.count() == 0


def test_statement_that_does_not_add_up_posts_nothing(till: Till, account: BankAccount) -> None:
    data = camt([FEE], currency="CNY", opening=1000, closing=611)
    file = files.upload(account=account, name="a", data=data, now=till.now, actor=OWNER)

    with pytest.raises(files.StatementRefused, match="do not make its closing balance"):
        booking.post_file(file=file, now=till.now, actor=OWNER)

    assert (StatementLine.objects.count(), books()) == (0, {})


def test_days_that_one_kind_of_file_covers_take_no_other(till: Till, account: BankAccount) -> None:
    post(till, account, statement(Entry(minor=5, text="x", day="2026-03-02")))
    same_day = china_csv([Entry(minor=5, text="x", day="2026-03-02", reference="1")])
    later = china_csv([Entry(minor=7, text="x", day="2026-03-03", reference="2")])

    with pytest.raises(files.StatementRefused, match="another kind"):
        post(till, account, same_day)
    post(till, account, later)

    assert [line.amount_minor for line in StatementLine.objects.order_by("pk")] == [5, 7]


def test_layout_of_a_posted_csv_is_kept_for_the_next(till: Till, account: BankAccount) -> None:
    order, paid = wanted(till)
    post(till, account, china_csv([paid]))

    account.refresh_from_db()
    order.refresh_from_db()
    assert order.state == "fulfilled"
    assert account.layout["encoding"] == "gb18030"


def test_csv_in_unknown_words_waits_for_its_layout(till: Till, account: BankAccount) -> None:
    _order, paid = wanted(till)
    data = f"wann;wieviel;was\n2026-03-02;10,00;{paid.text}\n".encode()
    file = files.upload(account=account, name="a", data=data, now=till.now, actor=OWNER)
    with pytest.raises(StatementUnreadable):
        booking.post_file(file=file, now=till.now, actor=OWNER)

    layout = files.csvfile.Layout(
        encoding="utf-8-sig",
        delimiter=";",
        heading=0,
        date_format="%Y-%m-%d",
        decimal=",",
        day=0,
        amount=1,
        text=(2,),
    )
    file = files.set_layout(file=file, layout=layout, now=till.now, actor=OWNER)
    booking.post_file(file=file, now=till.now, actor=OWNER)

    assert outcomes() == [(PRICE, "done", "settled")]


def test_opening_balance_is_taken_once_and_the_bank_and_the_books_agree(
    till: Till, account: BankAccount
) -> None:
    _order, paid = wanted(till)
    post(till, account, statement(paid, FEE, opening=70000), take_opening=True)
    post(till, account, statement(Entry(minor=1, text="x"), opening=70610), take_opening=True)

    told = comparison(account)

    assert books()["equity:opening"] == 70000
    assert (told.book_minor, told.bank_minor, told.difference_minor) == (70611, 70611, 0)


def test_opening_balance_is_taken_from_the_first_statement_that_has_one(
    till: Till, account: BankAccount
) -> None:
    _order, paid = wanted(till)
    bare = f"date;amount;text\n2026-02-27;-5.00;pens\n2026-02-27;10.00;{paid.text}\n".encode()
    post(till, account, bare)
    # The bank held 695.00 before, and 700.00 after the two lines.
    post(till, account, statement(FEE, opening=70000), take_opening=True)

    told = comparison(account)

    assert books()["equity:opening"] == 70000 - PRICE + 500
    assert (told.waiting_minor, told.bank_minor, told.difference_minor) == (-500, 69610, 0)


def test_balances_of_a_csv_agree_with_the_books_and_overlaps_are_no_gap(
    till: Till, account: BankAccount
) -> None:
    head = "date;amount;text;balance"
    rows = ["2026-03-01;5.00;a;105.00", "2026-03-02;5.00;b;110.00", "2026-03-03;5.00;c;115.00"]
    rows += ["2026-03-05;5.00;e;125.00"]
    for some in (rows[:2], rows[1:3]):
        post(till, account, "\n".join([head, *some]).encode(), take_opening=True)
    overlapping = comparison(account)
    post(till, account, "\n".join([head, *rows[3:]]).encode())

    told = comparison(account)

    assert (overlapping.difference_minor, overlapping.gaps) == (0, ())
    assert books()["equity:opening"] == 10000
    assert (told.difference_minor, len(told.gaps)) == (-500, 1)


def test_what_waits_and_what_is_missing_shows_as_difference(
    till: Till, account: BankAccount
) -> None:
    post(till, account, statement(RENT, opening=70000))

    told = comparison(account)

    assert (told.book_minor, told.waiting_minor, told.bank_minor) == (0, -50000, 20000)
    assert told.difference_minor == -70000


def test_second_account_of_a_currency_has_books_of_its_own(
    till: Till, account: BankAccount
) -> None:
    second = files.add_account(name="Savings", number="", currency="CNY", now=till.now, actor=OWNER)
    _order, paid = wanted(till)

    post(till, second, statement(paid))

    assert account.book_account == "assets:bank"
    assert books() == {second.book_account: PRICE, "liabilities:unearned": PRICE}
    assert payments.queries.check() == []


# --- what the database itself holds -----------------------------------------------------------


@pytest.mark.parametrize(
    "change", ["amount_minor = 1", "text = 'x'", "key = 'x'", "booked_on = '2020-01-01'"]
)
def test_what_the_bank_said_cannot_be_changed(
    till: Till, account: BankAccount, change: str
) -> None:
    post(till, account, statement(FEE))

    for statement_ in (
        f"UPDATE payments_statementline SET {change}",  # noqa: S608 -- of this test's own words
        "UPDATE payments_statementline SET state = 'kept', done_at = NULL",
        "DELETE FROM payments_statementline",
    ):
        with (
            pytest.raises(DatabaseError, match="what the bank said"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement_)


def test_worker_books_what_a_crash_left(till: Till, account: BankAccount) -> None:
    _order, paid = wanted(till)
    data = statement(paid, FEE)
    file = files.upload(account=account, name="a", data=data, now=till.now, actor=OWNER)
    files.store(file=file, now=till.now, actor=OWNER)
    assert (Period.objects.count(), outcomes()[0][1]) == (0, "kept")

    ran = [tasks.run(till.now), tasks.run(till.now)]

    assert ran == [2, 0]
    assert outcomes() == [(PRICE, "done", "settled"), (-390, "done", "fee")]
    assert_sound()


def test_lines_are_booked_together_with_one_reading_of_the_register(
    till: Till, account: BankAccount
) -> None:
    asked = [wanted(till) for _number in range(4)]

    with CaptureQueriesContext(connection) as done:
        post(till, account, statement(*(entry for _order, entry in asked)))

    said = [query["sql"] for query in done.captured_queries]
    assert sum('FROM "approvals_determination"' in sql for sql in said) == 1
    assert outcomes() == [(PRICE, "done", "settled")] * 4
    assert_sound()


@pytest.mark.parametrize("fault", [StaleState("refused"), RuntimeError("a bug")])
def test_line_that_fails_holds_no_other_and_is_booked_later(
    till: Till, account: BankAccount, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    asked = [wanted(till) for _number in range(3)]
    settle, broken = capture.settle, asked[1][0]

    def fails(**how: Any) -> Any:
        if how["order"] == broken:
            raise fault
        return settle(**how)

    monkeypatch.setattr(capture, "settle", fails)
    with suppress(RuntimeError):
        post(till, account, statement(*(entry for _order, entry in asked)))
    settled = [outcome for _minor, _state, outcome in outcomes()]
    assert_sound()
    monkeypatch.undo()
    booking.book_kept(till.now)

    # What nobody expected rises at its line; the worker does what comes after it.
    after = "settled" if isinstance(fault, StaleState) else ""
    assert settled == ["settled", "", after]
    assert outcomes() == [(PRICE, "done", "settled")] * 3
    assert_sound()
