"""A bank's recall of money that settled: held, then won, lost, or never of this payment."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import IntegrityError, transaction

from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.devices.models import Device
from ferriage.ledger import actions as ledger
from ferriage.ledger import partners
from ferriage.ledger.models import LedgerTransaction, Partner, Transfer
from ferriage.ledger.reversing import NotReversible, reverse, undoable
from ferriage.orders import actions as orders
from ferriage.orders.earning import earned_of
from ferriage.payments import actions, disputes, queries, recalls
from ferriage.payments.closing import close_month
from ferriage.payments.models import BankAccount, Dispute, Payment, Refund, StatementLine
from ferriage.payments.providers.bank import booking, files
from ferriage.payments.providers.bank.queries import comparison
from ferriage.plans.queries import holds_of, subscription_end
from ferriage.plans.terms import boundary
from statement_files import IBAN, Entry, camt, china_csv
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.orders.models import Order

PRICE = 1000
DAY = timedelta(days=1)


@pytest.fixture
def account(till: Till) -> BankAccount:
    return files.add_account(
        name="Everyday", number=IBAN, currency="CNY", now=till.now, actor=OWNER
    )


@pytest.fixture
def sold(till: Till) -> Order:
    """A month that was sold by transfer, with a device on it."""
    order = till.sell()
    assert order.subscription is not None
    till.shop.device(order.subscription)
    return order


def post(till: Till, account: BankAccount, *entries: Entry, number: str = "1") -> None:
    data = camt(list(entries), currency="CNY", version="08", number=number)
    file = files.upload(account=account, name="m.xml", data=data, now=till.now, actor=OWNER)
    booking.post_file(file=file, take_opening=False, now=till.now, actor=OWNER)


def reference(order: Order) -> str:
    found = Payment.objects.get(order=order, outcome="settled").reference
    assert found is not None
    return found


def recall(till: Till, account: BankAccount, order: Order, minor: int = PRICE) -> Dispute:
    """Let the bank take back what an order was paid with."""
    text = f"RCUR {reference(order)}"
    post(till, account, Entry(minor=-minor, text=text, reference="REC-1", reversal=True))
    return Dispute.objects.get(account=None)


def held() -> tuple[bool, str]:
    device = Device.objects.get()
    return device.hold_at is not None, device.hold_reason


def test_recall_holds_the_service_and_the_money_is_in_transit(
    till: Till, account: BankAccount, sold: Order
) -> None:
    dispute = recall(till, account, sold)

    assert (dispute.state, dispute.amount_minor) == ("open", PRICE)
    assert held() == (True, "staff")
    assert sold.subscription is not None
    assert [hold.reason for hold in holds_of(sold.subscription)] == ["payment-disputed"]
    assert StatementLine.objects.get().outcome == "recalled"
    assert books() == {"assets:disputed": PRICE, "liabilities:unearned": PRICE}
    assert queries.worklist(till.now).disputes == [dispute]
    assert comparison(account).book_minor == 0
    assert_sound()


def test_line_without_a_reference_is_known_by_the_number_of_the_one_that_brought_it(
    till: Till, account: BankAccount
) -> None:
    order = till.order()
    text = f"ref {till.transfer(order).reference}"
    paid = Entry(minor=PRICE, text=text, reference="NTB-77812", payer_iban="XX")
    back = Entry(minor=-PRICE, text="Return of ntb-77812", reference="REC-2", reversal=True)

    post(till, account, paid, back)

    assert Dispute.objects.get().payment.order == order
    assert_sound()


def test_line_that_names_nobody_waits_until_staff_say_what_it_took_back(
    till: Till, account: BankAccount, sold: Order
) -> None:
    """A CSV has no mark for returns, so nobody but staff can tell."""
    data = china_csv([Entry(minor=-PRICE, text=f"out {reference(sold)}", reference="L1")])
    file = files.upload(account=account, name="a", data=data, now=till.now, actor=OWNER)
    booking.post_file(file=file, now=till.now, actor=OWNER)
    line = StatementLine.objects.get()
    waited = (line.state, held()[1])
    payment = Payment.objects.get(order=sold)

    booking.take_back_with(line=line, payment=payment, now=till.now, actor=OWNER)
    with pytest.raises(StaleState):
        booking.take_back_with(line=line, payment=payment, now=till.now, actor=OWNER)

    assert waited == ("waits", "term")
    assert held() == (True, "staff")
    assert books() == {"assets:disputed": PRICE, "liabilities:unearned": PRICE}
    assert_sound()


def test_more_than_came_is_not_taken_back(till: Till, account: BankAccount, sold: Order) -> None:
    post(till, account, Entry(minor=-PRICE - 1, text="out", reference="L1"))
    line = StatementLine.objects.get()

    with pytest.raises(recalls.RecallWrong):
        booking.take_back_with(
            line=line, payment=Payment.objects.get(order=sold), now=till.now, actor=OWNER
        )

    assert StatementLine.objects.get().state == "waits"
    assert_sound()


def test_second_recall_of_one_payment_waits_for_staff(
    till: Till, account: BankAccount, sold: Order
) -> None:
    recall(till, account, sold)
    again = Entry(minor=-PRICE, text=reference(sold), reference="REC-9", reversal=True)

    post(till, account, again, number="2")

    assert [line.state for line in StatementLine.objects.order_by("pk")] == ["done", "waits"]
    assert Dispute.objects.count() == 1
    assert_sound()


# --- won --------------------------------------------------------------------------------------


def test_same_amount_by_the_same_reference_lets_the_service_go_on(
    till: Till, account: BankAccount, sold: Order
) -> None:
    assert sold.subscription is not None
    end = subscription_end(sold.subscription).at
    dispute = recall(till, account, sold)
    till.now += DAY

    back = Entry(minor=PRICE, text=reference(sold), reference="IN-9", day="2026-03-03")
    post(till, account, back, number="2")

    dispute.refresh_from_db()
    assert dispute.state == "won"
    assert Device.objects.get().hold_at == end
    assert StatementLine.objects.latest("pk").outcome == "returned"
    assert Refund.objects.count() == 0
    assert books() == {"assets:bank": PRICE, "liabilities:unearned": PRICE}
    assert comparison(account).book_minor == PRICE
    assert_sound()


def test_receipt_typed_by_hand_ends_a_recall_too(
    till: Till, account: BankAccount, sold: Order
) -> None:
    recall(till, account, sold)

    assert till.receive(reference(sold), PRICE).outcome == "returned"
    assert till.receive(reference(sold), PRICE).outcome == "refund"
    assert_sound()


def test_money_that_waits_is_named_by_staff_as_what_came_again(
    till: Till, account: BankAccount, sold: Order
) -> None:
    dispute = recall(till, account, sold)
    other = till.receive("", PRICE - 1).payment
    payment = till.receive("no reference", PRICE).payment

    with pytest.raises(recalls.RecallWrong):
        recalls.win(dispute=dispute, payment=other, now=till.now, actor=OWNER)
    recalls.win(dispute=dispute, payment=payment, now=till.now, actor=OWNER)
    with pytest.raises(StaleState):
        recalls.win(dispute=dispute, payment=payment, now=till.now, actor=OWNER)

    payment.refresh_from_db()
    assert payment.outcome == "returned"
    assert books() == {
        "assets:bank": 2 * PRICE - 1,
        "liabilities:unallocated": PRICE - 1,
        "liabilities:unearned": PRICE,
    }
    assert_sound()


def test_payment_that_came_again_can_be_taken_back_again(
    till: Till, account: BankAccount, sold: Order
) -> None:
    recall(till, account, sold)
    till.receive(reference(sold), PRICE)
    again = Entry(minor=-PRICE, text=reference(sold), reference="REC-9", reversal=True)

    post(till, account, again, number="2")

    assert list(Dispute.objects.order_by("pk").values_list("state", flat=True)) == ["won", "open"]
    assert held() == (True, "staff")
    assert_sound()


def taken_again(till: Till, account: BankAccount, payment: Payment) -> Dispute:
    """Let staff say that the bank took a payment back, as they find it by now."""
    payment.refresh_from_db()
    out = Entry(minor=-(payment.received_minor or 0), text="Chargeback", reference="L7")
    post(till, account, out, number="2")
    line = StatementLine.objects.latest("pk")
    booking.take_back_with(line=line, payment=payment, now=till.now, actor=OWNER)
    return Dispute.objects.latest("pk")


@pytest.mark.parametrize("quoted", [True, False])
def test_what_came_again_stands_for_the_payment_that_was_taken_back(
    till: Till, account: BankAccount, sold: Order, *, quoted: bool
) -> None:
    """Taken back itself, it holds what that one paid for, and ends it when it is lost."""
    first = recall(till, account, sold)
    again = till.receive(reference(sold) if quoted else "no reference", PRICE).payment
    if not quoted:
        recalls.win(dispute=first, payment=again, now=till.now, actor=OWNER)

    second = taken_again(till, account, again)
    open_books = books()
    while_open = held()
    disputes.lose(dispute=second, now=till.now, actor=OWNER)

    assert second.payment == first.payment
    assert while_open == (True, "staff")
    assert open_books == {"assets:disputed": PRICE, "liabilities:unearned": PRICE}
    assert sold.subscription is not None
    assert subscription_end(sold.subscription).is_over(till.now)
    assert books() == {}
    assert_sound()


def test_what_came_again_for_what_came_again_stands_for_the_first(
    till: Till, account: BankAccount, sold: Order
) -> None:
    """What brought it again was itself taken back and came again, before anybody assigned it."""
    first = recall(till, account, sold)
    second = till.receive("", PRICE).payment
    how: dict[str, Any] = {"from_account": "assets:bank", "now": till.now, "actor": OWNER}
    part = recalls.take_back(payment=second, money=Money(600, "CNY"), reference="R-2", **how)
    third = till.receive("", 600).payment
    recalls.win(dispute=part, payment=third, now=till.now, actor=OWNER)
    recalls.win(dispute=first, payment=second, now=till.now, actor=OWNER)
    ran = held()

    again = recalls.take_back(payment=third, money=Money(600, "CNY"), reference="R-3", **how)

    assert again.payment == first.payment
    assert (ran[1], held()[1]) == ("term", "staff")
    assert_sound()


def test_what_came_again_twice_ends_each_recall_once(
    till: Till, account: BankAccount, sold: Order
) -> None:
    recall(till, account, sold)
    second = taken_again(till, account, till.receive(reference(sold), PRICE).payment)

    last = till.receive(reference(sold), PRICE)

    second.refresh_from_db()
    assert (second.state, second.came_again, last.outcome) == ("won", last.payment, "returned")
    assert held()[1] == "term"
    assert recalls.is_taken(last.payment) is False
    assert_sound()


def test_no_more_is_taken_back_than_came_again(
    till: Till, account: BankAccount, sold: Order
) -> None:
    post(till, account, Entry(minor=-300, text="out", reference="L1"))
    booking.take_back_with(
        line=StatementLine.objects.get(),
        payment=Payment.objects.get(order=sold),
        now=till.now,
        actor=OWNER,
    )
    again = till.receive(reference(sold), 300).payment
    post(till, account, Entry(minor=-PRICE, text="out", reference="L2"), number="2")

    with pytest.raises(recalls.RecallWrong):
        booking.take_back_with(
            line=StatementLine.objects.latest("pk"), payment=again, now=till.now, actor=OWNER
        )

    assert_sound()


def test_recall_moved_to_what_came_again_is_of_the_payment_it_stands_for(
    till: Till, account: BankAccount, sold: Order
) -> None:
    recall(till, account, sold)
    again = till.receive(reference(sold), PRICE).payment
    other = taken_again(till, account, Payment.objects.get(order=till.sell()))

    moved = recalls.move(dispute=other, payment=again, now=till.now, actor=OWNER)

    assert moved.payment.order == sold
    with pytest.raises(recalls.RecallWrong):
        recalls.move(dispute=moved, payment=again, now=till.now, actor=OWNER)
    assert_sound()


def test_database_lets_one_payment_come_again_for_one_recall(
    till: Till, account: BankAccount, sold: Order
) -> None:
    recall(till, account, sold)
    till.receive(reference(sold), PRICE)
    won = Dispute.objects.get()
    won.pk, won.code, won.reference = None, "dsp_other", "REC-2"

    with pytest.raises(IntegrityError), transaction.atomic():
        won.save(force_insert=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Dispute.objects.update(state="void")


# --- lost -------------------------------------------------------------------------------------


def test_lost_recall_ends_the_term_and_reverses_what_was_earned(
    till: Till, account: BankAccount, sold: Order
) -> None:
    dispute = recall(till, account, sold)
    till.now += 10 * DAY
    orders.recognise(now=till.now)
    earned = books()["income:ferry"]

    assert disputes.lose(dispute=dispute, now=till.now, actor=OWNER)
    assert not disputes.lose(dispute=dispute, now=till.now, actor=OWNER)

    assert sold.subscription is not None
    assert earned == PRICE * 10 // 31
    assert books() == {}
    assert subscription_end(sold.subscription).is_over(till.now)
    assert queries.worklist(till.now).disputes == []
    assert_sound()


def test_lost_recall_lowers_the_shares_of_the_month(
    till: Till, account: BankAccount, sold: Order
) -> None:
    ledger.add_partner(name="anna", now=till.now, actor=OWNER)
    month = till.now.date().replace(day=1)
    ledger.agree(
        service="ferry",
        shares={"": 5000, "anna": 5000},
        valid_from=month,
        now=till.now,
        actor=OWNER,
    )
    other = till.sell()
    till.now += 10 * DAY
    orders.recognise(now=till.now)
    disputes.lose(dispute=recall(till, account, sold), now=till.now, actor=OWNER)
    till.now = boundary(till.now.replace(day=1, hour=0, minute=0, second=0), 1)
    earned = earned_of(other, till.now)

    close_month(month=month, now=till.now, actor=OWNER)

    assert earned > 500
    assert abs(partners.payable_minor(Partner.objects.get(), "CNY") - earned / 2) < 1
    assert_sound()


def test_lost_recall_of_a_part_is_a_loss_and_the_term_goes_on(
    till: Till, account: BankAccount, sold: Order
) -> None:
    post(till, account, Entry(minor=-300, text="out", reference="L1"))
    payment = Payment.objects.get(order=sold)
    line = StatementLine.objects.get()
    booking.take_back_with(line=line, payment=payment, now=till.now, actor=OWNER)

    disputes.lose(dispute=Dispute.objects.get(), now=till.now, actor=OWNER)

    assert books() == {
        "assets:bank": 700,
        "expenses:disputes": 300,
        "liabilities:unearned": PRICE,
    }
    assert held()[1] == "term"
    assert_sound()


def test_refund_that_is_owed_waits_and_goes_by_the_recall(
    till: Till, account: BankAccount, sold: Order
) -> None:
    till.end(sold, till.now)
    refund = actions.queue_ended(order=sold, now=till.now, actor=OWNER)
    assert refund is not None
    dispute = recall(till, account, sold)
    listed = queries.worklist(till.now).refunds

    with pytest.raises(actions.NotRefundable):
        actions.mark_refund_paid(refund=refund, reference="B-1", now=till.now, actor=OWNER)
    disputes.lose(dispute=dispute, now=till.now, actor=OWNER)

    refund.refresh_from_db()
    assert (listed, refund.state) == ([], "paid")
    assert books() == {}
    assert_sound()


def test_credited_money_that_is_recalled_is_taken_from_the_balance(
    till: Till, account: BankAccount
) -> None:
    order = till.order()
    text = till.transfer(order).reference
    orders.cancel(order=order, now=till.now, actor=CUSTOMER)
    payment = till.receive(text, PRICE - 1).payment
    assert order.account is not None
    actions.credit_unallocated(payment=payment, account=order.account, now=till.now, actor=OWNER)
    post(till, account, Entry(minor=1 - PRICE, text="out", reference="L1"))
    line = StatementLine.objects.get()
    booking.take_back_with(line=line, payment=payment, now=till.now, actor=OWNER)

    disputes.lose(dispute=Dispute.objects.get(), now=till.now, actor=OWNER)

    assert books() == {}
    assert_sound()


# --- never of this payment --------------------------------------------------------------------


def test_recall_of_another_payment_moves_there(
    till: Till, account: BankAccount, sold: Order
) -> None:
    other = till.sell()
    dispute = recall(till, account, sold)

    moved = recalls.move(
        dispute=dispute,
        payment=Payment.objects.get(order=other),
        now=till.now,
        actor=OWNER,
    )

    dispute.refresh_from_db()
    assert (dispute.state, moved.state, moved.payment.order) == ("void", "open", other)
    assert held()[1] == "term"
    assert other.subscription is not None
    assert len(holds_of(other.subscription)) == 1
    assert books() == {
        "assets:bank": PRICE,
        "assets:disputed": PRICE,
        "liabilities:unearned": 2 * PRICE,
    }
    assert_sound()


def test_what_was_no_recall_is_booked_elsewhere_with_a_reason(
    till: Till, account: BankAccount, sold: Order
) -> None:
    dispute = recall(till, account, sold)

    with pytest.raises(recalls.RecallWrong):
        recalls.void(dispute=dispute, account="income:ferry", reason="x", now=till.now, actor=OWNER)
    recalls.void(
        dispute=dispute, account="expenses:fees", reason="Their fee", now=till.now, actor=OWNER
    )

    assert held()[1] == "term"
    assert books() == {"expenses:fees": PRICE, "liabilities:unearned": PRICE}
    assert_sound()


def test_no_posting_of_a_recall_is_undone_in_the_books_alone(
    till: Till, account: BankAccount, sold: Order
) -> None:
    """The recall would stay open, and the money in transit be nowhere."""
    dispute = recall(till, account, sold)
    recalls.void(
        dispute=dispute, account="expenses:fees", reason="Their fee", now=till.now, actor=OWNER
    )
    posted = LedgerTransaction.objects.filter(source_code=dispute.code)
    before = books()

    for one in posted:
        with pytest.raises(NotReversible):
            reverse(transaction=one, reason="x", now=till.now, actor=OWNER)

    assert {one.kind for one in posted} == {"recalled", "recall-void"}
    assert undoable(Transfer.objects.filter(transaction__in=posted)) == []
    assert books() == before
    assert_sound()


def test_database_keeps_one_recall_a_line(till: Till, account: BankAccount, sold: Order) -> None:
    dispute = recall(till, account, sold)
    dispute.pk, dispute.code = None, "dsp_other"

    with pytest.raises(IntegrityError), transaction.atomic():
        dispute.save(force_insert=True)


def test_open_recall_that_the_books_do_not_hold_is_found(
    till: Till, account: BankAccount, sold: Order
) -> None:
    dispute = recall(till, account, sold)
    Dispute.objects.filter(pk=dispute.pk).update(amount_minor=1)

    found = queries.check()

    assert [finding.account for finding in found] == ["assets:disputed CNY"]
