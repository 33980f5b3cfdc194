"""A line may not be open any more: customers' days and money, from the lapse to its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ferriage import wire
from ferriage.accounts.actions import declare_place
from ferriage.approvals import actions as approvals
from ferriage.approvals.models import Approval, Decision
from ferriage.core.actors import CUSTOMER
from ferriage.core.clock import unix
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.fleet import tasks as fleet_tasks
from ferriage.fleet.models import PoolCurrent
from ferriage.orders import actions, tasks
from ferriage.orders.actions import freezing
from ferriage.orders.models import Order
from ferriage.payments import tasks as payment_tasks
from ferriage.payments.models import Refund
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries
from ferriage.plans.models import Lapse, Offer, Period, Plan, Subscription
from tampering import tampering
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django.fixtures import SettingsWrapper

    from ferriage.devices.models import Device
    from shop import Shop

TICK = timedelta(seconds=1)
DAY = timedelta(days=1)
LAPSE = datetime(2026, 7, 1, tzinfo=UTC)


def worker(now: datetime) -> None:
    """Do what the worker does in one round, in its order."""
    fleet_tasks.run(now)
    tasks.run(now)
    payment_tasks.run(now)


def revoke(at: datetime) -> None:
    fleet.revoke_approval(approval=Approval.objects.latest("pk"), now=at, actor=OWNER)


def told(device: Device) -> tuple[int, str]:
    """Return what the gateways hold of a device: when it is held, and why."""
    record = wire.decode(PoolCurrent.objects.get(subject=device.code).payload, wire.Put).device
    return record.hold_at, record.hold_reason


def end_of(subscription: Subscription) -> datetime:
    fresh = Subscription.objects.get(pk=subscription.pk)
    end = plan_queries.subscription_end(fresh).at
    assert end is not None
    return end


@pytest.fixture
def till(shop: Shop) -> Till:
    return Till(shop, shop.now)


@pytest.fixture
def new_year(
    db: None,  # noqa: ARG001 -- asks for the database
    make_shop: Callable[[datetime], Shop],
    monkeypatch: pytest.MonkeyPatch,
) -> Till:
    """A shop at the first second of 2026 whose approval outlives every term."""
    issued = approvals.Issued(
        number="XD-1", valid_from=date(2026, 1, 1), valid_to=date(2030, 6, 30)
    )
    monkeypatch.setattr("yard.ISSUED", issued)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Till(make_shop(now), now)


def test_two_years_for_120_lapsed_after_181_of_730_days_owe_90_25(new_year: Till) -> None:
    till = new_year
    order = till.sell(24)
    assert order.period_ends_at == datetime(2028, 1, 1, tzinfo=UTC)
    worker(LAPSE - DAY)
    revoke(LAPSE)
    worker(LAPSE + 3 * DAY)

    actions.refund(subscription=order.subscription, now=LAPSE + 10 * DAY, actor=CUSTOMER)
    worker(LAPSE + 11 * DAY)

    assert books() == {
        "assets:bank": 12000,
        "income:ferry": 2975,
        "liabilities:refunds": 9025,
    }
    assert [refund.amount_minor for refund in Refund.objects.all()] == [9025]
    assert_sound()


def test_lapse_by_date_counts_from_its_instant_however_late_it_is_noticed(new_year: Till) -> None:
    order = new_year.sell(24)
    # No term is sold past an approval: its end came nearer afterwards.
    with tampering():
        Approval.objects.update(valid_to=date(2026, 6, 30))
    fleet.refresh_permits(now=new_year.now + DAY, actor=OWNER)

    worker(LAPSE + 9 * DAY)

    lapse = Lapse.objects.get()
    assert (lapse.lapsed_at, lapse.noticed_at) == (LAPSE, LAPSE + 9 * DAY)
    assert lapse.due_at == LAPSE + 30 * DAY
    assert books()["income:ferry"] == 12000 * 181 // 730
    assert Order.objects.get().frozen_from == LAPSE
    assert order.account is not None


def test_revocation_counts_from_the_permit_that_told_it(till: Till) -> None:
    till.sell()
    revoked = till.now + 10 * DAY
    revoke(revoked)

    worker(revoked + 2 * DAY)

    assert Lapse.objects.get().lapsed_at == revoked


def test_approval_of_selling_alone_counts_from_when_the_worker_saw_it(till: Till) -> None:
    till.sell()
    approvals.revoke(approval=Approval.objects.get(), now=till.now + DAY, actor=OWNER)

    tasks.run(till.now + DAY + TICK)

    assert Lapse.objects.get().lapsed_at == till.now + DAY + TICK


def test_days_stand_still_and_go_on_to_the_second(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None
    device = till.shop.device(order.subscription)
    end = end_of(order.subscription)
    lapsed, back = till.now + 10 * DAY, till.now + 22 * DAY + 7 * TICK
    revoke(lapsed)
    worker(lapsed + TICK)
    held = told(device)
    worker(back - DAY)
    stood_still = books()["income:ferry"]
    till.shop.yard.approve(till.shop.line)

    worker(back)

    assert held == (unix(lapsed + TICK), "staff")
    assert stood_still == 1000 * 10 // 31
    assert end_of(order.subscription) == end + (back - lapsed)
    assert told(device) == (unix(end + (back - lapsed)), "term")
    tasks.run(back + DAY)
    assert books()["income:ferry"] == 1000 * 11 // 31
    tasks.run(end + (back - lapsed) - TICK)
    assert books()["income:ferry"] == 999
    tasks.run(end + (back - lapsed))
    assert books()["income:ferry"] == 1000
    assert tasks.run(end + (back - lapsed) + DAY) == 0
    assert_sound()


def test_one_round_of_the_worker_resumes_all_who_wait(till: Till) -> None:
    devices = [till.shop.device(till.sell().subscription) for _customer in range(3)]  # type: ignore[arg-type] -- fulfilled
    revoke(till.now + DAY)
    worker(till.now + DAY + TICK)
    held = {told(device)[1] for device in devices}
    till.shop.yard.approve(till.shop.line)

    worker(till.now + 3 * DAY)

    assert held == {"staff"}
    assert {told(device)[1] for device in devices} == {"term"}
    assert set(Lapse.objects.values_list("outcome", flat=True)) == {"resumed"}


def test_who_waits_keeps_the_peer_for_the_wait_and_the_hold(till: Till) -> None:
    device = till.shop.device(till.sell().subscription)  # type: ignore[arg-type] -- fulfilled
    lapsed = till.now + DAY
    revoke(lapsed)
    worker(lapsed)

    device.refresh_from_db()

    assert device.remove_at == lapsed + 30 * DAY + 14 * DAY


def test_term_that_would_have_ended_in_the_lapse_does_not(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None
    end = end_of(order.subscription)
    revoke(end - DAY)
    worker(end - DAY)

    worker(end + 5 * DAY)
    till.shop.yard.approve(till.shop.line)
    worker(end + 6 * DAY)

    assert end_of(order.subscription) == end + 7 * DAY
    assert books()["income:ferry"] == 1000 * 30 // 31


def test_term_that_was_over_has_no_lapse(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None
    revoke(end_of(order.subscription))

    worker(end_of(order.subscription))

    assert not Lapse.objects.exists()


def test_without_a_choice_it_is_refunded_after_30_days_and_once(till: Till) -> None:
    order = till.sell()
    lapsed = till.now + 10 * DAY
    revoke(lapsed)
    worker(lapsed)
    worker(lapsed + 30 * DAY - TICK)
    before = Refund.objects.count()

    for later in (30 * DAY, 30 * DAY, 31 * DAY):
        worker(lapsed + later)

    order.refresh_from_db()
    assert (before, order.refund_due_minor) == (0, 1000 - 1000 * 10 // 31)
    assert [refund.amount_minor for refund in Refund.objects.all()] == [order.refund_due_minor]
    assert Lapse.objects.get().outcome == "refunded"
    assert_sound()


def test_missed_rounds_refund_the_same_amount(till: Till) -> None:
    order = till.sell()
    revoke(till.now + 10 * DAY)

    worker(till.now + 90 * DAY)
    worker(till.now + 90 * DAY + TICK)

    order.refresh_from_db()
    assert order.refund_due_minor == 1000 - 1000 * 10 // 31
    assert_sound()


def test_refunded_customer_does_not_come_back_with_the_line(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None
    device = till.shop.device(order.subscription)
    revoke(till.now + DAY)
    actions.refund(subscription=order.subscription, now=till.now + 2 * DAY, actor=CUSTOMER)
    till.shop.yard.approve(till.shop.line)

    worker(till.now + 3 * DAY)

    assert told(device) == (unix(till.now + DAY), "term")
    assert Lapse.objects.get().outcome == "refunded"


def test_choosing_to_wait_is_kept_and_changes_no_money(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None
    revoke(till.now + DAY)
    before = books()

    actions.wait(subscription=order.subscription, now=till.now + 2 * DAY, actor=CUSTOMER)

    assert Lapse.objects.get().choice == "wait"
    assert books() == before


def test_nothing_is_to_choose_while_a_line_serves(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None

    for choice in (actions.wait, actions.refund):
        with pytest.raises(plans.LapseOver):
            choice(subscription=order.subscription, now=till.now + DAY, actor=CUSTOMER)

    assert not Period.objects.filter(kind__in=["freeze", "cut"]).exists()


def other_plan(till: Till, name: str = "Other") -> Plan:
    """Add a plan of the same service on a line of its own, with an approval of its own."""
    return till.shop.add_plan(name, till.shop.yard.open_line(name))


def test_move_takes_the_time_that_is_left_to_the_other_line(till: Till) -> None:
    other = other_plan(till)
    order = till.sell()
    assert order.subscription is not None
    device = till.shop.device(order.subscription)
    end = end_of(order.subscription)
    lapsed = till.now + 10 * DAY
    fleet.revoke_approval(approval=Approval.objects.earliest("pk"), now=lapsed, actor=OWNER)
    worker(lapsed)

    moved = actions.move(
        subscription=order.subscription, plan=other, now=lapsed + 3 * DAY, actor=CUSTOMER
    )

    assert moved.plan == other
    assert end_of(moved) == end + 3 * DAY
    kinds = dict(PoolCurrent.objects.filter(subject=device.code).values_list("pool", "kind"))
    new_pool = other.offers.get().line.pools.get()
    assert kinds == {till.shop.pool.pk: "del", new_pool.pk: "put"}
    worker(end + 3 * DAY)
    assert books() == {"assets:bank": 1000, "income:ferry": 1000}
    assert Decision.objects.latest("sequence").subject == Lapse.objects.get().code


def priced(till: Till, minor: int) -> Plan:
    """Return a plan on another line with a price for a month."""
    plan = other_plan(till)
    money = Money(minor, "CNY")
    plans.set_price(plan=plan, term_months=1, money=money, now=till.now, actor=OWNER)
    return plan


def lapsed_after_ten_days(till: Till) -> datetime:
    lapsed = till.now + 10 * DAY
    fleet.revoke_approval(approval=Approval.objects.earliest("pk"), now=lapsed, actor=OWNER)
    worker(lapsed)
    return lapsed


def test_move_to_a_dearer_plan_lasts_as_long_as_what_is_left_pays(till: Till) -> None:
    """21 of 31 days for 10.00 are left: 6.78, which is a third of a month at 20.00."""
    other = priced(till, 2000)
    order = till.sell()
    assert order.subscription is not None
    lapsed = lapsed_after_ten_days(till)
    moved_at = lapsed + 3 * DAY

    moved = actions.move(subscription=order.subscription, plan=other, now=moved_at, actor=CUSTOMER)

    left = 1000 - 1000 * 10 // 31
    sold = Order.objects.latest("pk")
    assert (moved.plan, sold.kind, sold.amount_minor) == (other, "change", left)
    assert end_of(moved) == moved_at + 31 * DAY * left // 2000
    assert sold.period_ends_at == end_of(moved)
    assert_sound()
    worker(end_of(moved))
    assert books() == {"assets:bank": 1000, "income:ferry": 1000}
    assert_sound()


def test_move_to_a_dearer_plan_keeps_every_second_where_the_operator_lets_it(till: Till) -> None:
    other = priced(till, 2000)
    order = till.sell()
    assert order.subscription is not None
    end = end_of(order.subscription)
    lapsed = lapsed_after_ten_days(till)

    moved = actions.move(
        subscription=order.subscription,
        plan=other,
        keep_time=True,
        now=lapsed + 3 * DAY,
        actor=CUSTOMER,
    )

    assert end_of(moved) == end + 3 * DAY


def test_move_of_what_nobody_paid_to_a_dearer_plan_is_refused(till: Till) -> None:
    other = priced(till, 2000)
    order = till.order()
    till.redeem(order, till.voucher())
    order.refresh_from_db()
    assert order.subscription is not None
    lapsed = lapsed_after_ten_days(till)

    with pytest.raises(actions.MoveRefused, match="nothing was paid"):
        actions.move(subscription=order.subscription, plan=other, now=lapsed, actor=CUSTOMER)

    assert Lapse.objects.get().ended_at is None


def test_move_to_a_plan_with_less_room_is_refused_until_the_customer_chose(till: Till) -> None:
    other = other_plan(till)
    type(other).objects.filter(pk=other.pk).update(device_limit=1)
    order = till.sell()
    assert order.subscription is not None
    for _number in range(2):
        till.shop.device(order.subscription)
    lapsed = lapsed_after_ten_days(till)

    with pytest.raises(actions.TooManyDevices, match="room for 1"):
        actions.move(subscription=order.subscription, plan=other, now=lapsed, actor=CUSTOMER)

    assert Lapse.objects.get().ended_at is None


def test_move_to_what_may_not_be_sold_is_refused_and_days_stand_still(till: Till) -> None:
    other = other_plan(till)
    order = till.sell()
    assert order.subscription is not None
    for approval in Approval.objects.all():
        fleet.revoke_approval(approval=approval, now=till.now + DAY, actor=OWNER)
    worker(till.now + DAY)

    with pytest.raises(actions.MoveRefused):
        actions.move(
            subscription=order.subscription, plan=other, now=till.now + 2 * DAY, actor=CUSTOMER
        )

    assert Lapse.objects.get().ended_at is None


def test_another_line_of_the_same_plan_is_no_lapse(till: Till) -> None:
    second = till.shop.yard.open_line("Second")
    plans.add_offer(plan=till.shop.plan, line=second, now=till.now, actor=OWNER)
    till.sell()
    approval = Approval.objects.earliest("pk")

    fleet.revoke_approval(approval=approval, now=till.now + DAY, actor=OWNER)
    worker(till.now + DAY)

    assert not Lapse.objects.exists()


def test_lapse_of_two_lines_counts_from_the_later_one(till: Till) -> None:
    second = till.shop.yard.open_line("Second")
    plans.add_offer(plan=till.shop.plan, line=second, now=till.now, actor=OWNER)
    till.sell()
    for days, approval in enumerate(Approval.objects.order_by("pk"), start=1):
        fleet.revoke_approval(approval=approval, now=till.now + days * DAY, actor=OWNER)

    worker(till.now + 5 * DAY)

    assert Lapse.objects.get().lapsed_at == till.now + 2 * DAY


@pytest.mark.parametrize("how", ["held", "closed", "withdrawn"])
def test_line_that_the_shop_itself_stops_gives_the_days_back_too(till: Till, how: str) -> None:
    till.sell()
    at = till.now + DAY
    line = till.shop.line
    if how == "held":
        fleet.hold_line(line=line, reason="Repair", now=at, actor=OWNER)
    elif how == "closed":
        fleet.close_line(line=line, now=at, actor=OWNER)
    else:
        plans.withdraw_offer(offer=Offer.objects.get(), now=at, actor=OWNER)

    worker(at + 3 * DAY)

    assert Lapse.objects.get().lapsed_at == at


def test_customer_who_moves_where_nothing_is_sold_has_no_lapse(till: Till) -> None:
    order = till.sell()
    assert order.account is not None
    declare_place(account=order.account, place="SE", now=till.now, actor=CUSTOMER)

    worker(till.now + DAY)

    assert not Lapse.objects.exists()


def test_staff_end_a_frozen_subscription_at_what_was_left(till: Till) -> None:
    order = till.sell()
    revoke(till.now + 10 * DAY)
    worker(till.now + 10 * DAY)
    till.now += 20 * DAY

    order = till.end(order, till.now + timedelta(seconds=15))
    worker(till.now + DAY)

    assert order.refund_due_minor == 1000 - 1000 * 10 // 31
    assert Lapse.objects.get().outcome == "ended"
    assert_sound()


def test_two_lapses_add_up_and_each_day_counts_once(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None
    end = end_of(order.subscription)
    for day in (5, 12):
        revoke(till.now + day * DAY)
        worker(till.now + day * DAY)
        till.shop.yard.approve(till.shop.line)
        worker(till.now + (day + 3) * DAY)

    revoke(till.now + 20 * DAY)
    actions.refund(subscription=order.subscription, now=till.now + 21 * DAY, actor=CUSTOMER)

    # 20 days less two times 3.
    assert Order.objects.get().refund_due_minor == 1000 - 1000 * 14 // 31
    freezes = Period.objects.filter(kind="freeze", ends_at__isnull=False)
    assert [row.ends_at - row.starts_at for row in freezes.order_by("pk")] == [
        3 * DAY,
        3 * DAY,
        DAY,
    ]
    assert end > till.now
    worker(till.now + 22 * DAY)
    assert_sound()


def test_days_that_went_on_meanwhile_stand_still_again_from_there(till: Till) -> None:
    till.sell()
    revoke(till.now + DAY)
    worker(till.now + DAY)
    went_on = till.now + 4 * DAY
    freezing.thaw(
        lapses=[Lapse.objects.select_related("subscription").get()],
        outcome="resumed",
        now=went_on,
        actor=OWNER,
    )

    worker(till.now + 5 * DAY)

    assert Lapse.objects.latest("pk").lapsed_at == went_on


def test_renewal_that_has_not_begun_moves_with_the_first_term(till: Till) -> None:
    first = till.sell()
    second = till.sell(6, account=first.account)
    revoke(till.now + 10 * DAY)
    worker(till.now + 10 * DAY)
    till.shop.yard.approve(till.shop.line)
    worker(till.now + 15 * DAY)
    assert first.period_ends_at is not None
    assert second.period_ends_at is not None

    tasks.run(first.period_ends_at + 5 * DAY)
    at_end_of_first = books()["income:ferry"]
    tasks.run(second.period_ends_at + 5 * DAY)

    assert (at_end_of_first, books()["income:ferry"]) == (1000, 6000)
    assert_sound()


def test_free_voucher_owes_no_money_and_gives_the_gift_back(till: Till) -> None:
    order = till.order()
    till.redeem(order, till.voucher())
    revoke(till.now + 10 * DAY)
    worker(till.now + 10 * DAY)

    worker(till.now + 40 * DAY)

    order.refresh_from_db()
    assert order.refund_due_minor == 0
    assert books() == {"income:ferry": 322, "expenses:promotions": 322}
    assert_sound()


def test_grant_that_nobody_paid_waits_without_a_limit(till: Till) -> None:
    account = till.shop.account()
    subscription = plans.grant(
        account=account,
        plan=till.shop.plan,
        subscription=None,
        starts_at=till.now,
        ends_at=till.now + 60 * DAY,
        reason="Sorry",
        source_code="grant",
        now=till.now,
        actor=OWNER,
    )
    revoke(till.now + DAY)
    for day in (1, 31, 61):
        worker(till.now + day * DAY)
    till.shop.yard.approve(till.shop.line)

    worker(till.now + 101 * DAY)

    lapse = Lapse.objects.get()
    assert (lapse.due_at, lapse.outcome) == (None, "resumed")
    assert end_of(subscription) == till.now + 160 * DAY


def test_money_that_comes_after_the_lapse_goes_back_and_nothing_is_live(till: Till) -> None:
    order = till.order()
    asked = till.transfer(order)
    revoke(till.now + TICK)
    worker(till.now + TICK)
    till.now += DAY

    captured = till.receive(asked.reference, order.amount_minor)
    worker(till.now)

    order.refresh_from_db()
    assert (captured.outcome, captured.reason, order.state) == ("refund", "not-authorised", "open")
    assert books() == {"assets:bank": 1000, "liabilities:refunds": 1000}
    assert not Subscription.objects.exists()
    assert_sound()


def test_nothing_stands_still_by_a_clock_behind_the_register(till: Till) -> None:
    till.sell()
    revoke(till.now + 5 * DAY)

    worker(till.now - DAY)
    behind = Lapse.objects.count()
    worker(till.now + 6 * DAY)

    assert (behind, Lapse.objects.get().lapsed_at) == (0, till.now + 5 * DAY)


def test_freezing_and_resuming_cost_the_same_statements_for_one_and_three(till: Till) -> None:
    def cost(at: datetime) -> tuple[int, int]:
        revoke(at)
        fleet_tasks.run(at)
        with CaptureQueriesContext(connection) as freezing:
            actions.freeze_due(now=at, actor=OWNER)
        till.shop.yard.approve(till.shop.line)
        fleet_tasks.run(at + TICK)
        with CaptureQueriesContext(connection) as resuming:
            actions.resume_due(now=at + TICK, actor=OWNER)
        return len(freezing), len(resuming)

    till.shop.device(till.sell(6).subscription)  # type: ignore[arg-type] -- fulfilled
    for_one = cost(till.now + DAY)
    till.now += 2 * DAY
    for _customer in range(2):
        till.shop.device(till.sell(6).subscription)  # type: ignore[arg-type] -- fulfilled

    for_three = cost(till.now + DAY)

    assert Lapse.objects.count() == 4
    assert for_three == for_one


def test_unreadable_rules_stop_days_and_nothing_else_of_the_worker(
    till: Till, settings: SettingsWrapper
) -> None:
    """The permits are held then, so no customer is served; orders still expire."""
    till.sell()
    late = till.order()
    config = settings.FERRIAGE
    broken = replace(config.approvals, packs=("no-such-file.toml",))
    settings.FERRIAGE = replace(config, approvals=broken)

    worker(till.now + 4 * DAY)

    late.refresh_from_db()
    assert (late.state, Lapse.objects.get().lapsed_at) == ("expired", till.now + 4 * DAY)


def test_sale_where_a_line_serves_lets_days_go_on_that_stood_still(till: Till) -> None:
    """Days stood still in XD; the customer says to be elsewhere, and buys for XD all the same."""
    order = till.sell()
    assert order.account is not None
    assert order.subscription is not None
    end = end_of(order.subscription)
    revoke(till.now + DAY)
    worker(till.now + DAY)
    declare_place(account=order.account, place="SE", now=till.now + 2 * DAY, actor=CUSTOMER)
    till.shop.yard.approve(till.shop.line)
    worker(till.now + 3 * DAY)
    still = Lapse.objects.get().ended_at
    till.now += 4 * DAY

    renewed = till.sell(account=order.account)

    assert (still, Lapse.objects.get().outcome) == (None, "resumed")
    assert renewed.period_starts_at == end + 3 * DAY
    assert_sound()


@pytest.mark.parametrize("what", ["extend", "grant", "cut"])
def test_nothing_is_posted_beside_days_that_stand_still(till: Till, what: str) -> None:
    order = till.sell()
    assert order.account is not None
    assert order.subscription is not None
    revoke(till.now + DAY)
    worker(till.now + DAY)
    before = Period.objects.count()
    now = till.now + 2 * DAY
    given = {
        "account": order.account,
        "plan": till.shop.plan,
        "subscription": order.subscription,
        "now": now,
        "actor": OWNER,
    }
    acts = {
        "extend": partial(plans.extend, **given, term_months=1, source_code="x"),
        "grant": partial(
            plans.grant, **given, starts_at=now, ends_at=now + DAY, reason="Sorry", source_code="x"
        ),
        "cut": partial(
            plans.end_at,
            subscription=order.subscription,
            at=now,
            reason="Asked",
            now=now,
            actor=OWNER,
        ),
    }

    with pytest.raises(plans.Frozen):
        acts[what]()

    assert Period.objects.count() == before
