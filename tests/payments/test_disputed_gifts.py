"""A gift's code that was paid from a balance with money that its payer takes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from test_disputed_balance import paid
from test_gifts import order_code, reveal

from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.orders import actions as orders
from ferriage.payments import actions, gifts
from ferriage.payments.models import Voucher
from ferriage.payments.providers.voucher.actions import VoucherGone
from ferriage.payments.providers.voucher.resellers import write_off
from ferriage.plans.models import Hold
from ferriage.plans.queries import subscription_end
from till import assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter
    from ferriage.accounts.models import Account
    from ferriage.orders.models import Order
    from ferriage.payments.models import Payment


@pytest.fixture
def account(counter: Counter) -> Account:
    return counter.till.shop.account()


def top_up(counter: Counter, account: Account, minor: int) -> Payment:
    return paid(counter, counter.till.order_topup(account, minor))


def credited(counter: Counter, account: Account) -> Payment:
    """Return money that no order took and that staff credited to a balance."""
    payment = counter.begin(counter.till.order(12, account=account))
    counter.tell(counter.world.pay(payment, counter.now, minor=2500))
    orders.cancel(order=payment.order, now=counter.now, actor=CUSTOMER)  # type: ignore[arg-type] -- it has one
    came = type(payment).objects.get(outcome="unallocated")
    actions.credit_unallocated(payment=came, account=account, now=counter.now, actor=OWNER)
    came.refresh_from_db()
    return came


def buy(counter: Counter, account: Account) -> Order:
    order = orders.pay_from_balance(
        order=order_code(counter.till, account), now=counter.now, actor=CUSTOMER
    )
    assert order.state == "fulfilled"
    return order


def say(counter: Counter, payment: Payment, word: str, minor: int = 2500) -> None:
    counter.say(
        f"dispute-{word}",
        payment,
        f"evt_{word}",
        transaction_id=payment.transaction_id,
        dispute="dp_1",
        money=Money(minor, "CNY"),
    )


@pytest.mark.parametrize("way", ["topup", "credited"])
def test_code_waits_while_the_money_in_it_is_disputed(
    counter: Counter, account: Account, way: str
) -> None:
    payment = top_up(counter, account, 2500) if way == "topup" else credited(counter, account)
    order = buy(counter, account)
    code = reveal(counter.till, order)
    say(counter, payment, "opened")

    with pytest.raises(VoucherGone, match="disputed"):
        counter.till.redeem(counter.till.order(), code)
    with pytest.raises(gifts.NoGiftCode, match="disputed"):
        reveal(counter.till, order)
    say(counter, payment, "won")

    assert counter.till.redeem(counter.till.order(), code).outcome == "settled"
    assert_sound()


@pytest.mark.parametrize("seen", ["seen", "never seen"])
def test_code_that_nobody_used_ends_when_its_money_is_lost(
    counter: Counter, account: Account, seen: str
) -> None:
    payment = top_up(counter, account, 2500)
    order = buy(counter, account)
    code = reveal(counter.till, order) if seen == "seen" else ""

    say(counter, payment, "lost")

    # As of a gift that the payment itself paid: its price is a loss until staff write the code off.
    assert books() == {"expenses:disputes": 1000, "liabilities:vouchers": 1000}
    assert_sound()
    with pytest.raises(gifts.NoGiftCode, match="taken back"):
        reveal(counter.till, order)
    if code:
        with pytest.raises(VoucherGone):
            counter.till.redeem(counter.till.order(), code)
    batch = Voucher.objects.get().batch
    write_off(batch=batch, reason="Taken back", now=counter.now, actor=OWNER)
    assert books() == {"expenses:disputes": 1000, "income:vouchers": 1000}
    assert_sound()


def test_who_used_the_code_before_keeps_the_term(counter: Counter, account: Account) -> None:
    payment = top_up(counter, account, 2500)
    theirs = counter.till.order()
    counter.till.redeem(theirs, reveal(counter.till, buy(counter, account)))

    say(counter, payment, "opened")
    say(counter, payment, "lost")

    theirs.refresh_from_db()
    assert theirs.subscription is not None
    assert not subscription_end(theirs.subscription).is_over(counter.now)
    assert not Hold.objects.exists()
    assert books() == {"expenses:disputes": 1000, "liabilities:unearned": 1000}
    assert_sound()


def test_code_of_other_money_or_of_money_that_is_still_there_is_free(
    counter: Counter, account: Account
) -> None:
    counter.till.top_up(account, 1000)
    payment = top_up(counter, account, 2500)
    own, theirs = buy(counter, account), buy(counter, account)

    say(counter, payment, "opened", minor=1500)

    # The oldest money is spent first; and a balance still holds all that is disputed.
    for order in (own, theirs):
        assert counter.till.redeem(counter.till.order(), reveal(counter.till, order))
    say(counter, payment, "lost")
    assert books()["liabilities:unearned"] == 2000
    assert "expenses:disputes" not in books()
    assert_sound()


def test_no_more_codes_end_than_was_lost_and_the_newest_first(
    counter: Counter, account: Account
) -> None:
    payment = top_up(counter, account, 2500)
    used, older = buy(counter, account), buy(counter, account)
    counter.till.redeem(counter.till.order(), reveal(counter.till, used))
    counter.till.top_up(account, 500)
    newer = buy(counter, account)
    codes = [reveal(counter.till, order) for order in (older, newer)]

    say(counter, payment, "opened", minor=500)
    for code in codes:
        with pytest.raises(VoucherGone, match="disputed"):
            counter.till.redeem(counter.till.order(), code)
    say(counter, payment, "lost", minor=500)

    assert counter.till.redeem(counter.till.order(), codes[0]).outcome == "settled"
    with pytest.raises(VoucherGone):
        counter.till.redeem(counter.till.order(), codes[1])
    assert_sound()


@pytest.mark.parametrize("seen", ["seen", "never seen"])
def test_gift_that_the_payment_itself_paid_ends_whether_it_was_seen_or_not(
    counter: Counter, account: Account, seen: str
) -> None:
    payment = paid(counter, order_code(counter.till, account))
    assert payment.order is not None
    if seen == "seen":
        reveal(counter.till, payment.order)

    say(counter, payment, "lost", minor=1000)

    voucher = Voucher.objects.get()
    assert voucher.batch.expires_at == counter.now
    assert books() == {"expenses:disputes": 1000, "liabilities:vouchers": 1000}
    assert_sound()
