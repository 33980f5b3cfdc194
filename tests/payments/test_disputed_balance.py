"""What a disputed payment put on a balance: held while it is open, and taken when it is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dearer import held_by, open_dearer
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.orders import actions as orders
from ferriage.orders import balance
from ferriage.payments import actions, disputes, recalls, topups
from ferriage.payments.models import Payment
from till import THREE_DAYS, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter
    from ferriage.accounts.models import Account
    from ferriage.orders.models import Order
    from till import Till

PRICE = 1000
MINUTE = timedelta(minutes=1)


@pytest.fixture
def account(till: Till) -> Account:
    return till.shop.account()


def paid(counter: Counter, order: Order) -> Payment:
    payment = counter.begin(order)
    counter.tell(counter.world.pay(payment, counter.now))
    payment.refresh_from_db()
    order.refresh_from_db()
    assert payment.outcome == "settled"
    return payment


def say(counter: Counter, payment: Payment, word: str, dispute: str = "dp_1") -> None:
    counter.say(
        f"dispute-{word}",
        payment,
        f"evt_{dispute}_{word}",
        dispute=dispute,
        money=Money(payment.amount_minor, "CNY"),
        reason="fraudulent",
    )


def shown(account: Account) -> list[tuple[int, int, int]]:
    """Return what the page of the balance says: all, for open orders, held."""
    return [
        (one.amount_minor, one.reserved.amount_minor, one.held.amount_minor)
        for one in balance.balances_of(account)
    ]


def test_disputed_top_up_is_not_spent_and_lost_it_is_taken(
    counter: Counter, account: Account
) -> None:
    payment = paid(counter, counter.till.order_topup(account, 2500))
    order = counter.till.order(account=account)
    assert payment.order is not None

    say(counter, payment, "opened")
    left = balance.available(account, "CNY")
    with pytest.raises(balance.BalanceTooLow):
        orders.pay_from_balance(order=order, minor=PRICE, now=counter.now, actor=CUSTOMER)
    with pytest.raises(topups.NothingToReturn):
        topups.return_topup(order=payment.order, now=counter.now, actor=CUSTOMER)
    assert shown(account) == [(2500, 0, 2500)]
    assert_sound()
    say(counter, payment, "lost")

    assert left == 0
    assert shown(account) == [(0, 0, 0)]
    assert books() == {}
    assert_sound()


def test_dispute_that_is_won_gives_the_balance_back(counter: Counter, account: Account) -> None:
    payment = paid(counter, counter.till.order_topup(account, 2500))
    say(counter, payment, "opened")

    say(counter, payment, "won")
    order = orders.pay_from_balance(
        order=counter.till.order(account=account), now=counter.now, actor=CUSTOMER
    )

    assert order.state == "fulfilled"
    assert shown(account) == [(1500, 0, 0)]
    assert_sound()


def test_only_what_is_free_is_held_and_other_money_stays_free(
    counter: Counter, account: Account
) -> None:
    till = counter.till
    payment = paid(counter, till.order_topup(account, 1200))
    reserving = till.order(12, account=account)
    orders.pay_from_balance(order=reserving, minor=900, now=till.now, actor=CUSTOMER)

    say(counter, payment, "opened")
    assert shown(account) == [(1200, 900, 300)]
    till.top_up(account, PRICE)
    assert balance.available(account, "CNY") == PRICE
    assert_sound()
    orders.cancel(order=reserving, now=till.now, actor=CUSTOMER)
    say(counter, payment, "lost")

    assert shown(account) == [(PRICE, 0, 0)]
    assert books() == {"assets:bank": PRICE, "liabilities:credits": PRICE}
    assert_sound()


def test_two_disputes_hold_each_its_part(counter: Counter, account: Account) -> None:
    first = paid(counter, counter.till.order_topup(account, 700))
    counter.till.now += MINUTE
    second = paid(counter, counter.till.order_topup(account, 500))
    say(counter, first, "opened", "dp_1")
    say(counter, second, "opened", "dp_2")

    say(counter, first, "lost", "dp_1")
    held = shown(account)
    say(counter, second, "won", "dp_2")

    assert held == [(500, 0, 500)]
    assert shown(account) == [(500, 0, 0)]
    assert_sound()


def test_what_a_change_of_plan_put_on_the_balance_is_held_too(counter: Counter) -> None:
    till = counter.till
    dearer = open_dearer(till)
    account = till.shop.account()
    order = dearer.place(account)
    payment = paid(counter, order)
    dearer.change(held_by(order), price=till.shop.prices[1])

    say(counter, payment, "opened")
    assert shown(account) == [(26_000, 0, 26_000)]
    say(counter, payment, "lost")

    assert shown(account) == [(0, 0, 0)]
    assert_sound()


@pytest.mark.parametrize("word", ["won", "lost"])
def test_recall_of_a_top_up_by_a_bank_holds_it_too(till: Till, account: Account, word: str) -> None:
    order = till.top_up(account, 2500)
    payment = Payment.objects.get(order=order, outcome="settled")

    dispute = recalls.take_back(
        payment=payment,
        money=Money(2500, "CNY"),
        reference="REC-1",
        from_account="assets:bank",
        now=till.now,
        actor=OWNER,
    )

    assert shown(account) == [(2500, 0, 2500)]
    assert_sound()
    if word == "lost":
        disputes.lose(dispute=dispute, now=till.now, actor=OWNER)
    else:
        recalls.void(
            dispute=dispute, account="expenses:fees", reason="ours", now=till.now, actor=OWNER
        )
    assert shown(account) == [(0 if word == "lost" else 2500, 0, 0)]
    assert balance.available(account, "CNY") == (0 if word == "lost" else 2500)


# --- money that came to a balance another way, or later ---------------------------------------


def credited(counter: Counter, account: Account) -> Payment:
    """Let money come for an order that was cancelled, and staff put it on a balance."""
    payment = counter.late()
    actions.credit_unallocated(payment=payment, account=account, now=counter.now, actor=OWNER)
    payment.refresh_from_db()
    return payment


@pytest.mark.parametrize(("word", "left"), [("won", PRICE), ("lost", 0)])
def test_what_staff_credited_is_held_and_taken_too(
    counter: Counter, account: Account, word: str, left: int
) -> None:
    payment = credited(counter, account)
    counter.till.top_up(account, 300)

    say(counter, payment, "opened")
    held = shown(account)
    say(counter, payment, word)

    assert held == [(1300, 0, 1000)]
    assert shown(account) == [(300 + left, 0, 0)]
    assert balance.available(account, "CNY") == 300 + left
    assert_sound()


def test_recall_of_what_was_credited_holds_it(till: Till, account: Account) -> None:
    payment = till.receive("nobody's", 700).payment
    actions.credit_unallocated(payment=payment, account=account, now=till.now, actor=OWNER)
    payment.refresh_from_db()

    dispute = recalls.take_back(
        payment=payment,
        money=Money(700, "CNY"),
        reference="REC-1",
        from_account="assets:bank",
        now=till.now,
        actor=OWNER,
    )
    held = shown(account)
    disputes.lose(dispute=dispute, now=till.now, actor=OWNER)

    assert held == [(700, 0, 700)]
    assert shown(account) == [(0, 0, 0)]
    assert books() == {}
    assert_sound()


@pytest.mark.parametrize("how", ["cancelled", "expired", "paid otherwise"])
def test_what_an_open_order_reserved_is_held_when_it_is_let_go(
    counter: Counter, account: Account, how: str
) -> None:
    till = counter.till
    payment = paid(counter, till.order_topup(account, 1200))
    reserving = till.order(12, account=account)
    orders.pay_from_balance(order=reserving, minor=900, now=till.now, actor=CUSTOMER)
    say(counter, payment, "opened")
    till.top_up(account, PRICE)
    before = shown(account)

    if how == "cancelled":
        orders.cancel(order=reserving, now=till.now, actor=CUSTOMER)
    elif how == "expired":
        till.now = reserving.expires_at
        orders.expire_due(now=till.now, actor=OWNER)
    else:
        orders.pay_from_balance(order=reserving, minor=0, now=till.now, actor=CUSTOMER)

    assert before == [(2200, 900, 300)]
    assert shown(account) == [(2200, 0, 1200)]
    assert_sound()
    say(counter, payment, "lost")
    assert shown(account) == [(PRICE, 0, 0)]


def test_what_comes_back_of_an_order_is_held_as_far_as_it_was_disputed(
    counter: Counter, account: Account
) -> None:
    till = counter.till
    payment = paid(counter, till.order_topup(account, 800))
    till.top_up(account, 400)
    order = orders.pay_from_balance(order=till.order(account=account), now=till.now, actor=CUSTOMER)
    say(counter, payment, "opened")
    before = shown(account)

    till.end(order, till.now)

    # The oldest money was spent first: 800 of the top-up that is disputed, 200 of the other.
    assert before == [(200, 0, 0)]
    assert shown(account) == [(1200, 0, 800)]
    assert_sound()
    say(counter, payment, "lost")
    assert shown(account) == [(400, 0, 0)]
    assert books() == {"assets:bank": 400, "liabilities:credits": 400}
    assert_sound()


def test_value_that_went_through_a_change_is_held_when_it_comes_to_the_balance(
    counter: Counter,
) -> None:
    till = counter.till
    dearer = open_dearer(till)
    payment = counter.sell()
    first = payment.order
    assert first is not None
    change = dearer.change(held_by(first), 12)
    assert dearer.pay(change) == "settled"
    assert first.account is not None
    account = first.account
    till.top_up(account, 5000)

    say(counter, payment, "opened")
    before = shown(account)
    till.end(change, till.now)

    # Other money on the balance is not the payment's; what the change was worth is.
    assert before == [(5000, 0, 0)]
    assert shown(account) == [(6000, 0, 1000)]
    assert_sound()
    say(counter, payment, "lost")
    assert shown(account) == [(5000, 0, 0)]
    assert_sound()


def test_loss_of_what_a_change_used_takes_nothing_of_other_money(counter: Counter) -> None:
    till = counter.till
    dearer = open_dearer(till)
    payment = counter.sell()
    first = payment.order
    assert first is not None
    assert first.account is not None
    assert dearer.pay(dearer.change(held_by(first), 12)) == "settled"
    till.top_up(first.account, 5000)

    say(counter, payment, "lost")

    assert shown(first.account) == [(5000, 0, 0)]
    assert books()["expenses:disputes"] == PRICE
    assert_sound()


def test_what_a_given_term_put_on_anothers_balance_is_held_there(counter: Counter) -> None:
    till = counter.till
    dearer = open_dearer(till)
    giver, friend = till.shop.account(), till.shop.account()
    given = orders.give(
        account=giver,
        recipient=friend,
        price=dearer.prices[12],
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )
    payment = paid(counter, given)
    say(counter, payment, "opened", "dp_0")
    say(counter, payment, "won", "dp_0")
    dearer.change(held_by(given), price=till.shop.prices[1])

    say(counter, payment, "opened")

    assert shown(giver) == []
    assert shown(friend) == [(26_000, 0, 26_000)]
    assert_sound()
    say(counter, payment, "lost")
    assert shown(friend) == [(0, 0, 0)]
    assert_sound()


def test_no_more_is_held_than_is_disputed(counter: Counter, account: Account) -> None:
    payment = paid(counter, counter.till.order_topup(account, 2500))
    order = counter.till.order(account=account)
    orders.pay_from_balance(order=order, minor=900, now=counter.now, actor=CUSTOMER)

    part = Money(1700, "CNY")
    counter.say("dispute-opened", payment, "evt_part", dispute="dp_1", money=part)
    before = shown(account)
    orders.cancel(order=order, now=counter.now, actor=CUSTOMER)

    assert before == [(2500, 900, 1600)]
    assert shown(account) == [(2500, 0, 1700)]
    assert_sound()
