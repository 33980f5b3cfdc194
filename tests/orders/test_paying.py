"""Orders that are paid from the balance, wholly or in part, and what goes back to it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.ledger.models import LedgerTransaction
from ferriage.orders import actions, balance
from ferriage.orders.models import Order, PlaceEvidence
from ferriage.payments import tasks as payment_tasks
from ferriage.payments.models import Refund
from till import THREE_DAYS, Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.accounts.models import Account

pytestmark = pytest.mark.django_db
HALF_YEAR = timedelta(days=181)


@pytest.fixture
def rich(till: Till) -> Account:
    """Return an account that topped its balance up with 30."""
    account = till.shop.account()
    till.top_up(account, 3000)
    return account


def pay(till: Till, order: Order, minor: int | None = None) -> Order:
    return actions.pay_from_balance(order=order, minor=minor, now=till.now, actor=CUSTOMER)


def test_order_that_the_balance_pays_wholly_is_settled_at_once(till: Till, rich: Account) -> None:
    order = pay(till, till.order(1, account=rich))

    assert (order.state, order.credit_minor, order.due_minor) == ("fulfilled", 1000, 0)
    assert balance.balance(rich, "CNY") == balance.available(rich, "CNY") == 2000
    assert books() == {
        "assets:bank": 3000,
        "liabilities:credits": 2000,
        "liabilities:unearned": 1000,
    }
    posted = LedgerTransaction.objects.filter(source_code=order.code)
    assert [row.kind for row in posted] == ["balance-spent"]
    assert_sound()


def test_rest_of_an_order_is_paid_by_bank(till: Till, rich: Account) -> None:
    order = pay(till, till.order(6, account=rich))
    assert (order.state, order.credit_minor, order.due_minor) == ("open", 3000, 2000)
    assert balance.available(rich, "CNY") == 0

    captured = till.receive(till.transfer(order).reference, 2000)

    order.refresh_from_db()
    assert (captured.outcome, order.state, order.refundable_minor) == ("settled", "fulfilled", 5000)
    assert books() == {"assets:bank": 5000, "liabilities:unearned": 5000}
    assert_sound()


def test_transfer_that_was_begun_before_asks_for_the_rest(till: Till, rich: Account) -> None:
    order = till.order(6, account=rich)
    reference = till.transfer(order).reference
    pay(till, order, 1000)

    assert till.receive(reference, 5000).reason == "too-much"
    assert till.receive(reference, 4000).outcome == "settled"
    assert_sound()


def test_money_for_an_order_that_the_balance_paid_meanwhile_goes_back(
    till: Till, rich: Account
) -> None:
    order = till.order(1, account=rich)
    reference = till.transfer(order).reference
    pay(till, order)

    captured = till.receive(reference, 1000)

    assert (captured.outcome, captured.reason) == ("refund", "order-fulfilled")
    assert_sound()


@pytest.mark.parametrize("end", ["cancel", "expire"])
def test_what_was_reserved_is_free_again_when_the_order_ends(
    till: Till, rich: Account, end: str
) -> None:
    order = pay(till, till.order(6, account=rich))

    if end == "cancel":
        actions.cancel(order=order, now=till.now, actor=CUSTOMER)
    else:
        actions.expire_due(now=till.now + THREE_DAYS, actor=OWNER)

    order.refresh_from_db()
    assert order.state == {"cancel": "cancelled", "expire": "expired"}[end]
    assert balance.available(rich, "CNY") == 3000
    assert_sound()


def test_customer_takes_back_what_they_had_reserved(till: Till, rich: Account) -> None:
    order = pay(till, till.order(6, account=rich), 3000)
    order = pay(till, order, 0)
    assert (order.due_minor, balance.available(rich, "CNY")) == (5000, 3000)
    assert_sound()


@pytest.mark.parametrize(
    ("minor", "refusal"),
    [
        (3001, balance.BalanceTooLow),
        (5001, actions.NotFromBalance),
        (-1, actions.NotFromBalance),
    ],
)
def test_amounts_that_cannot_be_are_refused(
    till: Till, rich: Account, minor: int, refusal: type[Exception]
) -> None:
    order = till.order(6, account=rich)
    with pytest.raises(refusal):
        pay(till, order, minor)
    assert balance.available(rich, "CNY") == 3000


def test_orders_that_are_over_and_topups_take_nothing_from_a_balance(
    till: Till, rich: Account
) -> None:
    over = till.order(1, account=rich)
    actions.cancel(order=over, now=till.now, actor=CUSTOMER)
    for order in (over, till.order_topup(rich, 1000)):
        with pytest.raises(actions.NotFromBalance):
            pay(till, order)


def test_balance_buys_nothing_that_the_register_forbids(till: Till, rich: Account) -> None:
    order = till.order(1, account=rich)
    fleet.revoke_approval(approval=Approval.objects.first(), now=till.now, actor=OWNER)
    fleet.revoke_approval(approval=Approval.objects.last(), now=till.now, actor=OWNER)

    with pytest.raises(actions.NotPaid) as refusal:
        pay(till, order)

    assert refusal.value.reason == "not-authorised"
    assert refusal.value.verdict is not None
    order.refresh_from_db()
    assert (order.state, order.credit_minor) == ("open", 0)
    assert balance.available(rich, "CNY") == 3000
    assert_sound()


def test_money_from_a_place_where_the_plan_may_not_be_sold_buys_nothing_by_way_of_the_balance(
    till: Till, rich: Account
) -> None:
    topup = Order.objects.get(account=rich)
    PlaceEvidence.objects.create(
        order=topup, kind="payment_country", place="SE", noted_by="system", noted_at=till.now
    )
    with pytest.raises(actions.NotPaid) as refusal:
        pay(till, till.order(1, account=rich))
    assert refusal.value.reason == "place-contradicted"


def test_early_end_gives_back_to_the_balance_what_it_had_paid(till: Till, rich: Account) -> None:
    order = pay(till, till.order(24, account=rich), 3000)
    till.receive(till.transfer(order).reference, 9000)

    ended = till.end(order, till.now + HALF_YEAR)
    payment_tasks.run(till.now)

    # 181 of 731 days are used. Of the 9,029 left a quarter goes back to the balance.
    assert balance.balance(rich, "CNY") == 2257
    assert Refund.objects.get().amount_minor == 6772
    assert books()["liabilities:refunds"] == 6772
    assert ended.refund_due_minor == 6772
    assert_sound()


def test_ended_again_earlier_gives_back_what_more_it_is(till: Till, rich: Account) -> None:
    order = pay(till, till.order(1, account=rich))
    till.end(order, till.now + timedelta(days=20))
    once = balance.balance(rich, "CNY") - 2000

    till.end(order, till.now)

    assert 0 < once < 1000
    assert balance.balance(rich, "CNY") == 3000
    assert Refund.objects.count() == 0
    assert_sound()


def test_two_currencies_are_two_balances(till: Till, rich: Account) -> None:
    balance.credit(
        account=rich,
        money=Money(500, "EUR"),
        source_code="pay_1",
        kind="overpaid",
        against="assets:bank",
        now=till.now,
    )
    order = pay(till, till.order(1, account=rich))
    assert order.state == "fulfilled"
    assert (balance.balance(rich, "CNY"), balance.balance(rich, "EUR")) == (2000, 500)
