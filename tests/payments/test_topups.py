"""Top-ups: paid like any order, spent oldest first, sent back as far as they were not spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferriage.accounts.models import Account
from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.orders import actions, balance
from ferriage.orders.lots import left_of, returnable
from ferriage.payments import topups
from ferriage.payments.actions import mark_refund_paid
from till import THREE_DAYS, Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.orders.models import Order
    from ferriage.payments.models import Refund


def spend(till: Till, account: Account, months: int = 1) -> Order:
    order = till.order(months, account=account)
    return actions.pay_from_balance(order=order, now=till.now, actor=CUSTOMER)


def back(till: Till, order: Order) -> Refund:
    return topups.return_topup(order=order, now=till.now, actor=CUSTOMER)


# --- the oldest first -------------------------------------------------------------------------


def test_oldest_money_is_spent_first() -> None:
    moves = [
        ("ord_a", "topup", 1000),
        ("pay_x", "overpaid", 300),
        ("ord_b", "topup", 500),
        ("ord_c", "balance-spent", -1200),
    ]
    assert (left_of(moves, "ord_a"), left_of(moves, "ord_b")) == (0, 500)
    moves += [("ord_b", "topup-returned", -500), ("ord_d", "balance-spent", -100)]
    assert (left_of(moves, "ord_a"), left_of(moves, "ord_b")) == (0, 0)


@given(
    credits_=st.lists(st.integers(1, 1000), min_size=1, max_size=8),
    shares=st.lists(st.integers(0, 100), min_size=1, max_size=8),
)
def test_parts_left_sum_to_the_balance(credits_: list[int], shares: list[int]) -> None:
    moves = [(f"ord_{number}", "topup", minor) for number, minor in enumerate(credits_)]
    for share in shares:
        spent = sum(minor for _of, _kind, minor in moves) * share // 100
        if spent:
            moves.append(("ord_x", "balance-spent", -spent))
    left = [left_of(moves, f"ord_{number}") for number in range(len(credits_))]
    assert sum(left) == sum(minor for _of, _kind, minor in moves)
    assert all(0 <= part <= whole for part, whole in zip(left, credits_, strict=True))
    # What is left is left of the newest.
    assert left == sorted(left, key=bool)


# --- the counter ------------------------------------------------------------------------------

pytestmark = pytest.mark.django_db


def test_topup_stands_on_the_balance_and_earns_nothing(till: Till) -> None:
    order = till.top_up(till.shop.account(), 2500)

    assert (order.state, order.plan, order.period_ends_at) == ("fulfilled", None, None)
    assert actions.recognise(now=till.now.replace(year=2027)) == 0
    assert books() == {"assets:bank": 2500, "liabilities:credits": 2500}
    assert_sound()


def test_same_topup_twice_is_one_order(till: Till) -> None:
    account = till.shop.account()
    assert till.order_topup(account, 500) == till.order_topup(account, 500)
    assert till.order_topup(account, 500) != till.order_topup(account, 600)


def test_late_money_for_a_topup_goes_back(till: Till) -> None:
    order = till.order_topup(till.shop.account(), 500)
    reference = till.transfer(order).reference
    till.now += THREE_DAYS
    assert till.receive(reference, 500).reason == "order-expired"
    assert books() == {"assets:bank": 500, "liabilities:refunds": 500}
    assert_sound()


def test_topup_is_sent_back_as_far_as_it_was_not_spent(till: Till) -> None:
    account = till.shop.account()
    first, second = till.top_up(account, 600), till.top_up(account, 900)
    spend(till, account)
    assert (returnable(first), returnable(second)) == (0, 500)

    with pytest.raises(topups.NothingToReturn):
        back(till, first)
    refund = back(till, second)

    assert (refund.kind, refund.amount_minor, refund.payment.order) == ("topup", 500, second)
    assert balance.balance(account, "CNY") == 0
    assert books()["liabilities:refunds"] == 500
    with pytest.raises(topups.NothingToReturn):
        back(till, second)
    assert_sound()
    mark_refund_paid(refund=refund, reference="B-9", now=till.now, actor=OWNER)
    assert books() == {"assets:bank": 1000, "liabilities:unearned": 1000}
    assert_sound()


def test_what_an_open_order_reserves_is_not_sent_back(till: Till) -> None:
    account = till.shop.account()
    topup = till.top_up(account, 3000)
    order = till.order(6, account=account)
    actions.pay_from_balance(order=order, minor=2000, now=till.now, actor=CUSTOMER)

    assert back(till, topup).amount_minor == 1000
    with pytest.raises(topups.NothingToReturn):
        back(till, topup)
    actions.cancel(order=order, now=till.now, actor=CUSTOMER)
    assert back(till, topup).amount_minor == 2000
    assert balance.balance(account, "CNY") == 0
    assert_sound()


def test_no_money_is_taken_in_advance_where_nothing_may_be_sold(till: Till) -> None:
    account = till.shop.account()
    waiting = till.order_topup(account, 500)
    reference = till.transfer(waiting).reference
    for approval in Approval.objects.all():
        fleet.revoke_approval(approval=approval, now=till.now, actor=OWNER)

    with pytest.raises(actions.NoTopUp) as refusal:
        till.order_topup(account, 700)
    captured = till.receive(reference, 500)

    assert refusal.value.verdict is not None
    assert (captured.outcome, captured.reason) == ("refund", "not-authorised")
    assert balance.balance(account, "CNY") == 0
    assert_sound()


def test_topup_from_a_place_where_nothing_may_be_sold_goes_back(till: Till) -> None:
    order = till.order_topup(till.shop.account(), 500)
    reference = till.transfer(order).reference
    captured = till.receive(reference, 500, payer_place="SE")
    assert (captured.outcome, captured.reason) == ("refund", "place-contradicted")
    assert_sound()


@pytest.mark.parametrize("minor", [0, -5])
def test_topup_is_above_nothing(till: Till, minor: int) -> None:
    with pytest.raises(actions.TopUpWrong):
        till.order_topup(till.shop.account(), minor)


def test_accounts_of_closed_services_have_no_balance(till: Till) -> None:
    account = till.shop.account()
    Account.objects.filter(pk=account.pk).update(account_class="enterprise", label="Li")
    account.refresh_from_db()
    with pytest.raises(actions.TopUpWrong):
        till.order_topup(account, 500)


def test_order_for_more_than_the_balance_is_not_paid_by_a_voucher_in_part(till: Till) -> None:
    account = till.shop.account()
    till.top_up(account, 500)
    order = till.order(1, account=account)
    actions.pay_from_balance(order=order, now=till.now, actor=CUSTOMER)
    with pytest.raises(Exception, match="pays a whole order"):
        till.redeem(order, till.voucher(paid=1000))
    actions.pay_from_balance(order=order, minor=0, now=till.now, actor=CUSTOMER)
    order.refresh_from_db()
    assert till.redeem(order, till.voucher(paid=1000)).outcome == "settled"
    assert Money(balance.available(account, "CNY"), "CNY") == Money(500, "CNY")
    assert_sound()
