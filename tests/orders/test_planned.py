"""Another plan from where the time ends: booked for nothing, certain once its term is paid."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dearer import Dearer, held_by, open_dearer
from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.devices.models import Device
from ferriage.fleet import actions as fleet
from ferriage.orders import actions, tasks
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries
from till import THREE_DAYS, Till, assert_sound
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.orders.models import Order
    from ferriage.plans.models import PlannedChange

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def dearer(till: Till) -> Dearer:
    return open_dearer(till)


def book(till: Till, dearer: Dearer, order: Order) -> PlannedChange:
    return actions.plan_change(
        subscription=held_by(order), plan=dearer.plan, now=till.now, actor=CUSTOMER
    )


def renew(till: Till, dearer: Dearer, order: Order, months: int = 1) -> Order:
    """Order and pay a term of the dearer plan for an order's subscription."""
    subscription = held_by(order)
    renewal = actions.place(
        account=subscription.account,
        price=dearer.prices[months],
        place="XD",
        extends=subscription,
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )
    assert dearer.pay(renewal) == "settled"
    return renewal


def test_plan_changes_with_the_term_that_was_paid_for(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    device = till.shop.device(held_by(sold))
    change = book(till, dearer, sold)
    renewal = renew(till, dearer, sold)
    end = sold.period_ends_at
    assert end is not None
    assert renewal.period_starts_at == end

    tasks.run(end - SECOND)
    before = held_by(sold).plan
    tasks.run(end)

    change.refresh_from_db()
    assert (before, held_by(sold).plan) == (till.shop.plan, dearer.plan)
    assert (change.outcome, change.source_code) == ("done", renewal.code)
    kept = Device.objects.get(pk=device.pk)
    assert (kept.public_key, kept.ip4, kept.ip6) == (device.public_key, device.ip4, device.ip6)
    assert plan_queries.device_limit(held_by(sold), now=end) == 10
    assert_sound()


def test_paid_change_waits_for_days_that_stand_still(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    book(till, dearer, sold)
    renew(till, dearer, sold)
    end = sold.period_ends_at
    assert end is not None
    fleet.hold_line(line=till.shop.line, reason="x", now=till.now + DAY, actor=OWNER)
    tasks.run(till.now + DAY)
    fleet.release_line(line=till.shop.line, now=till.now + 4 * DAY, actor=OWNER)
    tasks.run(till.now + 4 * DAY)

    tasks.run(end + 3 * DAY - SECOND)
    before = held_by(sold).plan
    tasks.run(end + 3 * DAY)

    assert (before, held_by(sold).plan) == (till.shop.plan, dearer.plan)


def test_booked_change_is_taken_back_and_nothing_changes(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    change = book(till, dearer, sold)

    plans.cancel_change(subscription=held_by(sold), now=till.now, actor=CUSTOMER)

    change.refresh_from_db()
    assert change.outcome == "cancelled"
    with pytest.raises(plans.OtherPlanHeld):
        renew(till, dearer, sold)
    with pytest.raises(plans.ChangeWrong):
        plans.cancel_change(subscription=held_by(sold), now=till.now, actor=CUSTOMER)


def test_paid_change_is_not_taken_back(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    book(till, dearer, sold)
    renew(till, dearer, sold)

    with pytest.raises(plans.ChangeWrong, match="paid"):
        plans.cancel_change(subscription=held_by(sold), now=till.now, actor=CUSTOMER)
    with pytest.raises(plans.OtherPlanHeld):
        till.order(account=sold.account)


def test_renewal_as_before_leaves_the_change_for_the_end_after_it(
    till: Till, dearer: Dearer
) -> None:
    sold = till.sell()
    change = book(till, dearer, sold)

    till.sell(account=sold.account)

    change.refresh_from_db()
    assert (change.outcome, change.source_code, held_by(sold).plan) == ("", "", till.shop.plan)


def test_renewal_after_the_end_changes_at_once(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    change = book(till, dearer, sold)
    till.now += 40 * DAY

    renew(till, dearer, sold)

    change.refresh_from_db()
    assert (change.outcome, held_by(sold).plan) == ("done", dearer.plan)


def test_withdrawn_plan_drops_the_change_and_the_old_one_goes_on(
    till: Till, dearer: Dearer
) -> None:
    sold = till.sell()
    change = book(till, dearer, sold)
    plans.withdraw_plan(plan=dearer.plan, now=till.now, actor=OWNER)

    tasks.run(till.now)

    change.refresh_from_db()
    assert change.outcome == "withdrawn"
    assert till.sell(account=sold.account).subscription == sold.subscription


def test_register_that_says_no_drops_the_change(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    change = book(till, dearer, sold)
    for approval in Approval.objects.filter(state="granted"):
        fleet.revoke_approval(approval=approval, now=till.now + DAY, actor=OWNER)

    tasks.run(till.now + DAY)

    change.refresh_from_db()
    assert change.outcome == "denied"
    assert held_by(sold).plan == till.shop.plan


def test_paid_change_ends_with_a_subscription_that_ends(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    change = book(till, dearer, sold)
    renew(till, dearer, sold)

    till.end(sold, till.now + DAY)
    tasks.run(till.now + DAY)

    change.refresh_from_db()
    assert (change.outcome, held_by(sold).plan) == ("cancelled", till.shop.plan)
    assert_sound()


def test_change_right_away_replaces_what_was_booked(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    change = book(till, dearer, sold)

    dearer.pay(dearer.change(held_by(sold), 1))

    change.refresh_from_db()
    assert (change.outcome, held_by(sold).plan) == ("cancelled", dearer.plan)


def test_booked_again_the_later_one_counts(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    first, second = book(till, dearer, sold), book(till, dearer, sold)

    first.refresh_from_db()
    assert (first.outcome, second.outcome) == ("cancelled", "")
