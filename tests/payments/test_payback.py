"""What lies on a balance goes back to the payments that brought it, or by the hand of staff."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, transaction

from dearer import held_by, open_dearer
from ferriage.arrivals import openings
from ferriage.core.actors import CUSTOMER, Actor
from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.orders import actions as orders
from ferriage.orders.lots import returnable
from ferriage.orders.models import Balance, Order
from ferriage.payments import actions, payback, refunding, seconds
from ferriage.payments.models import Payment, Proposal, Refund
from stand_in import StandIn
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter
    from ferriage.accounts.models import Account

ASSET = f"assets:{StandIn.slug}"
SECOND = Actor("staff", "second")


def held_of(account: Account) -> Balance:
    return Balance.objects.get(account=account, currency="CNY")


def offered(account: Account, *, with_changes: bool = True) -> tuple[int, int]:
    """Return what can go back to payments, and what by hand."""
    found = payback.offer(held_of(account), with_changes=with_changes)
    return found.to_payments.amount_minor, found.by_hand_minor


def ask(till: Till, account: Account, minor: int) -> list[Refund]:
    found = payback.offer(held_of(account), with_changes=True)
    return payback.ask(
        balance=found.balance,
        money=Money(minor, "CNY"),
        seen=found.seen,
        with_changes=True,
        now=till.now,
        actor=CUSTOMER,
    )


def pay_out(till: Till, account: Account, minor: int) -> list[Refund]:
    found = payback.offer(held_of(account), with_changes=True)
    return payback.pay_out(
        balance=found.balance,
        money=Money(minor, "CNY"),
        seen=found.seen,
        reason="In cash, over the counter",
        now=till.now,
        actor=OWNER,
    )


def brought_along(till: Till, minor: int) -> Account:
    account = till.shop.account()
    how = {"account": account, "reason": "Ferry ended", "now": till.now, "actor": OWNER}
    openings.bring(money=Money(minor, "CNY"), code="opn_1", **how)
    return account


def changed(counter: Counter) -> tuple[Payment, Order]:
    """Change a year that was paid over the net to a month right away; the rest is on a balance."""
    dearer = open_dearer(counter.till)
    payment = counter.sell(12)
    assert payment.order is not None
    order = Order.objects.get(pk=payment.order.pk)
    change = dearer.change(held_by(order), price=dearer.prices[1])
    change.refresh_from_db()
    assert change.state == "fulfilled"
    return payment, change


def account_of(payment: Payment) -> Account:
    assert payment.order is not None
    assert payment.order.account is not None
    return payment.order.account


# --- to the payment that brought it ------------------------------------------------------------


def test_what_a_change_of_plan_left_goes_back_to_its_payment(counter: Counter) -> None:
    payment, change = changed(counter)
    account = account_of(payment)
    held = held_of(account).amount_minor
    assert held == 9000 - change.value_minor

    refunds = ask(counter.till, account, held)
    refunding.send_due(now=counter.now, actor=OWNER)

    (refund,) = Refund.objects.all()
    assert refunds == [refund]
    assert (refund.payment, refund.amount_minor, refund.state) == (payment, held, "paid")
    assert (refund.kind, refund.balance) == ("balance", held_of(account))
    assert held_of(account).amount_minor == 0
    assert books() == {ASSET: 9000 - held, "liabilities:unearned": 9000 - held}
    assert_sound()


def test_shop_that_refunds_nothing_after_the_window_does_not_by_a_change(counter: Counter) -> None:
    payment, _change = changed(counter)
    account = account_of(payment)
    held = held_of(account).amount_minor

    assert offered(account, with_changes=False) == (0, held)
    assert offered(account) == (held, 0)


def test_part_is_asked_back_once_by_one_form(till: Till) -> None:
    account = till.shop.account()
    till.top_up(account, 1000)
    found = payback.offer(held_of(account), with_changes=True)
    how = {"balance": found.balance, "money": Money(300, "CNY"), "seen": found.seen}
    how |= {"with_changes": True, "now": till.now, "actor": CUSTOMER}

    payback.ask(**how)
    with pytest.raises(StaleState):
        payback.ask(**how)

    assert [refund.amount_minor for refund in Refund.objects.all()] == [300]
    assert held_of(account).amount_minor == 700
    assert_sound()


def test_newest_payment_goes_back_first_and_top_ups_know_what_is_left(till: Till) -> None:
    account = till.shop.account()
    first, second = till.top_up(account, 600), till.top_up(account, 900)

    refunds = ask(till, account, 1000)

    assert [(one.payment.order, one.amount_minor) for one in refunds] == [
        (second, 900),
        (first, 100),
    ]
    assert (returnable(first), returnable(second)) == (500, 0)
    assert_sound()


def test_no_more_goes_back_than_came_and_was_not_spent(till: Till) -> None:
    account = till.shop.account()
    till.top_up(account, 1500)
    order = till.order(account=account)
    orders.pay_from_balance(order=order, now=till.now, actor=CUSTOMER)

    with pytest.raises(payback.NotPaidBack):
        ask(till, account, 501)
    ask(till, account, 500)

    assert offered(account) == (0, 0)
    assert_sound()


def test_what_an_open_order_reserves_stays(till: Till) -> None:
    account = till.shop.account()
    till.top_up(account, 3000)
    order = till.order(6, account=account)
    orders.pay_from_balance(order=order, minor=2000, now=till.now, actor=CUSTOMER)

    assert offered(account) == (1000, 0)


def test_open_order_will_spend_the_oldest(till: Till) -> None:
    account = till.shop.account()
    till.top_up(account, 600)
    openings.bring(
        account=account,
        money=Money(500, "CNY"),
        code="opn_1",
        reason="Ferry ended",
        now=till.now,
        actor=OWNER,
    )
    order = till.order(account=account)
    orders.pay_from_balance(order=order, minor=400, now=till.now, actor=CUSTOMER)

    assert offered(account) == (200, 500)


def test_what_a_change_left_leaves_top_ups_alone(till: Till) -> None:
    dearer = open_dearer(till)
    account = till.shop.account()
    topup = till.top_up(account, 600)
    change = dearer.change(held_by(till.sell(12, account=account)), price=dearer.prices[1])
    left = 9000 - change.value_minor

    (refund,) = ask(till, account, left)

    assert refund.payment.order != topup
    assert (held_of(account).amount_minor, returnable(topup)) == (600, 600)
    assert offered(account) == (600, 0)
    assert_sound()


def test_what_is_disputed_stays_and_the_rest_may_go(counter: Counter) -> None:
    account = counter.till.shop.account()
    payment = counter.begin(counter.till.order_topup(account, 1000))
    counter.tell(counter.world.pay(payment, counter.now))
    counter.till.top_up(account, 400)
    counter.say("dispute-opened", payment, "evt_dp_1", dispute="dp_1", money=Money(300, "CNY"))

    assert offered(account) == (400, 0)
    refunds = pay_out(counter.till, account, 400)

    assert [one.payment.provider for one in refunds] == ["bank"]
    with pytest.raises(payback.NotPaidBack):
        pay_out(counter.till, account, 1)
    assert_sound()


def test_dispute_that_is_lost_pays_what_was_queued_of_a_balance(counter: Counter) -> None:
    account = counter.till.shop.account()
    payment = counter.begin(counter.till.order_topup(account, 1000))
    counter.tell(counter.world.pay(payment, counter.now))
    ask(counter.till, account, 700)
    counter.say("dispute-lost", payment, "evt_dp_1", dispute="dp_1", money=Money(300, "CNY"))

    rows = Refund.objects.order_by("pk").values_list("amount_minor", "state", "kind")
    assert list(rows) == [(300, "paid", "balance"), (400, "queued", "balance")]
    assert {one.balance for one in Refund.objects.all()} == {held_of(account)}
    assert held_of(account).amount_minor == 300
    assert_sound()


def test_what_its_payer_took_back_goes_by_no_way(counter: Counter) -> None:
    """An order had reserved half, so the loss found the other half; and the rest once free."""
    account = counter.till.shop.account()
    payment = counter.begin(counter.till.order_topup(account, 1000))
    counter.tell(counter.world.pay(payment, counter.now))
    order = counter.till.order(account=account)
    orders.pay_from_balance(order=order, minor=500, now=counter.now, actor=CUSTOMER)
    counter.say("dispute-lost", payment, "evt_dp_1", dispute="dp_1", money=Money(800, "CNY"))
    orders.cancel(order=order, now=counter.now, actor=CUSTOMER)

    assert held_of(account).amount_minor == 200
    assert offered(account) == (200, 0)


def test_money_of_a_giver_is_not_sent_to_them(till: Till) -> None:
    dearer = open_dearer(till)
    giver, given = till.shop.account(), till.shop.account()
    price = till.shop.prices[12]
    order = orders.give(
        account=giver,
        recipient=given,
        price=price,
        now=till.now,
        expires_at=till.now.replace(year=2027),
        actor=CUSTOMER,
    )
    till.receive(till.transfer(order).reference, order.amount_minor)
    order.refresh_from_db()
    dearer.change(held_by(order), price=dearer.prices[1])

    held = held_of(given).amount_minor
    assert offered(given) == (0, held)


# --- by hand -----------------------------------------------------------------------------------


def test_what_was_brought_along_is_paid_by_staff_alone(till: Till) -> None:
    till.sell()
    account = brought_along(till, 1200)
    assert offered(account) == (0, 1200)
    with pytest.raises(payback.NotPaidBack):
        ask(till, account, 1)

    (refund,) = pay_out(till, account, 1000)
    waits = books()
    actions.mark_refund_paid(refund=refund, reference="B-7", now=till.now, actor=OWNER)

    assert (refund.payment.provider, refund.note) == ("balance", "In cash, over the counter")
    assert waits == {
        "assets:bank": 1000,
        "liabilities:unearned": 1000,
        "equity:opening": -1200,
        "liabilities:credits": 200,
        "liabilities:refunds": 1000,
    }
    assert books() == {
        "liabilities:unearned": 1000,
        "equity:opening": -1200,
        "liabilities:credits": 200,
    }
    assert_sound()


def test_payments_go_first_and_the_rest_by_hand(till: Till) -> None:
    account = brought_along(till, 500)
    till.top_up(account, 700)

    refunds = pay_out(till, account, 1000)

    rows = [(one.payment.provider, one.amount_minor) for one in refunds]
    assert rows == [("bank", 700), ("balance", 300)]
    assert held_of(account).amount_minor == 200
    assert_sound()


def test_staff_say_why(till: Till) -> None:
    account = brought_along(till, 500)
    found = payback.offer(held_of(account), with_changes=True)
    with pytest.raises(payback.NotPaidBack):
        payback.pay_out(
            balance=found.balance,
            money=Money(500, "CNY"),
            seen=found.seen,
            reason=" ",
            now=till.now,
            actor=OWNER,
        )


def test_free_service_never_becomes_money(till: Till) -> None:
    dearer = open_dearer(till)
    order = till.order(12)
    till.redeem(order, till.voucher(12))
    order.refresh_from_db()
    change = dearer.change(held_by(order), price=dearer.prices[1])

    assert change.value_minor == 0
    assert not Balance.objects.filter(amount_minor__gt=0).exists()


# --- a second person ---------------------------------------------------------------------------


def propose(till: Till, account: Account, minor: int, limit: int) -> Proposal | None:
    found = payback.offer(held_of(account), with_changes=True)
    return seconds.pay_back(
        balance=found.balance,
        money=Money(minor, "CNY"),
        seen=found.seen,
        reason="Asked",
        limit=limit,
        now=till.now,
        actor=OWNER,
    )


def test_above_the_limit_a_second_person_pays_it(till: Till) -> None:
    account = brought_along(till, 1200)

    proposal = propose(till, account, 1001, 10)
    assert proposal is not None
    with pytest.raises(StaleState):
        propose(till, account, 1001, 10)
    before = Refund.objects.count()
    seconds.confirm(proposal=proposal, now=till.now, actor=SECOND)

    assert before == 0
    assert [one.amount_minor for one in Refund.objects.all()] == [1001]
    assert propose(till, account, 199, 10) is None
    assert_sound()


def test_what_was_spent_meanwhile_is_not_confirmed(till: Till) -> None:
    account = brought_along(till, 1200)
    proposal = propose(till, account, 1100, 10)
    assert proposal is not None
    pay_out(till, account, 200)

    with pytest.raises(payback.NotPaidBack), transaction.atomic():
        seconds.confirm(proposal=proposal, now=till.now, actor=SECOND)

    proposal.refresh_from_db()
    assert (proposal.confirmed_at, Refund.objects.count()) == (None, 1)
    assert_sound()


# --- the last line -----------------------------------------------------------------------------


def test_database_keeps_whose_balance_it_was(till: Till) -> None:
    account = brought_along(till, 1200)
    (refund,) = pay_out(till, account, 100)
    till.top_up(other := till.shop.account(), 100)

    with pytest.raises(IntegrityError), transaction.atomic():
        Refund.objects.filter(pk=refund.pk).update(balance=held_of(other))
    with pytest.raises(IntegrityError), transaction.atomic():
        Refund.objects.filter(pk=refund.pk).update(balance=None)
