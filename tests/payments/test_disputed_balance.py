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
from ferriage.payments import disputes, recalls, topups
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
    order = orders.place(
        account=account,
        price=dearer.prices[12],
        place="XD",
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )
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
