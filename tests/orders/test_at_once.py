"""Choices that come at once, on connections of their own: one of them counts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.fleet import actions as fleet
from ferriage.orders import actions
from ferriage.orders.models import Order
from ferriage.plans.models import Lapse, Period
from own_database import at_once
from till import Till, assert_sound
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ferriage.config import Config
    from shop import Shop

DAY = timedelta(days=1)


@pytest.fixture
def till(
    own_database: Config,  # noqa: ARG001 -- rows go there
    make_shop: Callable[[datetime], Shop],
    now: datetime,
) -> Till:
    return Till(make_shop(now), now)


def test_refund_chosen_and_due_at_once_is_owed_once(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None
    subscription = order.subscription
    lapsed = till.now + 10 * DAY
    fleet.revoke_approval(approval=Approval.objects.get(), now=lapsed, actor=OWNER)
    actions.freeze_due(now=lapsed, actor=OWNER)
    due = lapsed + 30 * DAY

    at_once(
        lambda: actions.refund(subscription=subscription, now=due, actor=CUSTOMER),
        lambda: actions.refund(subscription=subscription, now=due, actor=CUSTOMER),
        lambda: actions.refund_due(now=due, actor=OWNER),
        lambda: actions.refund_due(now=due, actor=OWNER),
    )

    assert Order.objects.get().refund_due_minor == 1000 - 1000 * 10 // 31
    assert Lapse.objects.get().outcome == "refunded"
    assert Period.objects.filter(kind="cut").count() == 1


def test_days_are_frozen_once_by_workers_and_customer_at_once(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None
    subscription = order.subscription
    lapsed = till.now + 10 * DAY
    fleet.revoke_approval(approval=Approval.objects.get(), now=lapsed, actor=OWNER)

    results = at_once(
        lambda: actions.freeze_due(now=lapsed + DAY, actor=OWNER),
        lambda: actions.freeze_due(now=lapsed + DAY, actor=OWNER),
        lambda: actions.wait(subscription=subscription, now=lapsed + DAY, actor=CUSTOMER),
    )

    assert [result for result in results if isinstance(result, Exception)] == []
    assert Lapse.objects.get().lapsed_at == lapsed
    assert Period.objects.filter(kind="freeze").count() == 1
    assert_sound()
