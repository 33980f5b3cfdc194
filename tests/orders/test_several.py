"""Several subscriptions of one account: every order says which one it is for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, transaction

from dearer import held_by
from ferriage.core.actors import CUSTOMER
from ferriage.orders import actions
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries
from ferriage.plans import several
from ferriage.plans.models import Subscription
from till import THREE_DAYS, Till, assert_sound

if TYPE_CHECKING:
    from ferriage.orders.models import Order

DAY = timedelta(days=1)


def beside(till: Till, order: Order, months: int = 1) -> Order:
    """Order another subscription for the account of an order."""
    assert order.account is not None
    return actions.place(
        account=order.account,
        price=till.shop.prices[months],
        place="XD",
        beside=True,
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )


def paid(till: Till, order: Order) -> Order:
    assert till.receive(till.transfer(order).reference, order.due_minor).outcome == "settled"
    order.refresh_from_db()
    return order


def onto(till: Till, subscription: Subscription, months: int = 1) -> Order:
    return actions.place(
        account=subscription.account,
        price=till.shop.prices[months],
        place="XD",
        extends=subscription,
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )


def test_purchase_that_says_nothing_extends_what_is_held(till: Till) -> None:
    first = till.sell()
    again = till.sell(account=first.account)

    assert (again.extends, again.beside, again.subscription) == (
        first.subscription,
        False,
        first.subscription,
    )


def test_another_beside_begins_now_and_has_a_number_of_its_own(till: Till) -> None:
    first = till.sell(12)
    second = paid(till, beside(till, first))

    assert (second.extends, second.beside) == (None, True)
    assert (held_by(first).number, held_by(second).number) == (1, 2)
    assert second.period_starts_at == till.now
    assert_sound()


def test_two_beside_one_another_are_two_orders_and_two_subscriptions(till: Till) -> None:
    first = till.sell()
    second = beside(till, first)
    assert beside(till, first) == second  # a second click
    paid(till, second)
    paid(till, beside(till, first))

    numbers = Subscription.objects.order_by("number").values_list("number", flat=True)
    assert list(numbers) == [1, 2, 3]


def test_the_one_that_ends_soonest_is_proposed(till: Till) -> None:
    first = till.sell(12)
    second = paid(till, beside(till, first))

    assert till.order(account=first.account).extends == second.subscription


def test_the_one_that_was_named_is_extended_whichever_would_be_proposed(till: Till) -> None:
    first = till.sell(12)
    paid(till, beside(till, first))
    end = first.period_ends_at

    order = paid(till, onto(till, held_by(first)))

    assert (order.subscription, order.period_starts_at) == (first.subscription, end)


def test_voucher_pays_for_the_one_that_its_order_named(till: Till) -> None:
    first = till.sell(12)
    second = paid(till, beside(till, first))
    order = onto(till, held_by(second))

    till.redeem(order, till.voucher())

    order.refresh_from_db()
    assert order.subscription == second.subscription


def test_two_first_orders_of_a_new_account_are_for_one_subscription(till: Till) -> None:
    account = till.shop.account()
    one, six = till.order(1, account=account), till.order(6, account=account)

    assert (one.extends, six.extends) == (None, None)
    assert held_by(paid(till, one)) == held_by(paid(till, six))


def test_subscription_of_somebody_else_is_not_extended(till: Till) -> None:
    theirs = held_by(till.sell())

    with pytest.raises(actions.WrongSubscription):
        actions.place(
            account=till.shop.account(),
            price=till.shop.prices[1],
            place="XD",
            extends=theirs,
            now=till.now,
            expires_at=till.now + THREE_DAYS,
            actor=CUSTOMER,
        )


def test_other_plan_beside_the_one_that_runs(till: Till) -> None:
    first = till.sell()
    other = till.shop.add_plan("Ten devices", till.shop.line)
    subscription = plans.extend(
        account=held_by(first).account,
        plan=other,
        subscription=None,
        term_months=1,
        source_code="ord_1",
        now=till.now,
        actor=CUSTOMER,
    ).subscription

    assert (subscription.number, subscription.plan) == (2, other)
    assert held_by(first).plan == till.shop.plan


def test_ended_one_is_proposed_when_none_runs(till: Till) -> None:
    first = till.sell()
    till.now += 60 * DAY

    assert till.order(account=first.account).extends == first.subscription


def test_each_ends_for_itself(till: Till) -> None:
    first = till.sell(12)
    second = paid(till, beside(till, first))

    till.end(second, till.now + DAY)

    assert plan_queries.subscription_end(held_by(second)).at == till.now + DAY
    assert plan_queries.subscription_end(held_by(first)).at == first.period_ends_at
    assert_sound()


def test_name_of_a_subscription_is_the_customers_own(till: Till) -> None:
    subscription = held_by(till.sell())

    plans.label(subscription=subscription, text=" Home ", now=till.now, actor=CUSTOMER)
    with pytest.raises(plans.LabelWrong):
        plans.label(subscription=subscription, text="x" * 31, now=till.now, actor=CUSTOMER)

    subscription.refresh_from_db()
    assert subscription.label == "Home"


def test_database_tells_two_apart(till: Till) -> None:
    held = held_by(till.sell())

    with pytest.raises(IntegrityError), transaction.atomic():
        Subscription.objects.create(
            account=held.account,
            service=held.service,
            plan=held.plan,
            anchor_at=till.now,
            quota_anchor_at=till.now,
        )


def test_extendable_are_those_of_the_plan_and_then_those_that_are_over(till: Till) -> None:
    first = till.sell()
    assert first.account is not None
    second = paid(till, beside(till, first, 12))
    till.now += 40 * DAY
    third = paid(till, beside(till, first, 6))

    found = several.extendable(first.account, till.shop.plan, now=till.now)

    assert found == [held_by(third), held_by(second), held_by(first)]
