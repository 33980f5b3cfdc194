"""What an attack on the joined parts found: money that could go out twice, or come from nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dearer import open_dearer
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.orders import actions as orders
from ferriage.orders import balance
from ferriage.orders import refunds as quotes
from ferriage.orders.actions import refunds
from ferriage.orders.models import Order
from ferriage.payments import actions, gifts, refunding, topups
from ferriage.payments.models import Payment, Refund
from ferriage.payments.providers.voucher.actions import VoucherForOtherPlan, VoucherGone
from ferriage.plans.actions import ChangeWrong
from ferriage.plans.queries import subscription_end
from till import THREE_DAYS, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter
    from till import Till

DAY = timedelta(days=1)


def lose(counter: Counter, payment: Payment, word: str = "lost", minor: int = 1000) -> None:
    counter.say(
        f"dispute-{word}",
        payment,
        f"evt_{word}",
        dispute="dp_1",
        money=Money(minor, "CNY"),
        reason="fraudulent",
    )


def paid(counter: Counter, order: Order) -> Payment:
    payment = counter.begin(order)
    counter.tell(counter.world.pay(payment, counter.now))
    payment.refresh_from_db()
    return payment


def gift(till: Till) -> Order:
    return orders.place(
        account=till.shop.account(),
        price=till.shop.prices[1],
        place="XD",
        kind=Order.Kind.GIFT,
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )


def test_free_voucher_buys_no_gift_that_could_be_refunded(till: Till) -> None:
    order, code = gift(till), till.voucher(1)

    with pytest.raises(VoucherForOtherPlan):
        till.redeem(order, code)

    assert books() == {}
    assert till.redeem(till.order(), code).outcome == "settled"


def test_voucher_pays_no_change_of_plan(till: Till) -> None:
    dearer = open_dearer(till)
    order = till.order()
    till.redeem(order, till.voucher(1))
    order.refresh_from_db()
    assert order.subscription is not None
    change = dearer.change(order.subscription, 12)

    with pytest.raises(VoucherForOtherPlan):
        till.redeem(change, till.voucher(12))


def test_code_of_a_disputed_gift_waits_and_ends_when_it_is_lost(counter: Counter) -> None:
    till = counter.till
    payment = paid(counter, gift(till))
    assert payment.order is not None
    code = gifts.reveal(order=payment.order, now=till.now, actor=CUSTOMER)
    term = till.order()
    lose(counter, payment, "opened")
    with pytest.raises(VoucherGone):
        till.redeem(term, code)
    with pytest.raises(gifts.NoGiftCode):
        gifts.reveal(order=payment.order, now=till.now, actor=CUSTOMER)

    lose(counter, payment)

    with pytest.raises(VoucherGone):
        till.redeem(term, code)
    assert_sound()


def test_nothing_is_changed_while_a_payment_is_disputed(counter: Counter) -> None:
    till = counter.till
    dearer = open_dearer(till)
    payment = counter.sell()
    assert payment.order is not None
    payment.order.refresh_from_db()
    assert payment.order.subscription is not None
    lose(counter, payment, "opened")

    with pytest.raises(ChangeWrong):
        dearer.change(payment.order.subscription, 12)


def test_value_that_went_to_the_balance_is_taken_back_from_there(counter: Counter) -> None:
    till = counter.till
    dearer = open_dearer(till)
    account = till.shop.account()
    order = dearer.place(account)
    payment = paid(counter, order)
    order.refresh_from_db()
    assert order.subscription is not None
    change = dearer.change(order.subscription, price=till.shop.prices[1])
    assert balance.balance(account, "CNY") == 26_000

    lose(counter, payment, minor=27_000)

    # The month that the rest of it paid ends, so nothing is lost.
    assert balance.balance(account, "CNY") == 0
    assert subscription_end(order.subscription).is_over(till.now)
    assert change.amount_minor == 1000
    assert books() == {}
    assert_sound()


def test_lost_dispute_of_a_changed_order_leaves_the_term_that_other_money_paid(
    counter: Counter,
) -> None:
    till = counter.till
    dearer = open_dearer(till)
    payment = counter.sell()
    assert payment.order is not None
    payment.order.refresh_from_db()
    assert payment.order.subscription is not None
    till.now += DAY
    change = dearer.change(payment.order.subscription, 12)
    dearer.pay(change)
    change.refresh_from_db()
    till.now += DAY

    lose(counter, payment)

    assert subscription_end(payment.order.subscription).at == change.period_ends_at
    assert_sound()


def test_refund_of_a_disputed_payment_waits_and_goes_by_the_dispute(counter: Counter) -> None:
    till = counter.till
    payment = counter.sell()
    order = payment.order
    assert order is not None
    order.refresh_from_db()
    assert order.subscription is not None
    lose(counter, payment, "opened")
    rules = quotes.Rules()
    found = quotes.quote(
        order.subscription,
        at=till.now,
        decide=quotes.by_rules(order.subscription, rules, now=till.now),
    )
    refunds.refund_on_request(
        subscription=order.subscription,
        at=till.now,
        quoted=found.owed,
        rules=rules,
        now=till.now,
        actor=CUSTOMER,
    )
    actions.queue_ended(order=order, now=till.now, actor=OWNER)

    refunding.send_due(now=till.now, actor=OWNER)
    assert Refund.objects.get().state == Refund.State.QUEUED
    lose(counter, payment)
    refunding.send_due(now=till.now + DAY, actor=OWNER)

    assert Refund.objects.get().state == Refund.State.PAID
    assert books() == {}
    assert_sound()


def test_charged_back_top_up_is_gone_and_another_one_is_still_there(counter: Counter) -> None:
    till = counter.till
    account = till.shop.account()
    old = till.top_up(account, 1000)
    new = paid(counter, till.order_topup(account, 1000))
    lose(counter, new)

    with pytest.raises(topups.NothingToReturn):
        topups.return_topup(order=new.order, now=till.now, actor=CUSTOMER)

    assert topups.return_topup(order=old, now=till.now, actor=CUSTOMER).amount_minor == 1000
    assert_sound()


def test_the_whole_price_is_refunded_once_and_then_for_the_time_not_used(till: Till) -> None:
    account = till.shop.account()
    owed = []
    for _time in range(2):
        order = till.sell(account=account)
        assert order.subscription is not None
        till.now = quotes.window_ends(order, 14) - timedelta(minutes=1)
        decide = quotes.by_rules(order.subscription, quotes.Rules(), now=till.now)
        found = quotes.quote(order.subscription, at=till.now, decide=decide)
        refunds.refund_on_request(
            subscription=order.subscription,
            at=till.now,
            quoted=found.owed,
            rules=quotes.Rules(),
            now=till.now,
            actor=CUSTOMER,
        )
        owed.append(found.owed[0].amount_minor)

    assert owed[0] == 1000
    assert 0 < owed[1] < 600
