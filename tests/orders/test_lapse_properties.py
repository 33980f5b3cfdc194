"""Random terms and lapses: refunds and earnings sum to what came, by a count kept beside them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.fleet import tasks as fleet_tasks
from ferriage.orders import actions, tasks
from ferriage.payments import tasks as payment_tasks
from ferriage.payments.models import Refund
from ferriage.plans import actions as plans
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from shop import Shop

_SECONDS = st.integers(1, 20 * 86_400)
_LAPSES = st.lists(st.tuples(_SECONDS, _SECONDS, st.integers(0, 86_400)), min_size=1, max_size=4)


def worker(now: datetime) -> None:
    fleet_tasks.run(now)
    tasks.run(now)
    payment_tasks.run(now)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    minor=st.integers(1, 10**6),
    months=st.sampled_from([1, 6]),
    lapses=_LAPSES,
    by_itself=st.booleans(),
)
def test_refunds_and_earned_sum_to_what_came(
    shop: Shop,
    minor: int,
    months: int,
    lapses: list[tuple[int, int, int]],
    by_itself: bool,  # noqa: FBT001 -- drawn by hypothesis
) -> None:
    """Each lapse comes some seconds after the last, and is noticed and ended with delays."""
    savepoint = transaction.savepoint_create()
    till = Till(shop, shop.now)
    till.shop.prices[months] = plans.set_price(
        plan=shop.plan, term_months=months, money=Money(minor, "CNY"), now=till.now, actor=OWNER
    )
    order = till.sell(months)
    assert order.period_ends_at is not None
    assert order.subscription is not None
    term = int((order.period_ends_at - till.now).total_seconds())
    used = 0

    for number, (after, length, late) in enumerate(lapses, start=1):
        lapsed_at = till.now + timedelta(seconds=after)
        fleet.revoke_approval(approval=Approval.objects.latest("pk"), now=lapsed_at, actor=OWNER)
        till.now = lapsed_at + timedelta(seconds=min(late, length))
        worker(till.now)
        used = min(used + after, term)
        till.now = lapsed_at + timedelta(seconds=length)
        if number == len(lapses):
            break
        shop.yard.approve(shop.line)
        worker(till.now)
    if by_itself:
        worker(lapsed_at + timedelta(days=30))
    elif used < term:
        actions.refund(subscription=order.subscription, now=till.now, actor=CUSTOMER)
    worker(lapsed_at + timedelta(days=31))

    order.refresh_from_db()
    owed = -(-minor * (term - used) // term)
    held = books()
    assert order.refund_due_minor == owed
    assert (held.get("liabilities:refunds", 0), held.get("income:ferry", 0)) == (owed, minor - owed)
    assert sum(Refund.objects.values_list("amount_minor", flat=True)) == owed
    assert "liabilities:unearned" not in held
    assert_sound()
    transaction.savepoint_rollback(savepoint)
    shop.prices.clear()
    shop.prices.update({price.term_months: price for price in shop.plan.prices.all()})
