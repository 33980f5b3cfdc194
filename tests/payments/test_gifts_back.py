"""What is owed for a term that a gift's code paid goes to whoever gave the code."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from test_disputed_gifts import say
from test_gifts import order_code, pay, reveal

from ferriage.core.actors import CUSTOMER
from ferriage.orders import actions, balance
from ferriage.orders.models import Order
from ferriage.payments import tasks
from ferriage.payments.models import Refund
from till import Till, assert_sound, books

if TYPE_CHECKING:
    from counter import Counter
    from ferriage.accounts.models import Account

pytestmark = pytest.mark.django_db


def use(till: Till, gift: Order) -> Order:
    """Let another customer use the code of a gift; returns the order that it paid."""
    order = till.order()
    assert till.redeem(order, reveal(till, gift)).outcome == "settled"
    order.refresh_from_db()
    return order


def end(till: Till, order: Order, days: int) -> None:
    """Let a term end after some days, and the worker do what is due."""
    assert order.period_starts_at is not None
    till.now = max(till.now, order.period_starts_at + timedelta(days=days))
    till.end(order, till.now)
    tasks.run(till.now)


def refunds() -> list[tuple[str, str, str, int]]:
    """Return provider, kind, state and amount of every refund."""
    rows = Refund.objects.order_by("pk")
    return list(rows.values_list("payment__provider", "kind", "state", "amount_minor"))


@pytest.fixture
def giver(till: Till) -> Account:
    return till.shop.account()


def test_what_is_unused_goes_to_the_payment_that_bought_the_code(
    till: Till, giver: Account
) -> None:
    order = use(till, pay(till, order_code(till, giver)))
    assert order.owed_to == "giver"
    end(till, order, days=0)

    assert refunds() == [
        ("voucher", "ended", "passed", 1000),
        ("bank", "gift", "queued", 1000),
    ]
    passed, back = Refund.objects.order_by("pk")
    assert back.passed_from == passed
    assert books() == {"assets:bank": 1000, "liabilities:refunds": 1000}
    assert balance.balance(order.holder, "CNY") == 0  # type: ignore[arg-type] -- it has one
    assert_sound()
    tasks.run(till.now)
    assert Refund.objects.count() == 2


def test_what_a_balance_bought_goes_to_the_givers_balance(till: Till, giver: Account) -> None:
    till.top_up(giver, 1000)
    gift = actions.pay_from_balance(order=order_code(till, giver), now=till.now, actor=CUSTOMER)
    end(till, use(till, gift), days=0)

    assert refunds() == [("voucher", "ended", "passed", 1000)]
    assert balance.balance(giver, "CNY") == 1000
    assert_sound()


def test_what_both_bought_goes_back_in_their_proportion_however_often_it_ends(
    till: Till, giver: Account
) -> None:
    till.top_up(giver, 400)
    gift = order_code(till, giver)
    actions.pay_from_balance(order=gift, now=till.now, actor=CUSTOMER)
    gift.refresh_from_db()
    order = use(till, pay(till, gift))
    till.end(order, till.now + timedelta(days=10))
    tasks.run(till.now)
    first = Order.objects.get(pk=order.pk).refund_due_minor
    end(till, order, days=0)

    assert 0 < first < 1000
    back = Refund.objects.filter(kind="gift").values_list("amount_minor", flat=True)
    assert len(back) == 2
    assert (sum(back), balance.balance(giver, "CNY")) == (600, 400)
    assert_sound()


def test_giver_who_is_gone_is_paid_by_the_payment_as_far_as_it_goes(
    till: Till, giver: Account
) -> None:
    till.top_up(giver, 400)
    gift = order_code(till, giver)
    actions.pay_from_balance(order=gift, now=till.now, actor=CUSTOMER)
    gift.refresh_from_db()
    order = use(till, pay(till, gift))
    Order.objects.filter(pk=gift.pk).update(account=None)
    end(till, order, days=0)
    tasks.run(till.now)

    assert refunds() == [
        ("voucher", "ended", "passed", 600),
        ("bank", "gift", "queued", 600),
        # Of what the balance paid nobody is left to ask: it waits for staff.
        ("voucher", "ended", "queued", 400),
    ]
    assert_sound()


def test_no_more_goes_back_than_its_payer_left(counter: Counter) -> None:
    till = counter.till
    payment = counter.begin(order_code(till, till.shop.account()))
    counter.tell(counter.world.pay(payment, counter.now))
    payment.refresh_from_db()
    assert payment.order is not None
    order = use(till, payment.order)
    say(counter, payment, "lost", 700)
    end(till, order, days=0)

    assert Order.objects.get(pk=order.pk).refund_due_minor == 300
    assert refunds()[0] == ("voucher", "ended", "passed", 300)
    assert [row[3] for row in refunds()] == [300, 300]
    assert_sound()


def test_dispute_pays_what_waits_for_the_giver(counter: Counter) -> None:
    till = counter.till
    payment = counter.begin(order_code(till, till.shop.account()))
    counter.tell(counter.world.pay(payment, counter.now))
    payment.refresh_from_db()
    assert payment.order is not None
    order = use(till, payment.order)
    say(counter, payment, "opened", 1000)
    # It ends before the worker comes to it.
    till.end(order, till.now)
    say(counter, payment, "lost", 1000)
    tasks.run(till.now)

    states = Refund.objects.order_by("pk").values_list("state", "amount_minor", "dispute__state")
    assert list(states) == [("passed", 1000, None), ("paid", 1000, "lost")]
    assert "expenses:disputes" not in books()
    assert_sound()


def test_disputed_money_that_comes_back_from_a_gift_is_held(counter: Counter) -> None:
    till = counter.till
    giver = till.shop.account()
    payment = counter.begin(till.order_topup(giver, 1000))
    counter.tell(counter.world.pay(payment, counter.now))
    payment.refresh_from_db()
    gift = actions.pay_from_balance(order=order_code(till, giver), now=till.now, actor=CUSTOMER)
    order = use(till, gift)
    say(counter, payment, "opened", 1000)
    end(till, order, days=0)

    assert balance.balance(giver, "CNY") == 1000
    assert balance.available(giver, "CNY") == 0
    say(counter, payment, "lost", 1000)
    assert balance.balance(giver, "CNY") == 0
    assert "expenses:disputes" not in books()
    assert_sound()


def test_who_is_owed_what_is_unused_never_changes(till: Till, giver: Account) -> None:
    order = use(till, pay(till, order_code(till, giver)))
    with pytest.raises(Exception, match="is fixed when an order is fulfilled"):
        Order.objects.filter(pk=order.pk).update(owed_to="payer")
