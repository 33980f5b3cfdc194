"""Days that stand still, as the database itself keeps them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from ferriage.core.errors import StaleState
from ferriage.plans import actions, queries
from ferriage.plans.lapses import Stop
from ferriage.plans.models import Lapse, Period
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.plans.models import Subscription
    from shop import Shop

DAY = timedelta(days=1)


@pytest.fixture
def held(shop: Shop) -> Subscription:
    return shop.holder()


def freeze(held: Subscription, at: datetime) -> Lapse:
    lapses = actions.freeze(stops=[Stop(held, at)], sold={held.pk}, now=at, actor=OWNER)
    return lapses[0]


def thaw(lapse: Lapse, at: datetime) -> None:
    actions.thaw(lapses=[lapse], outcome="resumed", now=at, actor=OWNER)


def test_end_moves_by_as_long_as_days_stood_still(held: Subscription, now: datetime) -> None:
    end = queries.subscription_end(held)
    assert end.at is not None
    lapse = freeze(held, now + DAY)
    frozen = queries.subscription_end(held)

    thaw(lapse, now + 4 * DAY)

    assert (frozen.at, frozen.frozen_from) == (end.at, now + DAY)
    assert frozen.if_resumed(now + 3 * DAY) == end.at + 2 * DAY
    assert not frozen.is_over(end.at + 9 * DAY)
    assert queries.subscription_end(held) == queries.End(held=True, at=end.at + 3 * DAY)


def test_days_stand_still_once_at_a_time(held: Subscription, now: datetime) -> None:
    freeze(held, now + DAY)

    with pytest.raises(IntegrityError), transaction.atomic():
        freeze(held, now + 2 * DAY)

    assert Period.objects.filter(kind="freeze").count() == 1


def test_days_go_on_once(held: Subscription, now: datetime) -> None:
    lapse = freeze(held, now + DAY)
    thaw(lapse, now + 2 * DAY)

    with pytest.raises(StaleState):
        thaw(lapse, now + 3 * DAY)

    assert Period.objects.filter(kind="freeze").count() == 2


def test_days_go_on_with_a_clock_that_was_put_back(held: Subscription, now: datetime) -> None:
    lapse = freeze(held, now + DAY)

    thaw(lapse, now)

    assert lapse.ended_at == now + DAY + timedelta(microseconds=1)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE plans_period SET starts_at = ends_at WHERE kind = 'freeze'",
        "DELETE FROM plans_period",
    ],
)
def test_database_keeps_a_freeze_as_it_was_posted(
    held: Subscription, now: datetime, statement: str
) -> None:
    """The table was rebuilt when this kind came: its triggers must be there again."""
    freeze(held, now + DAY)

    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert Period.objects.filter(kind="freeze").count() == 1


def test_row_in_the_way_of_a_freeze_is_not_replaced(held: Subscription, now: datetime) -> None:
    """SQLite would delete it without asking; PostgreSQL has no such statement."""
    lapse = freeze(held, now + DAY)
    columns = "subscription_id, kind, starts_at, ends_at, source_code, reason, posted_at"
    verb = "INSERT OR REPLACE" if connection.vendor == "sqlite" else "INSERT"

    with (
        pytest.raises(DatabaseError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            f"{verb} INTO plans_period ({columns}) SELECT {columns} FROM plans_period"  # noqa: S608 -- constants
            " WHERE source_code = %s",
            [lapse.code],
        )

    assert Period.objects.filter(source_code=lapse.code).count() == 1


@pytest.mark.parametrize(
    "values",
    [
        {"outcome": "resumed"},
        {"ended_at": "later"},
        {"outcome": "resumed", "ended_at": "before"},
        {"due_at": "before"},
    ],
    ids=str,
)
def test_database_refuses_half_a_lapse(
    held: Subscription, now: datetime, values: dict[str, object]
) -> None:
    lapse = freeze(held, now + DAY)
    instants = {"later": now + 5 * DAY, "before": now}
    changes = {name: instants.get(str(value), value) for name, value in values.items()}

    with pytest.raises(IntegrityError), transaction.atomic():
        Lapse.objects.filter(pk=lapse.pk).update(**changes)
