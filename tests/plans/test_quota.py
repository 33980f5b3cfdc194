"""The months of a quota: where they lie, and what may be used in one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from ferriage.core.actors import Actor
from ferriage.plans import actions, queries, quota
from ferriage.plans.models import Period, Plan, Subscription

if TYPE_CHECKING:
    from shop import Shop

GB = 10**9
OLGA = Actor("staff", "olga")
DAY = timedelta(days=1)
instants = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001 -- `timezones` gives the zone
    max_value=datetime(2060, 1, 1),  # noqa: DTZ001 -- the same
    timezones=st.just(UTC),
)


@given(anchor=instants, now=instants)
def test_every_instant_lies_in_one_month_of_the_quota(anchor: datetime, now: datetime) -> None:
    begins_at, ends_at = quota.stretch(anchor, now)

    assert begins_at <= now < ends_at
    assert quota.stretch(anchor, begins_at) == (begins_at, ends_at)
    assert quota.stretch(anchor, ends_at)[0] == ends_at


def test_months_come_back_to_the_31st() -> None:
    anchor = datetime(2026, 1, 31, 9, tzinfo=UTC)

    found = [quota.stretch(anchor, datetime(2026, month, 15, tzinfo=UTC)) for month in (2, 3, 4)]

    assert found == [
        (anchor, datetime(2026, 2, 28, 9, tzinfo=UTC)),
        (datetime(2026, 2, 28, 9, tzinfo=UTC), datetime(2026, 3, 31, 9, tzinfo=UTC)),
        (datetime(2026, 3, 31, 9, tzinfo=UTC), datetime(2026, 4, 30, 9, tzinfo=UTC)),
    ]


def with_quota(subscription: Subscription, gigabytes: int) -> Subscription:
    Plan.objects.filter(pk=subscription.plan_id).update(quota_bytes=gigabytes * GB)
    return Subscription.objects.select_related("plan").get(pk=subscription.pk)


def test_a_plan_without_a_quota_allows_any_number(shop: Shop, now: datetime) -> None:
    assert quota.allowed(shop.holder(), now) is None


def test_packs_count_as_long_as_they_are_in_force(shop: Shop, now: datetime) -> None:
    held = with_quota(shop.holder(), 100)
    _begins_at, ends_at = quota.stretch_of(held, now)
    Period.objects.create(
        subscription=held,
        kind=Period.Kind.PACK,
        starts_at=now + DAY,
        ends_at=ends_at,
        quota_bytes=20 * GB,
        source_code="ord_pack",
        posted_at=now,
    )

    instants = (now, now + DAY, ends_at - timedelta(seconds=1), ends_at)

    assert [quota.allowed(held, at) for at in instants] == [
        100 * GB,
        120 * GB,
        120 * GB,
        100 * GB,
    ]


def test_a_pack_gives_no_time(shop: Shop, now: datetime) -> None:
    held = shop.holder()
    before = queries.subscription_end(held)
    Period.objects.create(
        subscription=held,
        kind=Period.Kind.PACK,
        starts_at=now,
        ends_at=now + 100 * DAY,
        quota_bytes=GB,
        source_code="ord_pack",
        posted_at=now,
    )

    assert queries.subscription_end(held) == before


def test_months_stay_through_renewal_and_grant(shop: Shop, now: datetime) -> None:
    held = shop.holder()
    shop.extend(held.account, at=now + DAY)
    held.refresh_from_db()
    actions.grant(
        account=held.account,
        plan=held.plan,
        subscription=held,
        starts_at=now + DAY,
        ends_at=now + 70 * DAY,
        reason="sorry",
        source_code="gnt_1",
        now=now + DAY,
        actor=OLGA,
    )
    held.refresh_from_db()

    assert held.quota_anchor_at == now


def test_months_stay_where_somebody_ends_and_buys_again(shop: Shop, now: datetime) -> None:
    """Or a whole quota could be used each day, with the rest of the month refunded."""
    held = shop.holder()
    actions.end_at(subscription=held, at=now + DAY, reason="x", now=now + DAY, actor=OLGA)
    held.refresh_from_db()

    shop.extend(held.account, at=now + 2 * DAY)

    held.refresh_from_db()
    assert held.anchor_at == now + 2 * DAY
    assert held.quota_anchor_at == now


def test_months_begin_anew_after_a_gap(shop: Shop, now: datetime) -> None:
    held = shop.holder()

    shop.extend(held.account, at=now + 45 * DAY)

    held.refresh_from_db()
    assert held.quota_anchor_at == now + 45 * DAY


def test_database_refuses_a_quota_that_is_none(shop: Shop) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Plan.objects.filter(pk=shop.plan.pk).update(quota_bytes=999_999)


def test_triggers_of_rebuilt_tables_are_there(db: None) -> None:  # noqa: ARG001 -- asks for the database
    """Those of other rooms too, which the migration took away for the time of the rebuild."""
    theirs = {name for name in _triggers() if name.startswith(("plans_plan", "plans_subscription"))}

    assert (
        theirs
        == {
            "sqlite": {
                "plans_plan_closed_3_insert",
                "plans_plan_closed_3_update",
                "plans_plan_routes_insert",
                "plans_plan_routes_update",
                "plans_subscription_closed_once",
            },
            "postgresql": {
                "plans_plan_closed_3",
                "plans_plan_routes",
                "plans_subscription_closed_once",
            },
        }[connection.vendor]
    )


def _triggers() -> set[str]:
    asked = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
    }
    with connection.cursor() as cursor:
        cursor.execute(asked[connection.vendor])
        return {name for (name,) in cursor.fetchall()}
