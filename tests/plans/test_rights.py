from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from ferriage.accounts import actions as accounts
from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry
from ferriage.fleet import actions as fleet
from ferriage.plans import actions, queries
from ferriage.plans.actions import rights
from ferriage.plans.models import Period, Subscription
from ferriage.plans.several import proposed
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.accounts.models import Account
    from ferriage.fleet.models import Line
    from ferriage.plans.models import Plan
    from shop import Shop
    from yard import Yard

DAY = timedelta(days=1)


def extend(account: Account, plan: Plan, source: str, now: datetime) -> actions.Extension:
    return actions.extend(
        account=account,
        plan=plan,
        subscription=proposed(account, plan, now=now),
        term_months=1,
        source_code=source,
        now=now,
        actor=CUSTOMER,
    )


def grant(
    account: Account, plan: Plan, starts_at: datetime, ends_at: datetime | None, now: datetime
) -> Subscription:
    return actions.grant(
        account=account,
        plan=plan,
        subscription=proposed(account, plan, now=now),
        starts_at=starts_at,
        ends_at=ends_at,
        reason="An outage",
        source_code="grt_1",
        now=now,
        actor=OWNER,
    )


def end_early(subscription: Subscription, at: datetime, now: datetime) -> actions.Ended:
    return actions.end_at(subscription=subscription, at=at, reason="Asked", now=now, actor=OWNER)


def own_line(yard: Yard) -> Line:
    return fleet.create_line(
        name="Office",
        party=yard.party,
        enter_place="XD",
        exit_place="XD",
        sell_places=["XD"],
        customer_class="own_staff",
        use="internal_office",
        now=yard.now,
        actor=OWNER,
    )


def employee(now: datetime) -> Account:
    return accounts.open_account(
        now=now, actor=OWNER, account_class="own_staff", place="XD", label="Otto"
    ).account


def test_first_purchase_and_early_renewal_follow_the_calendar(shop: Shop, now: datetime) -> None:
    account = shop.account()

    first = extend(account, shop.plan, "ord_1", now)
    second = extend(account, shop.plan, "ord_2", now + 3 * DAY)

    assert (first.starts_at, first.ends_at) == (now, datetime(2026, 4, 1, 12, tzinfo=UTC))
    assert (second.starts_at, second.ends_at) == (
        first.ends_at,
        datetime(2026, 5, 1, 12, tzinfo=UTC),
    )
    assert queries.subscription_end(second.subscription) == queries.End(
        held=True, at=second.ends_at
    )
    assert second.subscription.version == 1


def test_preview_is_what_extending_then_gives(shop: Shop, now: datetime) -> None:
    subscription = shop.holder()
    later = now + 10 * DAY

    shown = queries.preview(subscription=subscription, term_months=1, now=later)
    given = extend(subscription.account, shop.plan, "ord_1", later)

    assert (shown.starts_at, shown.ends_at) == (given.starts_at, given.ends_at)


def test_order_extends_once(shop: Shop, now: datetime) -> None:
    account = shop.account()
    extend(account, shop.plan, "ord_1", now)

    with pytest.raises(IntegrityError), transaction.atomic():
        extend(account, shop.plan, "ord_1", now)

    assert Period.objects.count() == 1
    assert Subscription.objects.get().version == 0


def test_two_writers_that_saw_the_same_version_extend_once(shop: Shop, now: datetime) -> None:
    seen = shop.holder()
    extend(seen.account, shop.plan, "ord_2", now)

    with pytest.raises(StaleState):
        rights._hold(seen, seen.account, shop.plan, seen.anchor_at, now)

    assert Subscription.objects.get().version == seen.version + 1


def test_second_plan_of_a_service_is_refused_while_the_first_runs(
    shop: Shop, now: datetime
) -> None:
    subscription = shop.holder()
    other = shop.add_plan("Ten devices", shop.line)

    with pytest.raises(actions.OtherPlanHeld, match="Five devices of Ferry"):
        extend(subscription.account, other, "ord_9", now)

    assert Period.objects.count() == 1


def test_lapsed_subscription_may_change_its_plan(shop: Shop, now: datetime) -> None:
    subscription = shop.holder()
    other = shop.add_plan("Ten devices", shop.line)
    after = now + 40 * DAY

    changed = extend(subscription.account, other, "ord_9", after)

    assert (changed.subscription.pk, changed.subscription.plan) == (subscription.pk, other)
    assert (changed.starts_at, changed.subscription.anchor_at) == (after, after)


def test_plans_of_two_services_are_held_side_by_side(shop: Shop, now: datetime) -> None:
    subscription = shop.holder()
    service = actions.create_service(slug="ferry-2", name="Ferry 2", now=now, actor=OWNER)
    other = shop.add_plan("Five devices", shop.line, service=service)

    extend(subscription.account, other, "ord_9", now)

    assert Subscription.objects.filter(account=subscription.account).count() == 2


def test_end_early_keeps_what_was_used_and_tells_the_previous_end(
    shop: Shop, now: datetime
) -> None:
    subscription = shop.holder()
    soon = now + timedelta(seconds=15)

    ended = end_early(subscription, soon, now)

    assert (ended.at, ended.previous_end) == (soon, datetime(2026, 4, 1, 12, tzinfo=UTC))
    assert queries.subscription_end(ended.subscription).at == soon
    entry = AuditEntry.objects.latest("sequence")
    assert (entry.action, entry.subject) == ("term.ended_early", subscription.code)
    assert entry.details == {"at": soon.isoformat(), "reason": "Asked"}


def test_renewal_after_an_early_end_counts_from_it(shop: Shop, now: datetime) -> None:
    subscription = shop.holder()
    soon = now + timedelta(seconds=15)
    end_early(subscription, soon, now)

    renewed = extend(subscription.account, shop.plan, "ord_2", now)

    assert (renewed.starts_at, renewed.ends_at) == (
        soon,
        datetime(2026, 4, 1, 12, 0, 15, tzinfo=UTC),
    )


@pytest.mark.parametrize("late", [timedelta(0), DAY])
def test_ending_what_is_over_by_then_is_refused(shop: Shop, now: datetime, late: timedelta) -> None:
    subscription = shop.holder()
    end = queries.subscription_end(subscription).at
    assert end is not None

    with pytest.raises(actions.NothingToEnd):
        end_early(subscription, end + late, now)

    assert Period.objects.filter(kind="cut").count() == 0


def test_ending_in_the_past_is_refused(shop: Shop, now: datetime) -> None:
    subscription = shop.holder()

    with pytest.raises(actions.TermWrong):
        end_early(subscription, now - timedelta(seconds=1), now)


def test_grant_without_end_is_for_closed_services_only(shop: Shop, now: datetime) -> None:
    with pytest.raises(actions.WrongClass):
        grant(shop.account(), shop.plan, now, None, now)

    granted = grant(employee(now), shop.plan, now, None, now)

    assert queries.subscription_end(granted) == queries.End(held=True, at=None)


def test_line_for_own_staff_is_granted_to_nobody_else(shop: Shop, now: datetime) -> None:
    plan = shop.add_plan("Office", own_line(shop.yard))

    with pytest.raises(actions.WrongClass, match="invited"):
        grant(shop.account(), plan, now, now + DAY, now)

    assert grant(employee(now), plan, now, now + DAY, now).plan == plan


def test_plan_of_public_lines_takes_no_closed_line(shop: Shop, now: datetime) -> None:
    with pytest.raises(actions.CatalogueWrong, match="one class"):
        actions.add_offer(plan=shop.plan, line=own_line(shop.yard), now=now, actor=OWNER)

    assert queries.lines_of(shop.plan) == [shop.line]


def test_granted_days_follow_the_term_and_may_leave_no_gap(shop: Shop, now: datetime) -> None:
    subscription = shop.holder()
    end = queries.subscription_end(subscription).at
    assert end is not None

    with pytest.raises(actions.TermWrong, match="no later"):
        grant(subscription.account, shop.plan, end + DAY, end + 2 * DAY, now)
    grant(subscription.account, shop.plan, end, end + DAY, now)

    assert queries.subscription_end(subscription).at == end + DAY


def test_periods_cannot_be_edited_or_deleted(shop: Shop) -> None:
    shop.holder()

    for attempt in (
        lambda: Period.objects.update(ends_at=None),
        lambda: Period.objects.all()._raw_delete("default"),
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            attempt()

    assert Period.objects.count() == 1
