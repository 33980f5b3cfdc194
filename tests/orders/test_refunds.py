"""What a refund is quoted at is what is booked, whatever stands still and whenever it is asked."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.orders import actions, refunds
from ferriage.orders.actions import refunds as refunding
from ferriage.orders.models import Document, Order, Withdrawal
from ferriage.orders.refunds import Rules
from ferriage.plans.queries import subscription_end
from taxed import charge
from till import assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.orders.refunds import Quote
    from till import Till

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def ask(order: Order, at: datetime, rules: Rules | None = None) -> Quote:
    """Return what ending the order's subscription at an instant is quoted at."""
    assert order.subscription is not None
    rules = rules or Rules()
    decide = refunds.by_rules(order.subscription, rules, now=at)
    return refunds.quote(order.subscription, at=at, decide=decide)


def confirm(order: Order, quote: Quote, at: datetime, rules: Rules | None = None) -> Quote:
    assert order.subscription is not None
    return refunding.refund_on_request(
        subscription=order.subscription,
        at=at,
        quoted=quote.owed,
        rules=rules or Rules(),
        now=at,
        actor=CUSTOMER,
    )


@pytest.mark.parametrize(
    ("after", "rules", "owed"),
    [
        (0 * DAY, Rules(), 1000),
        (14 * DAY, Rules(), 1000),
        (15 * DAY + HOUR, Rules(), 1000 - 1000 * (15 * 24 + 1) // (31 * 24)),
        (14 * DAY, Rules(full_days=0), 1000 - 1000 * 14 // 31),
        (3 * DAY - HOUR, Rules(full_days=2, after="none"), 1000),
        (4 * DAY, Rules(full_days=2, after="none"), 0),
    ],
)
def test_quote_follows_the_window_and_the_rule_after_it(
    till: Till, after: timedelta, rules: Rules, owed: int
) -> None:
    order = till.sell()

    found = ask(order, till.now + after, rules)

    assert found.owed == ((Money(owed, "CNY"),) if owed else ())


def test_whole_refund_takes_back_what_was_earned_and_all_tax(till: Till) -> None:
    charge(till.now)
    order = till.sell()
    at = till.now + 10 * DAY
    actions.recognise(now=at)
    assert books()["income:ferry"] > 0

    confirm(order, ask(order, at), at)

    assert books() == {"assets:bank": 1000, "liabilities:refunds": 1000}
    assert Document.objects.get(kind="credit").gross_minor == 1000
    assert_sound()
    actions.recognise(now=till.now + 40 * DAY)
    assert books() == {"assets:bank": 1000, "liabilities:refunds": 1000}


def test_use_of_the_term_ends_when_the_money_is_owed(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None
    at = till.now + DAY

    confirm(order, ask(order, at), at)

    assert subscription_end(order.subscription).at == at


def test_rule_none_refunds_only_the_renewal_and_lets_the_term_run(till: Till) -> None:
    rules = Rules(full_days=2, after="none")
    first = till.sell()
    till.now += 10 * DAY
    second = till.sell(account=first.account)
    assert second.subscription is not None

    found = ask(second, till.now, rules)
    confirm(second, found, till.now, rules)

    first.refresh_from_db()
    second.refresh_from_db()
    assert [part.order for part in found.parts] == [second]
    assert (first.refund_due_minor, second.refund_due_minor) == (0, 1000)
    assert subscription_end(second.subscription).at == first.period_ends_at
    assert_sound()


def test_rules_that_refund_nothing_end_nothing(till: Till) -> None:
    rules = Rules(full_days=0, after="none")
    order = till.sell()

    with pytest.raises(refunding.NothingToRefund):
        confirm(order, ask(order, till.now, rules), till.now, rules)

    assert Order.objects.get().cut_at is None


def test_amount_that_was_not_shown_is_not_booked(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None
    at = till.now + 20 * DAY

    with pytest.raises(refunding.QuoteChanged):
        confirm(order, ask(order, till.now), at)

    assert Order.objects.get().cut_at is None


@pytest.mark.parametrize("late", [-timedelta(seconds=1), refunding.QUOTE_HOLDS + HOUR])
def test_quote_holds_for_its_minutes_only(till: Till, late: timedelta) -> None:
    order = till.sell()
    assert order.subscription is not None

    with pytest.raises(refunding.QuoteChanged):
        refunding.refund_on_request(
            subscription=order.subscription,
            at=till.now + late,
            quoted=ask(order, till.now).owed,
            rules=Rules(),
            now=till.now,
            actor=CUSTOMER,
        )


def test_when_we_stopped_it_is_pro_rata_whatever_the_rule(till: Till) -> None:
    rules = Rules(full_days=0, after="none")
    order = till.sell()
    lapsed = till.now + 10 * DAY
    for approval in Approval.objects.filter(state="granted"):
        fleet.revoke_approval(approval=approval, now=lapsed, actor=OWNER)
    actions.freeze_due(now=lapsed, actor=OWNER)
    at = lapsed + 5 * DAY

    found = ask(order, at, rules)
    confirm(order, found, at, rules)

    assert found.owed == (Money(1000 - 1000 * 10 // 31, "CNY"),)
    order.refresh_from_db()
    assert order.refund_due_minor == found.owed[0].amount_minor
    assert_sound()


def test_lapse_that_nobody_noticed_yet_changes_the_quote(till: Till) -> None:
    order = till.sell()
    lapsed = till.now + 20 * DAY
    for approval in Approval.objects.filter(state="granted"):
        fleet.revoke_approval(approval=approval, now=lapsed, actor=OWNER)
    at = lapsed + 2 * DAY

    with pytest.raises(refunding.QuoteChanged):
        confirm(order, ask(order, at), at)

    actions.freeze_due(now=at, actor=OWNER)
    order.refresh_from_db()
    confirm(order, ask(order, at), at)
    order.refresh_from_db()
    assert order.refund_due_minor == 1000 - 1000 * 20 // 31


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    months=st.lists(st.sampled_from([1, 6, 12, 24]), min_size=1, max_size=2),
    asked=st.integers(0, 400 * 86400),
    earned=st.integers(0, 400),
    frozen=st.none() | st.tuples(st.integers(0, 60 * 86400), st.integers(1, 20 * 86400)),
    rules=st.builds(
        Rules, full_days=st.integers(0, 30), after=st.sampled_from(["none", "pro_rata"])
    ),
    rate=st.integers(0, 3000),
)
@example(  # the approval ends half a day before the term, and the worker has noticed
    months=[12],
    asked=31_494_987,
    earned=0,
    frozen=None,
    rules=Rules(full_days=0, after="pro_rata"),
    rate=0,
)
def test_quote_is_what_is_booked(
    till: Till,
    months: list[int],
    asked: int,
    earned: int,
    frozen: tuple[int, int] | None,
    rules: Rules,
    rate: int,
) -> None:
    """Sell, renew, stand still for a while, earn, ask at any second. Each example is undone."""
    began = till.now
    with transaction.atomic():
        charge(began, rate)
        account = till.shop.account()
        order, *_renewals = [till.sell(term, account=account) for term in months]
        assert order.subscription is not None
        at = began + timedelta(seconds=asked)
        if frozen is not None:
            lapsed = began + timedelta(seconds=frozen[0])
            open_again = lapsed + timedelta(seconds=frozen[1])
            fleet.hold_line(line=till.shop.line, reason="Works", now=lapsed, actor=OWNER)
            actions.freeze_due(now=lapsed, actor=OWNER)
            if open_again <= at:
                fleet.release_line(line=till.shop.line, now=open_again, actor=OWNER)
                actions.resume_due(now=open_again, actor=OWNER)
            at = max(at, lapsed)
        actions.freeze_due(now=at, actor=OWNER)  # the approval may have ended by itself
        actions.recognise(now=min(at, began + earned * DAY))
        before = sum(Order.objects.values_list("refund_due_minor", flat=True))

        found = ask(order, at, rules)
        if found.owed:
            confirm(order, found, at, rules)

        booked = sum(Order.objects.values_list("refund_due_minor", flat=True)) - before
        assert booked == sum(money.amount_minor for money in found.owed)
        assert books().get("liabilities:refunds", 0) == booked
        assert_sound()
        transaction.set_rollback(True)


def test_withdrawal_ends_now_and_is_kept_with_what_it_came_to(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None
    at = till.now + 3 * DAY

    withdrawal = refunding.withdraw(
        subscription=order.subscription, rules=Rules(), now=at, actor=CUSTOMER
    )

    assert (withdrawal.declared_at, withdrawal.ends_at) == (at, at)
    assert [(line["order"], line["owed_minor"]) for line in withdrawal.lines] == [
        (order.code, 1000)
    ]
    assert_sound()


def test_withdrawal_owes_for_what_was_used_where_the_shop_is_no_kinder(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None

    withdrawal = refunding.withdraw(
        subscription=order.subscription,
        rules=Rules(full_days=0, after="none"),
        now=till.now + 10 * DAY,
        actor=CUSTOMER,
    )

    assert withdrawal.lines[0]["owed_minor"] == 1000 - 1000 * 10 // 31


def test_withdrawal_is_taken_while_nobody_noticed_that_the_line_lapsed(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None
    for approval in Approval.objects.filter(state="granted"):
        fleet.revoke_approval(approval=approval, now=till.now + 5 * DAY, actor=OWNER)

    withdrawal = refunding.withdraw(
        subscription=order.subscription,
        rules=Rules(full_days=0, after="none"),
        now=till.now + 10 * DAY,
        actor=CUSTOMER,
    )

    assert withdrawal.lines[0]["owed_minor"] == 1000 - 1000 * 5 // 31
    order.refresh_from_db()
    assert order.refund_due_minor == 1000 - 1000 * 5 // 31
    assert_sound()


def test_withdrawal_leaves_the_order_whose_time_is_over(till: Till) -> None:
    first = till.sell()
    till.now += 20 * DAY
    second = till.sell(account=first.account)
    assert second.subscription is not None

    withdrawal = refunding.withdraw(
        subscription=second.subscription, rules=Rules(), now=till.now, actor=CUSTOMER
    )

    assert [line["order"] for line in withdrawal.lines] == [second.code]
    assert withdrawal.ends_at == first.period_ends_at
    assert_sound()


@pytest.mark.parametrize(
    ("place", "where", "offered"),
    [("DE", "eu", True), ("DE-BE", "eu", True), ("CH", "eu", False), ("CH", "everywhere", True)],
)
def test_withdrawal_is_offered_where_the_shop_says(
    *, place: str, where: str, offered: bool
) -> None:
    assert refunds.is_offered(Order(place=place), Rules(withdrawal=where)) is offered


def test_withdrawal_is_over_after_fourteen_days_and_twice_is_once(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None

    def withdraw(at: datetime) -> None:
        refunding.withdraw(
            subscription=order.subscription,  # type: ignore[arg-type] -- asserted above
            rules=Rules(),
            now=at,
            actor=CUSTOMER,
        )

    with pytest.raises(refunding.WithdrawalOver):
        withdraw(till.now + 15 * DAY)
    withdraw(till.now + 14 * DAY)
    with pytest.raises(refunding.WithdrawalOver):
        withdraw(till.now + 14 * DAY + HOUR)
    assert Withdrawal.objects.count() == 1
