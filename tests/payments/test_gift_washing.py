"""Money that its payer takes back is followed through a gift's code to what the code paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from test_bound import RULES, lose, pay_back
from test_gifts import reveal

from dearer import held_by, open_dearer
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.orders import actions as orders
from ferriage.orders import balance
from ferriage.orders.actions.refunds import withdraw
from ferriage.orders.models import Order
from ferriage.payments import actions, bounds, gifts
from ferriage.payments.models import Payment, Refund
from ferriage.payments.providers.voucher.actions import VoucherGone
from ferriage.plans.queries import subscription_end
from till import THREE_DAYS, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter
    from ferriage.accounts.models import Account
    from till import Till

pytestmark = pytest.mark.django_db


def order_code(till: Till, giver: Account, months: int = 1) -> Order:
    return orders.place(
        account=giver,
        price=till.shop.prices[months],
        place="XD",
        kind=Order.Kind.GIFT,
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )


def bought(counter: Counter, by: str, months: int = 1) -> tuple[Payment, Order]:
    """Let a giver buy a code; returns the payment behind it, and its order."""
    till = counter.till
    giver = till.shop.account()
    gift = order_code(till, giver, months)
    payment = counter.begin(till.order_topup(giver, gift.amount_minor) if by == "balance" else gift)
    counter.tell(counter.world.pay(payment, counter.now))
    if by == "balance":
        orders.pay_from_balance(order=gift, now=counter.now, actor=CUSTOMER)
    payment.refresh_from_db()
    gift.refresh_from_db()
    return payment, gift


def used(counter: Counter, gift: Order, months: int = 1) -> Order:
    """Let another customer use the code; returns the order that it paid."""
    order = counter.till.order(months)
    counter.till.redeem(order, reveal(counter.till, gift))
    order.refresh_from_db()
    return order


def open_dispute(counter: Counter, payment: Payment, minor: int) -> None:
    counter.say(
        "dispute-opened", payment, "evt_o", dispute="dp_1", money=Money(minor, payment.currency)
    )


def sent() -> int:
    """Return what was paid back to anybody."""
    return sum(one.amount_minor for one in Refund.objects.filter(state="paid", dispute=None))


@pytest.mark.parametrize("by", ["card", "balance"])
@pytest.mark.parametrize("ends", ["while open", "after"])
def test_term_of_a_code_is_not_paid_back_while_or_after_its_payer_takes_it_back(
    counter: Counter, by: str, ends: str
) -> None:
    payment, gift = bought(counter, by)
    order = used(counter, gift)
    open_dispute(counter, payment, 1000)
    if ends == "after":
        lose(counter, payment, 1000)
    withdraw(subscription=held_by(order), rules=RULES, now=counter.now, actor=CUSTOMER)
    pay_back(counter, order)

    assert sent() == 0
    assert balance.available(gift.account, "CNY") == 0  # type: ignore[arg-type] -- it has one
    if ends == "while open":
        lose(counter, payment, 1000)
    pay_back(counter, order)
    assert sent() == 0
    assert books() == {}
    assert_sound()


@pytest.mark.parametrize("by", ["card", "balance"])
@pytest.mark.parametrize("opened", ["before", "after"])
def test_what_a_change_of_a_given_plan_put_on_a_balance_is_held_and_lost(
    counter: Counter, by: str, opened: str
) -> None:
    dearer = open_dearer(counter.till)
    payment, gift = bought(counter, by, 12)
    order = used(counter, gift, 12)
    user = order.account
    assert user is not None
    if opened == "before":
        open_dispute(counter, payment, payment.amount_minor)
    change = dearer.change(held_by(order), price=dearer.prices[1])
    assert change.state == "fulfilled"
    if opened == "after":
        open_dispute(counter, payment, payment.amount_minor)

    assert balance.balance(user, "CNY") == payment.amount_minor - 3000
    assert balance.available(user, "CNY") == 0
    lose(counter, payment, payment.amount_minor)
    assert balance.balance(user, "CNY") == 0
    # The term goes on, for it was given to its user; but what is unused of it is nobody's.
    assert not subscription_end(held_by(change)).is_over(counter.now)
    assert books()["expenses:disputes"] == 3000
    assert_sound()
    withdraw(subscription=held_by(change), rules=RULES, now=counter.now, actor=CUSTOMER)
    assert balance.balance(user, "CNY") == 0
    assert books() == {}
    assert_sound()


def test_what_a_change_of_a_given_plan_put_on_a_balance_is_free_once_it_is_won(
    counter: Counter,
) -> None:
    dearer = open_dearer(counter.till)
    payment, gift = bought(counter, "card", 12)
    order = used(counter, gift, 12)
    open_dispute(counter, payment, payment.amount_minor)
    dearer.change(held_by(order), price=dearer.prices[1])
    counter.say("dispute-won", payment, "evt_w", dispute="dp_1")

    assert balance.available(order.account, "CNY") == payment.amount_minor - 3000  # type: ignore[arg-type] -- it has one
    assert_sound()


def test_what_nobody_is_left_to_be_given_waits_while_the_gift_is_disputed(
    counter: Counter,
) -> None:
    till = counter.till
    giver = till.shop.account()
    till.top_up(giver, 400)
    gift = order_code(till, giver)
    orders.pay_from_balance(order=gift, now=counter.now, actor=CUSTOMER)
    gift.refresh_from_db()
    payment = counter.begin(gift)
    counter.tell(counter.world.pay(payment, counter.now))
    payment.refresh_from_db()
    order = used(counter, gift)
    open_dispute(counter, payment, 600)
    till.end(order, counter.now)
    Order.objects.filter(pk=gift.pk).update(account=None)
    for _again in range(2):
        actions.queue_ended(order=order, now=counter.now, actor=OWNER)

    waits = Refund.objects.filter(state="queued")
    assert sorted(waits.values_list("amount_minor", flat=True)) == [400, 600]
    assert not waits.filter(bounds.may_go_by_itself()).exists()
    with pytest.raises(actions.NotRefundable, match="taking money"):
        actions.mark_refund_paid(
            refund=waits.get(amount_minor=400), reference="B1", now=counter.now, actor=OWNER
        )
    counter.say("dispute-won", payment, "evt_w", dispute="dp_1")
    assert waits.filter(bounds.may_go_by_itself()).count() == 2
    assert_sound()


@pytest.mark.parametrize("by", ["card", "balance"])
@pytest.mark.parametrize("is_seen", [True, False])
def test_code_of_which_a_part_is_lost_stays_good_and_is_owed_less(
    counter: Counter, by: str, *, is_seen: bool
) -> None:
    payment, gift = bought(counter, by)
    code = reveal(counter.till, gift) if is_seen else ""
    open_dispute(counter, payment, 1)
    if is_seen:
        with pytest.raises(VoucherGone, match="disputed"):
            counter.till.redeem(counter.till.order(), code)
    lose(counter, payment, 1)
    order = counter.till.order()
    counter.till.redeem(order, code or reveal(counter.till, gift))

    assert books()["expenses:disputes"] == 1
    withdraw(subscription=held_by(order), rules=RULES, now=counter.now, actor=CUSTOMER)
    pay_back(counter, order)
    back = Refund.objects.filter(payment=payment, dispute=None)
    went = back.get().amount_minor if by == "card" else balance.balance(gift.account, "CNY")  # type: ignore[arg-type] -- it has one
    assert went == 999
    assert "expenses:disputes" not in books()
    assert_sound()


@pytest.mark.parametrize("by", ["card", "balance"])
def test_code_ends_with_the_last_part_of_what_paid_it(counter: Counter, by: str) -> None:
    payment, gift = bought(counter, by)
    code = reveal(counter.till, gift)
    lose(counter, payment, 400, "dp_1")
    lose(counter, payment, 600, "dp_2")

    with pytest.raises(VoucherGone, match="taken back"):
        counter.till.redeem(counter.till.order(), code)
    with pytest.raises(gifts.NoGiftCode, match="taken back"):
        reveal(counter.till, gift)
    assert books() == {"expenses:disputes": 1000, "liabilities:vouchers": 1000}
    assert_sound()


def test_which_gift_paid_never_changes(counter: Counter) -> None:
    payment, gift = bought(counter, "card")
    order = used(counter, gift)
    assert order.gift == payment.order
    with pytest.raises(Exception, match="is fixed when an order is fulfilled"):
        Order.objects.filter(pk=order.pk).update(gift=None)
