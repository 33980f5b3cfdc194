from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ferriage.ledger.models import LedgerTransaction
from ferriage.orders import actions, tasks
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries
from ferriage.plans.models import Period
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from ferriage.orders.models import Order
    from shop import Shop

DAY = timedelta(days=1)
MONTH_SECONDS = 31 * 86400


@pytest.fixture
def midnight(db: None, make_shop: Callable[[datetime], Shop]) -> Till:  # noqa: ARG001 -- asks for the database
    """A shop at the first second of a day, so that days of service are whole."""
    now = datetime(2026, 3, 1, tzinfo=UTC)
    shop = make_shop(now)
    shop.approve_for_years()
    return Till(shop, now)


def earned() -> int:
    return books().get("income:ferry", 0)


def postings(order: Order) -> int:
    return LedgerTransaction.objects.filter(source_code=order.code, kind="earned").count()


def test_nothing_is_earned_on_the_day_of_the_sale(till: Till) -> None:
    till.sell()

    assert tasks.run(till.now + timedelta(hours=3)) == 0
    assert earned() == 0


def test_day_that_passed_is_earned_by_the_second(till: Till) -> None:
    till.sell()

    tasks.run(till.now + timedelta(days=1, seconds=1))

    assert earned() == 1000 * (86400 + 1) // MONTH_SECONDS
    assert_sound()


def test_same_instant_earns_once(till: Till) -> None:
    order = till.sell()

    ran = [tasks.run(till.now + DAY) for _again in range(3)]

    assert ran == [1, 0, 0]
    assert postings(order) == 1


def test_missed_days_are_caught_up_in_one_posting_to_the_same_sum(till: Till) -> None:
    till.sell(account=till.shop.account())
    for day in range(1, 11):
        tasks.run(till.now + day * DAY)
    daily = earned()

    other = till.sell(account=till.shop.account())
    actions.recognise(now=till.now + 10 * DAY)

    assert daily == 1000 * 10 // 31
    assert earned() == 2 * daily
    assert postings(other) == 1


def test_last_posting_takes_the_rest_and_nothing_follows(till: Till) -> None:
    till.sell()
    for day in range(1, 40):
        tasks.run(till.now + day * DAY)

    assert earned() == 1000
    assert "liabilities:unearned" not in books()
    assert tasks.run(till.now + 50 * DAY) == 0
    assert_sound()


def test_term_that_is_over_is_earned_without_waiting_for_midnight(till: Till) -> None:
    order = till.sell()
    assert order.period_ends_at is not None
    tasks.run(order.period_ends_at - timedelta(seconds=1))
    before = earned()

    tasks.run(order.period_ends_at)

    assert (before, earned()) == (999, 1000)


def test_renewal_is_earned_from_where_the_first_term_ends(till: Till) -> None:
    first = till.sell()
    second = till.sell(6, account=first.account)
    assert second.period_starts_at == first.period_ends_at

    tasks.run(first.period_ends_at)  # type: ignore[arg-type] -- a fulfilled order has an end
    at_end_of_first = earned()
    tasks.run(second.period_ends_at)  # type: ignore[arg-type] -- the same

    assert at_end_of_first == 1000
    assert earned() == 6000
    assert_sound()


def test_two_years_for_120_ended_after_181_of_731_days_owe_90_29(midnight: Till) -> None:
    till = midnight
    order = till.sell(24)
    assert order.period_ends_at == till.now + 731 * DAY
    till.now += 181 * DAY

    ended = till.end(order, till.now)
    tasks.run(till.now + timedelta(minutes=1))

    assert ended.refund_due_minor == 9029
    assert books() == {
        "assets:bank": 12000,
        "income:ferry": 2971,
        "liabilities:refunds": 9029,
    }
    assert_sound()


def test_ending_in_15_seconds_earns_up_to_then_and_no_further(till: Till) -> None:
    order = till.sell()
    soon = till.now + timedelta(seconds=15)

    till.end(order, soon)
    for later in (timedelta(seconds=15), DAY, 60 * DAY):
        tasks.run(till.now + later)

    assert books() == {"assets:bank": 1000, "liabilities:refunds": 1000}
    assert_sound()


def test_renewal_not_yet_begun_is_owed_whole(till: Till) -> None:
    first = till.sell()
    second = till.sell(6, account=first.account)
    till.now += 10 * DAY

    till.end(second, till.now)
    first.refresh_from_db()
    second.refresh_from_db()

    assert (first.refund_due_minor, second.refund_due_minor) == (1000 - 1000 * 10 // 31, 5000)
    assert_sound()


def test_term_that_was_over_owes_nothing(till: Till) -> None:
    first = till.sell()
    assert first.period_ends_at is not None
    till.now = first.period_ends_at
    second = till.sell(account=first.account)

    till.end(second, till.now)
    tasks.run(till.now)
    first.refresh_from_db()

    assert (first.refund_due_minor, first.cut_at) == (0, None)
    assert books() == {
        "assets:bank": 2000,
        "income:ferry": 1000,
        "liabilities:refunds": 1000,
    }


def test_ending_again_at_an_earlier_instant_owes_the_rest_too(till: Till) -> None:
    order = till.sell(6)
    till.now += 10 * DAY
    first = till.end(order, till.now + 60 * DAY).refund_due_minor
    tasks.run(till.now)

    second = till.end(order, till.now + 5 * DAY).refund_due_minor
    tasks.run(till.now + 5 * DAY)

    assert first == 5000 - 5000 * 70 // 184
    assert second == 5000 - 5000 * 15 // 184
    assert books()["liabilities:refunds"] == second
    assert "liabilities:unearned" not in books()
    assert_sound()


def test_later_instant_than_the_end_changes_nothing(till: Till) -> None:
    order = till.sell()
    till.end(order, till.now + DAY)
    before = books()

    with pytest.raises(plans.NothingToEnd):
        till.end(order, till.now + 2 * DAY)

    assert books() == before


def test_renewal_after_an_early_end_counts_from_it_and_is_earned_whole(till: Till) -> None:
    order = till.sell()
    till.end(order, till.now + timedelta(seconds=15))
    renewed = till.sell(account=order.account)

    tasks.run(till.now + 60 * DAY)

    assert renewed.period_starts_at == till.now + timedelta(seconds=15)
    assert books() == {
        "assets:bank": 2000,
        "income:ferry": 1000,
        "liabilities:refunds": 1000,
    }
    assert_sound()


def test_clock_that_ran_ahead_costs_the_customer_nothing(till: Till) -> None:
    order = till.sell()
    tasks.run(till.now + 400 * DAY)
    assert earned() == 1000

    ended = till.end(order, till.now + DAY)
    tasks.run(till.now + DAY)

    assert ended.refund_due_minor == 1000 - 1000 // 31
    assert earned() == 1000 // 31
    assert_sound()


def test_early_end_without_a_reason_writes_nothing(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None

    with pytest.raises(plans.TermWrong):
        actions.end_subscription(
            subscription=order.subscription, at=till.now, reason=" ", now=till.now, actor=OWNER
        )

    assert Period.objects.filter(kind="cut").count() == 0
    assert not plan_queries.subscription_end(order.subscription).is_over(till.now)
    assert books() == {"assets:bank": 1000, "liabilities:unearned": 1000}


def test_earning_takes_as_many_statements_for_one_order_as_for_four(till: Till) -> None:
    till.sell()
    actions.recognise(now=till.now + DAY)
    with CaptureQueriesContext(connection) as one:
        actions.recognise(now=till.now + 2 * DAY)
    for _customer in range(3):
        till.sell()

    with CaptureQueriesContext(connection) as four:
        actions.recognise(now=till.now + 3 * DAY)

    assert earned() == 4 * (1000 * 3 // 31)
    assert len(four) == len(one)
