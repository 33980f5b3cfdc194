"""Of a term with a quota the greater counts as used: its time, or its data. At every way out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dearer import GB, Dearer, held_by, open_dearer, sell_packs, use
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.orders import actions, balance, refunds, tasks, usedpart, values
from ferriage.orders.actions import refunds as refunding
from ferriage.orders.models import Document, Order
from ferriage.orders.refunds import Rules
from ferriage.plans import actions as plans
from ferriage.plans import quota
from ferriage.plans.models import Plan
from taxed import charge
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.orders.refunds import Quote

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
PRO_RATA = Rules(full_days=0)
MONTH = 31
"""Days of the first month, March 2026, that a term sold by the till begins with."""


@pytest.fixture
def metered(till: Till) -> Till:
    """Return a till whose plan has 100 GB a month, for 10.00."""
    sell_packs(till)
    return till


def ask(order: Order, till: Till, rules: Rules = PRO_RATA) -> Quote:
    """Return what ending the order's subscription now is quoted at."""
    held = held_by(order)
    decide = refunds.by_rules(held, rules, now=till.now)
    return refunds.quote(held, at=till.now, decide=decide)


def give_quota(dearer: Dearer, quota_bytes: int) -> None:
    Plan.objects.filter(pk=dearer.plan.pk).update(quota_bytes=quota_bytes)
    for price in dearer.prices.values():
        price.plan.refresh_from_db()


def owed(quote: Quote) -> int:
    return sum(money.amount_minor for money in quote.owed)


def refund(order: Order, till: Till, rules: Rules = PRO_RATA) -> int:
    """Refund the order's subscription now; returns what is owed."""
    quoted = ask(order, till, rules)
    refunding.refund_on_request(
        subscription=held_by(order),
        at=till.now,
        quoted=quoted.owed,
        rules=rules,
        now=till.now,
        actor=CUSTOMER,
    )
    order.refresh_from_db()
    return order.refund_due_minor


# --- the rule ---------------------------------------------------------------------------------


@given(
    passed=st.integers(0, 10**13),
    ahead=st.integers(0, 10**13),
    allowed=st.integers(1, 10**15),
    used=st.lists(st.integers(0, 2 * 10**15), min_size=2, max_size=2).map(sorted),
)
def test_it_counts_at_least_the_time_never_more_than_the_month_and_grows_with_the_data(
    passed: int, ahead: int, allowed: int, used: list[int]
) -> None:
    own_at = datetime(2026, 3, 1, tzinfo=UTC)
    tick = timedelta(microseconds=1)
    less, more = (
        usedpart.counts_to(
            own_at=own_at, passed=passed * tick, ahead=ahead * tick, used=one, allowed=allowed
        )
        for one in used
    )

    assert own_at <= less <= more <= own_at + ahead * tick
    # Rounded for the customer: what counts is not beyond the part of the data, exactly.
    counted = passed + (more - own_at) // tick
    assert more == own_at or counted * allowed <= (passed + ahead) * min(used[1], allowed)
    if used[1] >= allowed:
        assert more == own_at + ahead * tick


def test_whole_quota_used_on_the_first_day_leaves_nothing(metered: Till) -> None:
    sold = metered.sell()
    metered.now += DAY
    use(held_by(sold), 100 * GB, metered.now)

    found = ask(sold, metered)

    assert found.owed == ()
    with pytest.raises(refunding.NothingToRefund):
        refund(sold, metered)


@pytest.mark.parametrize(
    ("days", "gigabytes", "left"),
    [
        (1, 97, 30),  # 3 GB of 100
        (1, 0, 1000 - 1000 * 1 // MONTH),
        (1, 3, 1000 - 1000 * 1 // MONTH),  # a day is 3.2 GB
        (20, 50, 1000 - 1000 * 20 // MONTH),
        (20, 80, 200),
    ],
)
def test_refund_is_by_the_greater_of_time_and_data(
    metered: Till, days: int, gigabytes: int, left: int
) -> None:
    sold = metered.sell()
    metered.now += days * DAY
    use(held_by(sold), gigabytes * GB, metered.now)

    assert refund(sold, metered) == left
    assert_sound()


def test_of_a_year_the_months_to_come_are_not_touched(metered: Till) -> None:
    """A year of 365 days for 90.00: the first month of 31 is used up, then 20 GB of the second."""
    sold = metered.sell(12)
    use(held_by(sold), 100 * GB, metered.now)
    assert owed(ask(sold, metered)) == 9000 - 9000 * 31 // 365
    metered.now += 31 * DAY + HOUR
    use(held_by(sold), 20 * GB, metered.now)

    assert owed(ask(sold, metered)) == 9000 - 9000 * (31 + 6) // 365  # a fifth of 30 days


def test_what_is_told_late_changes_nothing_of_what_was_booked(metered: Till) -> None:
    sold = metered.sell()
    metered.now += DAY
    use(held_by(sold), 50 * GB, metered.now)
    assert refund(sold, metered) == 500

    use(held_by(sold), 90 * GB, metered.now)
    tasks.run(metered.now)

    sold.refresh_from_db()
    assert sold.refund_due_minor == 500
    assert books() == {"assets:bank": 1000, "income:ferry": 500, "liabilities:refunds": 500}
    assert_sound()


def test_data_used_between_page_and_button_is_asked_again(metered: Till) -> None:
    sold = metered.sell()
    metered.now += DAY
    use(held_by(sold), 50 * GB, metered.now)
    seen = ask(sold, metered)
    use(held_by(sold), 60 * GB, metered.now)

    with pytest.raises(refunding.QuoteChanged):
        refunding.refund_on_request(
            subscription=held_by(sold),
            at=metered.now,
            quoted=seen.owed,
            rules=PRO_RATA,
            now=metered.now,
            actor=CUSTOMER,
        )

    assert Order.objects.get(pk=sold.pk).cut_at is None
    assert refund(sold, metered) == 400


def test_quote_says_both_parts(metered: Till) -> None:
    sold = metered.sell()
    metered.now += DAY
    use(held_by(sold), 97 * GB, metered.now)

    used = ask(sold, metered).parts[0].used

    assert used is not None
    assert (used.days_passed, used.days, used.used, used.allowed, used.by_data) == (
        1,
        MONTH,
        97 * GB,
        100 * GB,
        True,
    )


def test_plan_without_a_quota_counts_time_alone(till: Till) -> None:
    sold = till.sell()
    till.now += DAY
    use(held_by(sold), 100 * GB, till.now)

    assert refund(sold, till) == 1000 - 1000 // MONTH
    assert (sold.data_from_at, sold.counts_to_at) == (None, None)


def test_quota_that_was_lifted_counts_time_alone(metered: Till) -> None:
    sold = metered.sell()
    metered.now += DAY
    use(held_by(sold), 100 * GB, metered.now)
    Plan.objects.filter(pk=sold.plan_sold.pk).update(quota_bytes=None)

    assert owed(ask(sold, metered)) == 1000 - 1000 // MONTH


# --- each way out -----------------------------------------------------------------------------


def test_whole_price_is_for_trying_it(metered: Till) -> None:
    sold = metered.sell()
    metered.now += DAY
    use(held_by(sold), 10 * GB, metered.now)
    assert owed(ask(sold, metered, Rules())) == 1000

    use(held_by(sold), 10 * GB + 1, metered.now)

    assert owed(ask(sold, metered, Rules())) == 900


def test_what_was_used_in_the_month_before_was_no_trial_either(metered: Till) -> None:
    """Bought again on the 25th, the order's first month of the quota ends before its window."""
    first = metered.sell()
    metered.now += 25 * DAY
    refund(first, metered)
    metered.now += HOUR
    again = metered.sell(account=first.account)
    use(held_by(again), 90 * GB, metered.now)
    metered.now += 8 * DAY

    found = ask(again, metered, Rules())

    assert [part.rule for part in found.parts] == ["pro_rata"]


def test_withdrawal_takes_the_proportion_of_the_data(metered: Till) -> None:
    charge(metered.now)
    sold = metered.sell()
    metered.now += DAY
    use(held_by(sold), 97 * GB, metered.now)

    done = refunding.withdraw(
        subscription=held_by(sold), rules=Rules(), now=metered.now, actor=CUSTOMER
    )

    assert [line["owed_minor"] for line in done.lines] == [30]
    assert Document.objects.get(kind="credit").gross_minor == 30
    assert_sound()
    tasks.run(metered.now)
    assert books()["liabilities:refunds"] == 30
    assert "liabilities:unearned" not in books()
    assert_sound()


def test_change_of_plan_counts_what_is_left_of_the_data(metered: Till) -> None:
    dearer = open_dearer(metered)
    sold = metered.sell()
    metered.now += DAY
    use(held_by(sold), 80 * GB, metered.now)
    quoted = values.quote(held_by(sold), dearer.prices[1], now=metered.now)

    order = dearer.change(held_by(sold), 1)

    assert dearer.pay(order) == "settled"
    sold.refresh_from_db()
    assert (quoted.worth, quoted.due) == (Money(200, "CNY"), order.due)
    assert (order.value_minor, sold.moved_minor) == (200, 200)
    assert_sound()
    tasks.run(metered.now)
    assert books()["income:ferry"] == 800
    assert "expenses:promotions" not in books()
    assert_sound()


def test_change_to_a_cheaper_plan_puts_no_used_data_on_the_balance(metered: Till) -> None:
    dearer = open_dearer(metered)
    give_quota(dearer, 1000 * GB)
    account = metered.shop.account()
    bought = dearer.place(account, 1)
    dearer.pay(bought)
    use(held_by(bought), 900 * GB, metered.now)

    order = dearer.change(held_by(bought), price=metered.shop.prices[1])

    assert order.state == "open"
    assert (order.value_minor, order.due_minor) == (300, 700)
    dearer.pay(order)
    assert balance.balance(account, "CNY") == 0
    assert_sound()


def test_change_holds_while_little_is_used_and_the_shop_bears_it(metered: Till) -> None:
    dearer = open_dearer(metered)
    sold = metered.sell()
    order = dearer.change(held_by(sold), 1)
    use(held_by(sold), 9 * GB, metered.now)

    assert dearer.pay(order) == "settled"

    assert books()["expenses:promotions"] == 90
    assert_sound()


def test_change_whose_data_was_used_up_meanwhile_takes_no_money(metered: Till) -> None:
    dearer = open_dearer(metered)
    sold = metered.sell()
    order = dearer.change(held_by(sold), 1)
    use(held_by(sold), 60 * GB, metered.now)

    assert dearer.pay(order) == "refund"

    sold.refresh_from_db()
    assert (order.state, sold.cut_at) == ("open", None)
    again = dearer.change(held_by(sold), 1)
    assert (again.pk != order.pk, again.value_minor) == (True, 400)
    assert dearer.pay(again) == "settled"
    assert_sound()


def test_two_changes_cannot_count_on_data_that_was_used(metered: Till) -> None:
    """The first change ends a term of which nothing is left; the second counted on all of it."""
    dearer = open_dearer(metered)
    third = metered.shop.add_plan("Third", metered.shop.line)
    price = plans.set_price(
        plan=third, term_months=1, money=Money(4000, "CNY"), now=metered.shop.now, actor=OWNER
    )
    sold = metered.sell()
    counted = dearer.change(held_by(sold), price=price)
    metered.now += HOUR
    use(held_by(sold), 100 * GB, metered.now)
    other = dearer.change(held_by(sold), 1)
    dearer.pay(other)

    assert (counted.value_minor, other.value_minor) == (1000, 0)
    assert dearer.pay(counted) == "refund"
    assert_sound()


def test_new_plan_is_not_charged_for_what_the_one_before_used(metered: Till) -> None:
    """80 of 100 GB were used before; of 200 GB a month the new term had 120 in this one."""
    dearer = open_dearer(metered)
    give_quota(dearer, 200 * GB)
    sold = metered.sell()
    metered.now += 10 * DAY
    use(held_by(sold), 80 * GB, metered.now)
    order = dearer.change(held_by(sold), 1)
    dearer.pay(order)
    assert owed(ask(order, metered)) == 3000

    use(held_by(order), 140 * GB, metered.now)

    used = ask(order, metered).parts[0].used
    assert used is not None
    assert (order.data_before_bytes, used.used, used.allowed) == (80 * GB, 60 * GB, 120 * GB)
    # Half of the 21 days that the term has in this month, of 31 days in all.
    assert owed(ask(order, metered)) == 3000 - 3000 * 21 // 62
    assert_sound()


def test_bought_again_in_a_month_that_is_used_up_counts_time(metered: Till) -> None:
    first = metered.sell()
    use(held_by(first), 99 * GB, metered.now)
    metered.now += HOUR
    assert refund(first, metered) == 10
    use(held_by(first), 100 * GB, metered.now)
    metered.now += HOUR
    again = metered.sell(account=first.account)
    metered.now += DAY

    assert again.data_before_bytes == 100 * GB
    assert owed(ask(again, metered)) == 1000 - 1000 * 1 // 31


def test_term_bought_ahead_is_owed_whole_and_begins_with_what_was_used(metered: Till) -> None:
    """Days that were granted let it begin within a month of the quota."""
    first = metered.sell()
    assert first.period_ends_at is not None
    plans.grant(
        account=held_by(first).account,
        plan=first.plan_sold,
        subscription=held_by(first),
        starts_at=first.period_ends_at,
        ends_at=first.period_ends_at + 4 * DAY,
        reason="Sorry",
        source_code="grt_1",
        now=metered.now,
        actor=OWNER,
    )
    ahead = metered.sell(account=first.account)
    metered.now += 33 * DAY
    use(held_by(first), 60 * GB, metered.now)
    assert owed(ask(ahead, metered)) == 1000
    metered.now += 2 * DAY
    tasks.run(metered.now)
    ahead.refresh_from_db()

    assert (ahead.data_before_bytes, tasks.run(metered.now)) == (60 * GB, 0)
    assert owed(ask(ahead, metered)) == 1000
    use(held_by(ahead), 80 * GB, metered.now)
    assert owed(ask(ahead, metered)) == 1000 - 1000 * 13 // 30  # half of its 26 days here


def test_how_the_month_stood_is_forgotten_with_it(metered: Till) -> None:
    first = metered.sell()
    use(held_by(first), 30 * GB, metered.now)
    metered.now += HOUR
    refund(first, metered)
    metered.now += HOUR
    again = metered.sell(12, account=first.account)
    kept = []
    for days in (92, 2):
        metered.now += days * DAY
        tasks.run(metered.now)
        again.refresh_from_db()
        kept.append(again.data_before_bytes)

    assert kept == [30 * GB, 0]
    assert again.data_from_at is not None


def test_where_we_stop_time_alone_counts(metered: Till) -> None:
    sold = metered.sell()
    metered.now += DAY
    use(held_by(sold), 100 * GB, metered.now)
    fleet.hold_line(line=metered.shop.line, reason="Works", now=metered.now, actor=OWNER)
    actions.freeze_due(now=metered.now, actor=OWNER)
    metered.now += DAY

    assert owed(ask(sold, metered)) == 1000 - 1000 // MONTH
    actions.refund(subscription=held_by(sold), now=metered.now, actor=CUSTOMER)

    sold.refresh_from_db()
    assert (sold.refund_due_minor, sold.counts_to_at) == (1000 - 1000 // MONTH, None)
    assert_sound()


@pytest.mark.parametrize("way", ["refund", "withdraw"])
def test_asked_for_while_days_stand_still_time_alone_counts(metered: Till, way: str) -> None:
    sold = metered.sell()
    metered.now += DAY
    use(held_by(sold), 100 * GB, metered.now)
    fleet.hold_line(line=metered.shop.line, reason="Works", now=metered.now, actor=OWNER)
    actions.freeze_due(now=metered.now, actor=OWNER)
    metered.now += DAY

    if way == "refund":
        refund(sold, metered)
    else:
        refunding.withdraw(
            subscription=held_by(sold), rules=PRO_RATA, now=metered.now, actor=CUSTOMER
        )

    sold.refresh_from_db()
    assert (sold.refund_due_minor, sold.counts_to_at) == (1000 - 1000 // MONTH, None)
    assert_sound()


def test_where_staff_end_it_time_alone_counts(metered: Till) -> None:
    sold = metered.sell()
    metered.now += DAY
    use(held_by(sold), 100 * GB, metered.now)

    sold = metered.end(sold, metered.now)

    assert sold.refund_due_minor == 1000 - 1000 // MONTH
    assert_sound()


def test_ended_again_at_an_earlier_instant_it_owes_no_more(metered: Till) -> None:
    """A quote ends it a quarter of an hour ahead; staff end it within that time."""
    sold = metered.sell()
    metered.now += DAY
    use(held_by(sold), 50 * GB, metered.now)
    at = metered.now + refunding.QUOTE_HOLDS
    decide = refunds.by_rules(held_by(sold), PRO_RATA, now=metered.now)
    refunding.refund_on_request(
        subscription=held_by(sold),
        at=at,
        quoted=refunds.quote(held_by(sold), at=at, decide=decide).owed,
        rules=PRO_RATA,
        now=metered.now,
        actor=CUSTOMER,
    )
    sold.refresh_from_db()
    assert (sold.cut_at, sold.refund_due_minor, owed(ask(sold, metered))) == (at, 500, 0)

    sold = metered.end(sold, metered.now)

    assert (sold.cut_at, sold.refund_due_minor) == (metered.now, 500)
    tasks.run(metered.now)
    assert books() == {"assets:bank": 1000, "income:ferry": 500, "liabilities:refunds": 500}
    assert_sound()


def test_after_days_stood_still_the_data_counts_again(metered: Till) -> None:
    sold = metered.sell()
    metered.now += DAY
    fleet.hold_line(line=metered.shop.line, reason="Works", now=metered.now, actor=OWNER)
    actions.freeze_due(now=metered.now, actor=OWNER)
    metered.now += 5 * DAY
    fleet.release_line(line=metered.shop.line, now=metered.now, actor=OWNER)
    actions.resume_due(now=metered.now, actor=OWNER)
    use(held_by(sold), 100 * GB, metered.now)
    begins_at, ends_at = quota.stretch_of(held_by(sold), metered.now)

    # The month of the quota ran on, so the term's last 5 days lie in the next one.
    assert (begins_at, ends_at) == (sold.period_starts_at, sold.period_ends_at)
    assert refund(sold, metered) == 1000 - 1000 * 26 // MONTH
    assert_sound()


# --- the books --------------------------------------------------------------------------------


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    months=st.lists(st.sampled_from([1, 6, 12]), min_size=1, max_size=2),
    asked=st.integers(0, 200 * 86400),
    used=st.lists(st.integers(0, 130 * GB), min_size=2, max_size=2).map(sorted),
    rate=st.sampled_from([0, 700, 1900]),
    way=st.sampled_from(["refund", "withdraw", "change"]),
)
def test_outcomes_sum_to_what_came_and_no_refund_grows_with_use(
    metered: Till, months: list[int], asked: int, used: list[int], rate: int, way: str
) -> None:
    """Sell, use, ask at any second, end by any way, earn: each minor unit goes to one outcome."""
    began = metered.now
    with transaction.atomic():
        charge(began, rate)
        account = metered.shop.account()
        order, *_more = [metered.sell(term, account=account) for term in months]
        dearer = open_dearer(metered)
        sold_minor = sum(Order.objects.values_list("amount_minor", flat=True))
        metered.now += timedelta(seconds=asked)
        tasks.run(metered.now)
        seen = []
        for one in used:
            use(held_by(order), one, metered.now)
            seen.append(owed(ask(order, metered)))

        if way == "refund" and seen[-1]:
            refund(order, metered)
        elif way == "withdraw" and asked < 14 * 86400:
            refunding.withdraw(
                subscription=held_by(order), rules=PRO_RATA, now=metered.now, actor=CUSTOMER
            )
        elif way == "change" and seen[-1]:
            dearer.pay(dearer.change(held_by(order)))
        metered.now += DAY
        tasks.run(metered.now)

        mine = Order.objects.filter(pk__in=Order.objects.filter(plan=metered.shop.plan))
        gone = sum(one.refund_due_minor + one.moved_minor for one in mine)
        ended = all(one.cut_at for one in mine.filter(period_ends_at__gt=metered.now))
        assert seen[0] >= seen[1] >= 0
        assert gone in {0, seen[1]}
        if ended and gone and way != "change":
            taxes = sum(minor for name, minor in books().items() if "tax" in name)
            assert books().get("income:ferry", 0) + taxes + gone == sold_minor
        assert_sound()
        transaction.set_rollback(True)
    metered.now = began


def test_database_knows_no_end_by_data_of_what_was_not_ended(metered: Till) -> None:
    sold = metered.sell()

    with pytest.raises(DatabaseError), transaction.atomic():
        Order.objects.filter(pk=sold.pk).update(counts_to_at=sold.period_ends_at)
