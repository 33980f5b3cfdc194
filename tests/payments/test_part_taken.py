"""Money without an order of which its payer takes back a part: none of it goes out twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage.core.actors import Actor
from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.orders import balance
from ferriage.payments import actions, disputes, queries, recalls, seconds
from ferriage.payments.models import BankAccount, Dispute, Payment, Refund, StatementLine
from ferriage.payments.providers.bank import booking, files
from statement_files import IBAN, Entry, camt
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.payments.models import Proposal

PRICE = 1000
PART = 600
REST = PRICE - PART
ANNA, BERT = Actor("staff", "anna"), Actor("staff", "bert")


@pytest.fixture
def account(till: Till) -> BankAccount:
    return files.add_account(
        name="Everyday", number=IBAN, currency="CNY", now=till.now, actor=OWNER
    )


@pytest.fixture
def came(till: Till) -> Payment:
    """What came without a usable reference, and is exactly what an order asks for."""
    return till.receive("typo", PRICE).payment


def taken(till: Till, account: BankAccount, payment: Payment, minor: int = PART) -> None:
    """Let staff say that the bank took back so much of a payment."""
    number = str(StatementLine.objects.count() + 1)
    data = camt(
        [Entry(minor=-minor, text="out", reference=f"L{number}")],
        currency="CNY",
        version="08",
        number=number,
    )
    file = files.upload(account=account, name="m.xml", data=data, now=till.now, actor=OWNER)
    booking.post_file(file=file, take_opening=False, now=till.now, actor=OWNER)
    line = StatementLine.objects.latest("pk")
    booking.take_back_with(line=line, payment=payment, now=till.now, actor=OWNER)
    payment.refresh_from_db()


def lose(till: Till) -> None:
    still = Dispute.objects.get(state="open")
    disputes.lose(dispute=still, now=till.now, actor=OWNER)


def give(till: Till, payment: Payment, what: str) -> None:
    how = {"payment": payment, "now": till.now, "actor": OWNER}
    if what == "refund":
        actions.refund_unallocated(**how)
        return
    order = till.order()
    if what == "assign":
        actions.assign_unallocated(order=order, **how)
    else:
        assert order.account is not None
        actions.credit_unallocated(account=order.account, **how)


@pytest.mark.parametrize("what", ["refund", "credit", "assign"])
def test_nothing_of_it_goes_anywhere_while_a_part_is_being_taken_back(
    till: Till, account: BankAccount, came: Payment, what: str
) -> None:
    taken(till, account, came)
    before = books()

    with pytest.raises(actions.NotAssignable):
        give(till, came, what)

    came.refresh_from_db()
    assert came.outcome == "unallocated"
    assert books() == before
    assert_sound()


def test_rest_of_it_waits_when_a_part_is_gone(
    till: Till, account: BankAccount, came: Payment
) -> None:
    taken(till, account, came)
    disputed = [(one.gone_minor, one.is_disputed) for one in queries.worklist(till.now).unallocated]

    lose(till)

    after = [(one.gone_minor, one.is_disputed) for one in queries.worklist(till.now).unallocated]
    assert (disputed, after) == ([(0, True)], [(PART, False)])
    assert books() == {"assets:bank": REST, "liabilities:unallocated": REST}
    assert_sound()


def test_rest_of_it_is_credited(till: Till, account: BankAccount, came: Payment) -> None:
    taken(till, account, came)
    lose(till)
    order = till.order()
    assert order.account is not None

    actions.credit_unallocated(payment=came, account=order.account, now=till.now, actor=OWNER)

    assert balance.available(order.account, "CNY") == REST
    assert books() == {"assets:bank": REST, "liabilities:credits": REST}
    assert_sound()


def test_rest_of_it_is_sent_back(till: Till, account: BankAccount, came: Payment) -> None:
    taken(till, account, came)
    lose(till)

    refund = actions.refund_unallocated(payment=came, now=till.now, actor=OWNER)
    actions.mark_refund_paid(refund=refund, reference="B-1", now=till.now, actor=OWNER)

    assert refund.amount_minor == REST
    assert books() == {}
    assert_sound()


def test_rest_of_it_pays_no_order(till: Till, account: BankAccount, came: Payment) -> None:
    """An order is settled by exactly what it asks for, and as much as came."""
    taken(till, account, came)
    lose(till)
    order = till.order()

    with pytest.raises(actions.NotAssignable, match="Credit what is left"):
        actions.assign_unallocated(payment=came, order=order, now=till.now, actor=OWNER)

    assert_sound()


def test_rest_of_it_that_the_bank_takes_too_goes_back_at_once(
    till: Till, account: BankAccount, came: Payment
) -> None:
    taken(till, account, came)
    lose(till)

    taken(till, account, came, REST)

    assert (came.outcome, Refund.objects.get().state) == ("refund", "paid")
    assert books() == {}
    assert_sound()


def test_parts_that_are_all_gone_leave_nothing(
    till: Till, account: BankAccount, came: Payment
) -> None:
    taken(till, account, came, 300)
    taken(till, account, came, 700)
    first, second = Dispute.objects.order_by("pk")

    disputes.lose(dispute=second, now=till.now, actor=OWNER)
    with pytest.raises(actions.NotAssignable):
        actions.refund_unallocated(payment=came, now=till.now, actor=OWNER)
    disputes.lose(dispute=first, now=till.now, actor=OWNER)

    came.refresh_from_db()
    assert came.outcome == "charged-back"
    assert books() == {}
    assert_sound()


def test_all_of_it_goes_on_when_the_part_came_again(
    till: Till, account: BankAccount, came: Payment
) -> None:
    taken(till, account, came)
    again = till.receive("no reference", PART).payment
    recalls.win(dispute=Dispute.objects.get(), payment=again, now=till.now, actor=OWNER)
    order = till.order()

    actions.assign_unallocated(payment=came, order=order, now=till.now, actor=OWNER)

    order.refresh_from_db()
    assert order.state == "fulfilled"
    assert books() == {"assets:bank": PRICE, "liabilities:unearned": PRICE}
    assert_sound()


def test_money_that_is_being_taken_back_is_not_what_came_again(
    till: Till, account: BankAccount, came: Payment
) -> None:
    taken(till, account, came)
    first = Dispute.objects.get()
    other = till.receive("no reference", PART).payment
    taken(till, account, other, PART - 1)

    with pytest.raises(actions.NotAssignable):
        recalls.win(dispute=first, payment=other, now=till.now, actor=OWNER)

    first.refresh_from_db()
    assert first.state == "open"
    assert_sound()


# --- a second person --------------------------------------------------------------------------


@pytest.fixture
def proposal(till: Till, came: Payment) -> Proposal:
    order = till.order()
    proposed = seconds.credit(payment=came, order=order, limit=1, now=till.now, actor=ANNA)
    assert proposed is not None
    return proposed


def test_proposal_is_not_confirmed_while_its_money_is_being_taken_back(
    till: Till, account: BankAccount, came: Payment, proposal: Proposal
) -> None:
    taken(till, account, came)

    with pytest.raises(actions.NotAssignable):
        seconds.confirm(proposal=proposal, now=till.now, actor=BERT)

    assert seconds.waiting() == [proposal]
    assert_sound()


def test_proposal_of_more_than_is_left_is_dropped_and_made_anew(
    till: Till, account: BankAccount, came: Payment, proposal: Proposal
) -> None:
    taken(till, account, came)
    lose(till)

    with pytest.raises(actions.NotAssignable, match="Drop this"):
        seconds.confirm(proposal=proposal, now=till.now, actor=BERT)
    seconds.drop(proposal=proposal, now=till.now, actor=BERT)
    anew = seconds.send_back(payment=came, limit=1, now=till.now, actor=ANNA)
    assert anew is not None
    seconds.confirm(proposal=anew, now=till.now, actor=BERT)

    assert (anew.amount_minor, Refund.objects.get().amount_minor) == (REST, REST)
    assert_sound()


def test_nothing_is_proposed_of_money_that_is_being_taken_back(
    till: Till, account: BankAccount, came: Payment
) -> None:
    taken(till, account, came)

    with pytest.raises(actions.NotAssignable):
        seconds.send_back(payment=came, limit=1, now=till.now, actor=ANNA)

    assert seconds.waiting() == []


def test_what_went_on_meanwhile_is_not_taken_twice(
    till: Till, account: BankAccount, came: Payment
) -> None:
    taken(till, account, came)
    lose(till)
    actions.refund_unallocated(payment=came, now=till.now, actor=OWNER)

    with pytest.raises(StaleState):
        actions.refund_unallocated(payment=came, now=till.now, actor=OWNER)

    assert Money(Refund.objects.get().amount_minor, "CNY") == Money(REST, "CNY")


@pytest.mark.parametrize("state", ["queued", "by_hand"])
def test_refund_that_waits_is_less_by_the_part_that_is_gone(
    till: Till, account: BankAccount, came: Payment, state: str
) -> None:
    whole = actions.refund_unallocated(payment=came, now=till.now, actor=OWNER)
    Refund.objects.filter(pk=whole.pk).update(state=state)

    taken(till, account, came)
    assert queries.worklist(till.now).refunds == []
    lose(till)

    part, rest = Refund.objects.order_by("pk")
    assert [(part.amount_minor, part.state), (rest.amount_minor, rest.state)] == [
        (PART, "paid"),
        (REST, state),
    ]
    assert part.paid_reference == Dispute.objects.get().code
    assert books() == {"assets:bank": REST, "liabilities:refunds": REST}
    assert_sound()
    (owed,) = queries.worklist(till.now).refunds
    actions.mark_refund_paid(refund=owed, reference="B-1", now=till.now, actor=OWNER)
    assert books() == {}
    assert_sound()
    whole.refresh_from_db()
    assert (whole.amount_minor, whole.state) == (PRICE, "replaced")
    with pytest.raises(StaleState):
        actions.mark_refund_paid(refund=whole, reference="B-2", now=till.now, actor=OWNER)


def test_second_part_takes_what_is_left_of_the_refund(
    till: Till, account: BankAccount, came: Payment
) -> None:
    actions.refund_unallocated(payment=came, now=till.now, actor=OWNER)
    for minor in (PART, 300):
        taken(till, account, came, minor)
        lose(till)
        assert_sound()
    # All that is still owed of it: nothing is disputed of that.
    taken(till, account, came, 100)
    assert_sound()

    paid = Refund.objects.order_by("pk").values_list("amount_minor", "state")
    assert list(paid) == [(PART, "paid"), (300, "paid"), (100, "paid")]
    assert books() == {}


def test_part_that_came_again_leaves_the_refund_whole(
    till: Till, account: BankAccount, came: Payment
) -> None:
    actions.refund_unallocated(payment=came, now=till.now, actor=OWNER)
    taken(till, account, came)
    again = till.receive("", PART).payment
    recalls.win(dispute=Dispute.objects.get(), payment=again, now=till.now, actor=OWNER)

    owed = Refund.objects.get(kind="unallocated")
    assert (owed.amount_minor, owed.state) == (PRICE, "queued")
    assert_sound()


def test_order_that_was_ended_owes_what_the_part_did_not_pay(
    till: Till, account: BankAccount
) -> None:
    order = till.sell()
    till.end(order, till.now)
    payment = Payment.objects.get(order=order)
    taken(till, account, payment)
    lose(till)

    assert books() == {"assets:bank": REST, "liabilities:refunds": REST}
    assert actions.queue_ended(order=order, now=till.now, actor=OWNER) is None
    assert [one.amount_minor for one in queries.worklist(till.now).refunds] == [REST]
    assert_sound()
