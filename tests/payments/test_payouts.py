"""A provider's payout on the bank's statement is no second receipt."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.payments import settlement
from ferriage.payments.models import BankAccount, StatementLine
from ferriage.payments.providers.bank import booking, files, queries
from stand_in import StandIn
from statement_files import IBAN, Entry, camt
from till import books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter

PAID_OUT = 971


@pytest.fixture
def account(counter: Counter) -> BankAccount:
    return files.add_account(
        name="Everyday", number=IBAN, currency="CNY", now=counter.now, actor=OWNER
    )


def pay_out(counter: Counter) -> None:
    """Sell something over the net, and let the provider pay it out."""
    payment = counter.sell()
    assert payment.transaction_id is not None
    counter.line("row_1", "charge", payment.transaction_id, 1000, 29)
    counter.line("row_out", "payout", "po_17", -PAID_OUT)
    counter.till.now += timedelta(hours=1)
    settlement.read_books(account=counter.account, now=counter.now)


def post(counter: Counter, account: BankAccount, *entries: Entry) -> list[tuple[int, str]]:
    data = camt(list(entries), currency="CNY", opening=0)
    file = files.upload(account=account, name="a", data=data, now=counter.now, actor=OWNER)
    told = [
        line.expected
        for preview in queries.preview(file, now=counter.now)
        for line in preview.lines
    ]
    booking.post_file(file=file, now=counter.now, actor=OWNER)
    lines = StatementLine.objects.order_by("pk").values_list("outcome", flat=True)
    assert [("payout" in words) for words in told] == [outcome == "payout" for outcome in lines]
    return list(StatementLine.objects.order_by("pk").values_list("amount_minor", "outcome"))


@pytest.mark.parametrize("text", ["Transfer PO_17 of March", f"{StandIn.slug.upper()} PAYMENTS"])
def test_payout_that_arrives_posts_nothing_again(
    counter: Counter, account: BankAccount, text: str
) -> None:
    pay_out(counter)
    before = books()

    came = post(counter, account, Entry(minor=PAID_OUT, text=text, reference="1"))

    assert came == [(PAID_OUT, "payout")]
    assert books() == before
    assert before["assets:bank"] == PAID_OUT


@pytest.mark.parametrize(("minor", "text"), [(PAID_OUT, "somebody else"), (PAID_OUT - 1, "po_17")])
def test_other_money_is_no_payout(
    counter: Counter, account: BankAccount, minor: int, text: str
) -> None:
    pay_out(counter)

    came = post(counter, account, Entry(minor=minor, text=text, reference="1"))

    assert came == [(minor, "unallocated")]
    assert books()["assets:bank"] == PAID_OUT + minor


def test_payer_who_quotes_a_reference_is_no_payout(counter: Counter, account: BankAccount) -> None:
    till = counter.till
    counter.line("row_out", "payout", "po_17", -1000)
    settlement.read_books(account=counter.account, now=counter.now)
    order = till.order()
    text = f"{till.transfer(order).reference} as by {StandIn.slug} last time"

    came = post(
        counter,
        account,
        Entry(minor=1000, text=text, reference="1", payer_iban=""),
        Entry(minor=1000, text="po_17", reference="2"),
    )

    order.refresh_from_db()
    assert came == [(1000, "settled"), (1000, "payout")]
    assert order.state == "fulfilled"


def test_one_payout_is_one_line(counter: Counter, account: BankAccount) -> None:
    pay_out(counter)
    same = Entry(minor=PAID_OUT, text="po_17")
    post(counter, account, same)

    data = camt([same, same], currency="CNY", opening=0)
    file = files.upload(account=account, name="b", data=data, now=counter.now, actor=OWNER)
    booking.post_file(file=file, now=counter.now, actor=OWNER)

    outcomes = StatementLine.objects.order_by("pk").values_list("outcome", flat=True)
    assert list(outcomes) == ["payout", "unallocated"]
