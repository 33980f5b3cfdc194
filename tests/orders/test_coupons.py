"""Coupons: what they take off, to whom they apply, and how often."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, transaction
from hypothesis import given
from hypothesis import strategies as st

from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.orders import actions
from ferriage.orders.actions import Grant
from ferriage.orders.coupons import discount
from ferriage.orders.models import Coupon, Order
from ferriage.payments.models import Payment
from ferriage.plans import actions as plans
from till import THREE_DAYS, Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account

DAY = timedelta(days=1)


def make(till: Till, word: str = "SPRING", **values: object) -> Coupon:
    """Make a coupon that takes off a quarter and may be used without limit, except as told."""
    grant = Grant(off_bps=2500, most_per_account=None, valid_from=till.now)
    if "off" in values:
        grant = replace(grant, off_bps=None)
    grant = replace(grant, **values)  # type: ignore[arg-type]
    return actions.make_coupon(word=word, grant=grant, note="", now=till.now, actor=OWNER)


def order(
    till: Till, word: str = "spring", months: int = 1, account: Account | None = None
) -> Order:
    return actions.place(
        account=account or till.shop.account(),
        price=till.shop.prices[months],
        place="XD",
        coupon=word,
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )


def refusal(till: Till, **values: object) -> str:
    with pytest.raises(actions.CouponNotUsable) as refused:
        order(till, **values)  # type: ignore[arg-type]
    return str(refused.value.message)


# --- the rule ---------------------------------------------------------------------------------


@given(price=st.integers(0, 10**14), off_bps=st.integers(1, 10_000))
def test_share_of_a_price_is_rounded_down_and_never_above_it(price: int, off_bps: int) -> None:
    off = discount(list_minor=price, off_bps=off_bps, off_minor=None)
    assert 0 <= off <= price
    assert off * 10_000 <= price * off_bps < (off + 1) * 10_000


@given(price=st.integers(0, 10**14), off_minor=st.integers(1, 10**14))
def test_amount_takes_off_no_more_than_the_price(price: int, off_minor: int) -> None:
    off = discount(list_minor=price, off_bps=None, off_minor=off_minor)
    assert (off, price - off) == (min(price, off_minor), max(price - off_minor, 0))


@given(price=st.integers(0, 10**14))
def test_whole_share_leaves_nothing(price: int) -> None:
    assert discount(list_minor=price, off_bps=10_000, off_minor=None) == price


# --- orders -----------------------------------------------------------------------------------

pytestmark = pytest.mark.django_db


def test_order_keeps_what_the_coupon_took_off(till: Till) -> None:
    coupon = make(till, off_bps=3333)

    sold = order(till, "S P R I N G")

    assert (sold.list_minor, sold.discount_minor, sold.amount_minor) == (1000, 333, 667)
    assert (sold.coupon, sold.due_minor) == (coupon, 667)
    actions.end_coupon(coupon=coupon, now=till.now, actor=OWNER)
    assert till.receive(till.transfer(sold).reference, 667).outcome == "settled"
    assert books() == {"assets:bank": 667, "liabilities:unearned": 667}
    assert_sound()


def test_like_signs_are_one_word(till: Till) -> None:
    make(till, "Welcome0")
    assert order(till, "we1comeo").discount_minor == 250
    with pytest.raises(actions.CouponWrong, match="this word already"):
        make(till, "WELCOMEO")


def test_order_for_nothing_is_settled_without_a_payment(till: Till) -> None:
    make(till, off_bps=10_000)
    sold = order(till)

    sold = actions.settle_if_nothing_due(order=sold, now=till.now, actor=CUSTOMER)

    assert (sold.state, sold.amount_minor, sold.refundable_minor) == ("fulfilled", 0, 0)
    assert Payment.objects.count() == 0
    assert books() == {}
    till.end(sold, till.now + DAY)
    assert books() == {}
    assert_sound()


def test_same_order_twice_uses_a_coupon_once(till: Till) -> None:
    coupon = make(till)
    account = till.shop.account()
    assert order(till, account=account) == order(till, account=account)
    assert till.order(account=account) != order(till, account=account)
    coupon.refresh_from_db()
    assert coupon.uses == 1
    assert_sound()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"valid_from": "later"}, "This coupon is not valid yet."),
        ({"off": Money(100, "EUR")}, "This coupon is for prices in another currency."),
        ({"currency": "EUR"}, "This coupon is for prices in another currency."),
        ({"terms": [6, 12]}, "This coupon is for another term."),
    ],
)
def test_it_says_why_it_does_not_apply(till: Till, values: dict[str, object], why: str) -> None:
    if values.get("valid_from") == "later":
        values = {"valid_from": till.now + DAY}
    coupon = make(till, **values)
    assert refusal(till) == why
    coupon.refresh_from_db()
    assert (coupon.uses, Order.objects.count()) == (0, 0)


def test_it_says_why_it_does_not_apply_any_more(till: Till) -> None:
    make(till, "SHORT", valid_to=till.now + DAY)
    make(till, "OTHER", plans=[till.shop.add_plan("Ten devices")])
    ended = make(till, "ENDED")
    actions.end_coupon(coupon=ended, now=till.now, actor=OWNER)
    assert refusal(till, word="none") == "There is no coupon with this word."
    assert refusal(till, word="x") == "There is no coupon with this word."
    assert refusal(till, word="other") == "This coupon is for another plan."
    assert refusal(till, word="ended") == "This coupon was ended."
    assert order(till, "short").discount_minor == 250
    till.now += DAY
    assert refusal(till, word="short") == "This coupon has run out."


def test_coupon_for_a_first_purchase_is_for_one_that_bought_nothing(till: Till) -> None:
    make(till, first_only=True)
    old, new = till.sell().account, till.shop.account()
    assert old is not None
    assert refusal(till, account=old) == "This coupon is for a first purchase."
    assert order(till, account=new).discount_minor == 250
    assert "as often as you may" in refusal(till, account=new, months=6)


def test_top_up_does_not_use_up_a_coupon_for_a_first_purchase(till: Till) -> None:
    make(till, first_only=True)
    account = till.shop.account()
    till.top_up(account, 1000)

    assert order(till, account=account).discount_minor == 250


def test_limits_count_open_orders_and_are_given_back(till: Till) -> None:
    coupon = make(till, most_uses=2, most_per_account=1)
    account = till.shop.account()
    first = order(till, account=account)
    assert "as often as you may" in refusal(till, account=account, months=6)
    actions.cancel(order=first, now=till.now, actor=CUSTOMER)
    order(till, account=account, months=6)
    order(till)
    assert refusal(till) == "This coupon was used as often as it may be."

    till.now += THREE_DAYS
    actions.expire_due(now=till.now, actor=OWNER)

    coupon.refresh_from_db()
    assert coupon.uses == 0
    assert order(till).discount_minor == 250
    assert_sound()


def test_late_money_for_an_order_that_gave_its_coupon_back_is_sent_back(till: Till) -> None:
    make(till, most_uses=1)
    late = order(till)
    reference = till.transfer(late).reference
    till.now += THREE_DAYS
    actions.expire_due(now=till.now, actor=OWNER)
    order(till)

    assert till.receive(reference, 750).outcome == "refund"
    assert_sound()


def test_unused_time_is_owed_from_what_was_paid(till: Till) -> None:
    make(till, off_bps=5000)
    sold = order(till)
    till.receive(till.transfer(sold).reference, 500)
    assert till.end(sold, till.now).refund_due_minor == 500
    assert_sound()


def test_database_itself_keeps_limit_and_terms_of_a_coupon(till: Till) -> None:
    coupon = make(till, most_uses=1)
    for values in ({"uses": 2}, {"off_bps": 9000}, {"most_uses": 5}, {"valid_to": till.now}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Coupon.objects.filter(pk=coupon.pk).update(**values)
    sold = order(till)
    for values in ({"discount_minor": 251}, {"amount_minor": 751}, {"coupon": None}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Order.objects.filter(pk=sold.pk).update(**values)


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("ab", {}),
        ("spring time!" * 3, {}),
        ("SPRING", {"off_bps": 0}),
        ("SPRING", {"off_bps": 10_001}),
        ("SPRING", {"off_bps": None}),
        ("SPRING", {"off": Money(0, "CNY")}),
        ("SPRING", {"currency": "XXX"}),
        ("SPRING", {"most_uses": 0}),
        ("SPRING", {"most_per_account": 0}),
    ],
)
def test_coupon_that_makes_no_sense_is_refused(
    till: Till, word: str, values: dict[str, object]
) -> None:
    with pytest.raises(actions.CouponWrong):
        make(till, word, **values)
    assert Coupon.objects.count() == 0


def test_coupon_ends_after_it_begins(till: Till, now: datetime) -> None:
    with pytest.raises(actions.CouponWrong, match="runs out after"):
        make(till, valid_to=now)


def test_coupon_of_a_price_that_was_replaced_needs_the_new_one(till: Till) -> None:
    make(till)
    plans.set_price(
        plan=till.shop.plan, term_months=1, money=Money(2000, "CNY"), now=till.now, actor=OWNER
    )
    with pytest.raises(actions.PriceGone):
        order(till)
    assert Coupon.objects.get().uses == 0
