"""Ways past the rules that an attack found: terms, places, days and money that slipped through."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.fleet import tasks as fleet_tasks
from ferriage.orders import actions, tasks
from ferriage.orders.models import Order
from ferriage.payments import actions as payments
from ferriage.payments import tasks as payment_tasks
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries
from ferriage.plans.models import Lapse, Subscription
from till import Till, assert_sound
from yard import ISSUED, OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from shop import Shop

DAY = timedelta(days=1)


@pytest.fixture
def till(shop: Shop) -> Till:
    """The counter of a shop that rests on one approval, to the end of February 2027."""
    return Till(shop, shop.now)


def worker(now: datetime) -> None:
    fleet_tasks.run(now)
    tasks.run(now)
    payment_tasks.run(now)


def end_of(order: Order) -> datetime:
    subscription = Subscription.objects.get(pk=order.subscription_id)
    end = plan_queries.subscription_end(subscription).at
    assert end is not None
    return end


def test_renewal_is_measured_with_the_days_that_stood_still(till: Till) -> None:
    """Between the release of a line and the worker's round, days still stand still."""
    order = till.sell(6)
    assert order.subscription is not None
    for _month in range(4):
        till.sell(1, account=order.account)
    plans.grant(
        account=order.subscription.account,
        plan=till.shop.plan,
        subscription=order.subscription,
        starts_at=end_of(order),
        ends_at=end_of(order) + 10 * DAY,
        reason="Sorry",
        source_code="grant",
        now=till.now,
        actor=OWNER,
    )
    fleet.hold_line(line=till.shop.line, reason="x", now=till.now + DAY, actor=OWNER)
    worker(till.now + 2 * DAY)
    back = till.now + 29 * DAY
    till.shop.line.refresh_from_db()
    fleet.release_line(line=till.shop.line, now=back, actor=OWNER)

    with pytest.raises(actions.TermOutlivesApproval):
        actions.place(
            account=order.subscription.account,
            price=till.shop.prices[1],
            place="XD",
            now=back,
            expires_at=back + 3 * DAY,
            actor=CUSTOMER,
        )


def test_move_to_a_line_that_ends_before_the_term_is_refused(till: Till) -> None:
    till.shop.approve_for_years()
    order = till.sell(24)
    assert order.subscription is not None
    short = till.shop.yard.plan("Short")
    till.shop.yard.approve(short, replace(ISSUED, number="2", valid_to=date(2026, 6, 30)))
    short = fleet.put_in_service(line=short, now=till.now, actor=OWNER)
    other = till.shop.add_plan("Other", short)
    fleet.hold_line(line=till.shop.line, reason="x", now=till.now + DAY, actor=OWNER)
    worker(till.now + DAY)

    with pytest.raises(actions.MoveRefused):
        actions.move(
            subscription=order.subscription, plan=other, now=till.now + 2 * DAY, actor=CUSTOMER
        )

    assert Subscription.objects.get().plan == till.shop.plan


def test_assigned_money_is_asked_where_it_came_from(till: Till) -> None:
    order = till.order()
    came = payments.book_receipt(
        reference="thanks",
        transaction_id="1",
        money=Money(order.amount_minor, order.currency),
        payer_place="CN",
        now=till.now,
        actor=OWNER,
    )

    with pytest.raises(payments.NotAssignable, match="not among those written on the line"):
        payments.assign_unallocated(payment=came.payment, order=order, now=till.now, actor=OWNER)

    order.refresh_from_db()
    came.payment.refresh_from_db()
    assert (order.state, came.payment.outcome) == ("open", "unallocated")


def test_money_is_not_assigned_to_an_order_that_was_paid_meanwhile(till: Till) -> None:
    order = till.sell()
    came = payments.book_receipt(
        reference="thanks",
        transaction_id="9",
        money=Money(order.amount_minor, order.currency),
        now=till.now,
        actor=OWNER,
    )

    with pytest.raises(payments.NotAssignable):
        payments.assign_unallocated(payment=came.payment, order=order, now=till.now, actor=OWNER)

    assert_sound()


def test_days_not_served_before_an_announced_end_are_owed_however_late_it_is_seen(
    till: Till,
) -> None:
    order = till.sell(6)
    assert order.subscription is not None
    actions.end_subscription(
        subscription=order.subscription,
        at=till.now + 40 * DAY,
        reason="Asked",
        now=till.now + DAY,
        actor=OWNER,
    )
    owed_before = Order.objects.get(pk=order.pk).refund_due_minor
    fleet.revoke_approval(approval=Approval.objects.get(), now=till.now + 10 * DAY, actor=OWNER)

    worker(till.now + 41 * DAY)
    worker(till.now + 75 * DAY)

    assert Lapse.objects.get().lapsed_at == till.now + 10 * DAY
    assert Order.objects.get(pk=order.pk).refund_due_minor > owed_before
    assert_sound()
