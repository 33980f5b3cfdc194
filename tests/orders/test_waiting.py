from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.orders import actions
from ferriage.orders.waiting import DueDay, lapses_of
from ferriage.plans import actions as plans
from till import Till
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from shop import Shop

DAY = timedelta(days=1)


@pytest.fixture
def till(shop: Shop) -> Till:
    """The counter of a shop that rests on one approval."""
    return Till(shop, shop.now)


def lapse(at: datetime) -> None:
    fleet.revoke_approval(approval=Approval.objects.latest("pk"), now=at, actor=OWNER)
    actions.freeze_due(now=at, actor=OWNER)


def test_line_that_never_lapsed_has_nothing_to_tell(till: Till) -> None:
    till.sell()

    assert not lapses_of(till.shop.line)


def test_staff_see_who_waits_who_left_and_what_is_due_when(till: Till) -> None:
    orders = [till.sell(), till.sell(), till.sell(6)]
    subscriptions = [order.subscription for order in orders if order.subscription]
    plans.grant(
        account=till.shop.account(),
        plan=till.shop.plan,
        subscription=None,
        starts_at=till.now,
        ends_at=till.now + 60 * DAY,
        reason="Sorry",
        source_code="grant",
        now=till.now,
        actor=OWNER,
    )
    lapse(till.now + 10 * DAY)
    actions.wait(subscription=subscriptions[0], now=till.now + 11 * DAY, actor=CUSTOMER)
    actions.refund(subscription=subscriptions[1], now=till.now + 11 * DAY, actor=CUSTOMER)

    found = lapses_of(till.shop.line)

    assert (found.waiting, found.chose_to_wait) == (3, 1)
    assert (found.resumed, found.moved, found.refunded) == (0, 0, 1)
    owed = (1000 - 1000 * 10 // 31) + (5000 - 5000 * 10 // 184)
    assert found.due == (DueDay(date(2026, 4, 10), 2, (Money(owed, "CNY"),)),)


def test_counting_costs_the_same_statements_for_one_and_three(till: Till) -> None:
    till.sell()
    lapse(till.now + DAY)
    with CaptureQueriesContext(connection) as one:
        lapses_of(till.shop.line)
    till.shop.yard.approve(till.shop.line)
    till.now += 2 * DAY
    fleet.refresh_permits(now=till.now, actor=OWNER)
    actions.resume_due(now=till.now, actor=OWNER)
    for _customer in range(2):
        till.sell()
    lapse(till.now + DAY)

    with CaptureQueriesContext(connection) as three:
        found = lapses_of(till.shop.line)

    assert (found.waiting, found.resumed) == (3, 1)
    assert len(three) == len(one)
