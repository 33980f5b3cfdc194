"""Changes of plan that come at once, on connections of their own: the value is used once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dearer import Dearer, held_by, open_dearer
from ferriage.core.actors import CUSTOMER
from ferriage.orders import actions
from ferriage.orders import balance as balances
from ferriage.orders.models import Order
from ferriage.plans.models import Period, Subscription
from own_database import at_once
from till import THREE_DAYS, Till, assert_sound, books

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ferriage.config import Config
    from shop import Shop

DAY = timedelta(days=1)


@pytest.fixture
def dearer(
    own_database: Config,  # noqa: ARG001 -- rows go there
    make_shop: Callable[[datetime], Shop],
    now: datetime,
) -> Dearer:
    shop = make_shop(now)
    shop.approve_for_years()
    return open_dearer(Till(shop, now))


def test_two_changes_paid_at_once_use_the_value_once(dearer: Dearer) -> None:
    till = dearer.till
    subscription = held_by(till.sell(12))
    orders = [dearer.change(subscription, 12), dearer.change(subscription, 24)]
    references = [till.transfer(order).reference for order in orders]

    outcomes = at_once(
        lambda: till.receive(references[0], 18_000, number="A").outcome,
        lambda: till.receive(references[1], 27_000, number="B").outcome,
    )

    assert sorted(map(str, outcomes)) == ["refund", "settled"]
    assert Order.objects.filter(kind="change", state="fulfilled").count() == 1
    assert Period.objects.filter(kind="cut").count() == 1
    assert books()["assets:bank"] == 9000 + 18_000 + 27_000
    assert_sound()


def test_one_change_paid_for_twice_at_once_is_made_once(dearer: Dearer) -> None:
    till = dearer.till
    order = dearer.change(held_by(till.sell(12)))
    reference = till.transfer(order).reference

    outcomes = at_once(
        lambda: till.receive(reference, 18_000, number="A").outcome,
        lambda: till.receive(reference, 18_000, number="B").outcome,
    )

    assert sorted(map(str, outcomes)) == ["refund", "settled"]
    assert Subscription.objects.get().plan == dearer.plan
    assert_sound()


def test_change_and_renewal_at_once_lose_nothing(dearer: Dearer) -> None:
    """Renewed first, the term goes to the balance; changed first, its money goes back."""
    till = dearer.till
    sold = till.sell(12)
    change = dearer.change(held_by(sold))
    renewal = till.order(1, account=sold.account)
    references = [till.transfer(order).reference for order in (change, renewal)]

    outcomes = at_once(
        lambda: till.receive(references[0], 18_000, number="A").outcome,
        lambda: till.receive(references[1], 1000, number="B").outcome,
    )

    assert sold.account is not None
    assert outcomes[0] == "settled"
    held = (outcomes[1], balances.balance(sold.account, "CNY"))
    assert held in {("settled", 1000), ("refund", 0)}
    assert books()["assets:bank"] == 28_000
    assert_sound()


def test_change_for_nothing_ordered_twice_at_once_is_made_once(dearer: Dearer) -> None:
    till = dearer.till
    subscription = held_by(till.sell(24))

    results = at_once(
        lambda: dearer.change(subscription, 1), lambda: dearer.change(subscription, 1)
    )

    assert sum(isinstance(result, Order) for result in results) == 1
    assert books() == {
        "assets:bank": 12_000,
        "liabilities:unearned": 3000,
        "liabilities:credits": 9000,
    }
    assert_sound()


def test_booked_plan_takes_over_once_by_two_workers(dearer: Dearer) -> None:
    till = dearer.till
    sold = till.sell()
    subscription = held_by(sold)
    actions.plan_change(subscription=subscription, plan=dearer.plan, now=till.now, actor=CUSTOMER)
    renewal = actions.place(
        account=subscription.account,
        price=dearer.prices[1],
        place="XD",
        extends=subscription,
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )
    dearer.pay(renewal)
    due = sold.period_ends_at
    assert due is not None

    done = at_once(
        lambda: actions.switch_due(now=due, actor=CUSTOMER),
        lambda: actions.switch_due(now=due, actor=CUSTOMER),
    )

    assert sorted(map(str, done)) == ["0", "1"]
    assert held_by(sold).plan == dearer.plan
    assert_sound()
