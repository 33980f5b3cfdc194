"""Gifts: a term for another number, or a code that its buyer hands on."""

from __future__ import annotations

import pytest

from ferriage.accounts.models import Account
from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.fleet import actions as fleet
from ferriage.orders import actions, balance
from ferriage.orders.models import Order
from ferriage.payments import gifts
from ferriage.payments.models import Refund, Voucher
from ferriage.plans.models import Period
from till import THREE_DAYS, Till, assert_sound, books
from yard import OWNER

pytestmark = pytest.mark.django_db


def give(till: Till, buyer: Account, to: Account | None, months: int = 1) -> Order:
    return actions.give(
        account=buyer,
        recipient=to,
        price=till.shop.prices[months],
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )


def order_code(till: Till, buyer: Account) -> Order:
    return actions.place(
        account=buyer,
        price=till.shop.prices[1],
        place="XD",
        kind=Order.Kind.GIFT,
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )


def pay(till: Till, order: Order) -> Order:
    assert till.receive(till.transfer(order).reference, order.due_minor).outcome == "settled"
    order.refresh_from_db()
    return order


def reveal(till: Till, order: Order) -> str:
    return gifts.reveal(order=order, now=till.now, actor=CUSTOMER)


# --- to a number ------------------------------------------------------------------------------


def test_term_is_the_recipients_and_money_goes_back_to_the_buyer(till: Till) -> None:
    buyer, other = till.shop.account(), till.shop.account()
    till.top_up(buyer, 400)
    order = give(till, buyer, other)
    actions.pay_from_balance(order=order, now=till.now, actor=CUSTOMER)
    order.refresh_from_db()
    order = pay(till, order)

    assert order.subscription is not None
    assert order.subscription.account == other
    assert Period.objects.get().subscription == order.subscription
    till.end(order, till.now)
    assert (balance.balance(buyer, "CNY"), balance.balance(other, "CNY")) == (400, 0)
    assert_sound()


def test_every_reason_that_has_to_do_with_the_recipient_reads_the_same(till: Till) -> None:
    buyer = till.shop.account()
    nowhere = till.shop.account(place="")
    elsewhere = till.shop.account(place="SE")
    closed = till.shop.account()
    Account.objects.filter(pk=closed.pk).update(account_class="enterprise", label="Li")
    closed.refresh_from_db()
    other_plan = till.shop.account()
    till.sell(account=other_plan)
    # They hold another plan of the same service now.
    held = Order.objects.get(account=other_plan).subscription
    assert held is not None
    held.plan = till.shop.add_plan("Ten devices")
    held.save()

    said = set()
    for recipient in (None, nowhere, elsewhere, closed, other_plan):
        with pytest.raises(actions.NotGivable) as refusal:
            give(till, buyer, recipient)
        said.add(str(refusal.value))

    assert len(said) == 1
    assert Order.objects.filter(account=buyer).count() == 0


def test_register_is_asked_again_with_the_recipients_place_when_it_is_paid(till: Till) -> None:
    order = give(till, till.shop.account(), till.shop.account())
    reference = till.transfer(order).reference
    for approval in Approval.objects.all():
        fleet.revoke_approval(approval=approval, now=till.now, actor=OWNER)

    assert till.receive(reference, 1000).reason == "not-authorised"
    assert Period.objects.count() == 0
    assert Refund.objects.get().payment.order == order
    assert_sound()


# --- a code -----------------------------------------------------------------------------------


def test_code_is_worth_what_was_paid_and_buys_a_term_once(till: Till) -> None:
    order = pay(till, order_code(till, till.shop.account()))
    assert books() == {"assets:bank": 1000, "liabilities:vouchers": 1000}
    assert (order.state, order.subscription, Period.objects.count()) == ("fulfilled", None, 0)
    assert_sound()

    code = reveal(till, order)
    assert_sound()
    assert not gifts.is_used(order)
    assert till.redeem(till.order(), code).outcome == "settled"

    assert gifts.is_used(order)
    assert books() == {"assets:bank": 1000, "liabilities:unearned": 1000}
    assert_sound()
    with pytest.raises(gifts.NoGiftCode, match="used this code"):
        reveal(till, order)


def test_code_that_is_asked_for_again_replaces_the_one_before(till: Till) -> None:
    order = pay(till, order_code(till, till.shop.account()))
    first, second = reveal(till, order), reveal(till, order)
    assert Voucher.objects.count() == 1
    with pytest.raises(Exception, match="no voucher with this code"):
        till.redeem(till.order(), first)
    assert till.redeem(till.order(), second).outcome == "settled"
    assert_sound()


def test_code_is_made_for_paid_gifts_alone(till: Till) -> None:
    account = till.shop.account()
    for order in (order_code(till, account), till.sell(account=account)):
        with pytest.raises(gifts.NoGiftCode):
            reveal(till, order)
    assert Voucher.objects.count() == 0


def test_balance_buys_a_code(till: Till) -> None:
    account = till.shop.account()
    till.top_up(account, 1000)
    order = actions.pay_from_balance(order=order_code(till, account), now=till.now, actor=CUSTOMER)
    assert books() == {"assets:bank": 1000, "liabilities:vouchers": 1000}
    assert till.redeem(till.order(), reveal(till, order)).outcome == "settled"
    assert_sound()


def test_code_is_sold_and_redeemed_only_where_the_register_allows(till: Till) -> None:
    order = pay(till, order_code(till, till.shop.account()))
    code = reveal(till, order)
    waiting = till.order()
    other = order_code(till, till.shop.account())
    reference = till.transfer(other).reference
    for approval in Approval.objects.all():
        fleet.revoke_approval(approval=approval, now=till.now, actor=OWNER)

    with pytest.raises(actions.NotOnSale):
        order_code(till, till.shop.account())
    with pytest.raises(Exception, match="cannot be paid any more"):
        till.redeem(waiting, code)
    assert till.receive(reference, 1000).reason == "not-authorised"
    assert Voucher.objects.get().used_at is None
    assert_sound()
