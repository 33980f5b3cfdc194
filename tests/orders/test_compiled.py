"""What is compiled once says what Django says, of every kind of row that the house asks so."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, connection, models
from django.db.models import Exists, OuterRef
from django.test.utils import CaptureQueriesContext

from ferriage.core import audit
from ferriage.core.actors import Actor
from ferriage.core.compiled import Compiled, MadeOf, insert, update, update_each
from ferriage.core.db import writing
from ferriage.core.models import AuditEntry
from ferriage.fleet.models import Gateway
from ferriage.orders.models import Order
from ferriage.plans import several
from ferriage.plans.models import Period, Subscription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from till import Till

OLGA = Actor("staff", "olga")


def plain(rows: Sequence[models.Model]) -> list[dict[str, object]]:
    """Return all that is loaded of rows, and of the rows loaded with them."""
    return [
        {
            name: plain([value]) if isinstance(value, models.Model) else value
            for name, value in {**vars(row), **row._state.fields_cache}.items()
            if name != "_state"
        }
        for row in rows
    ]


@pytest.mark.django_db
def test_rows_are_those_of_the_query_set(till: Till) -> None:
    sold, other = till.sell(1), till.sell(12)

    def joined(pk: object, since: object) -> models.QuerySet[Order]:
        joined = Order.objects.select_related("plan__service", "account", "recipient", "with_term")
        periods = Period.objects.filter(subscription=OuterRef("subscription"))
        return joined.filter(pk=pk, paid_at__gte=since).annotate(has_period=Exists(periods))

    ask = Compiled(2, joined)
    for order in (sold, other):
        found = ask(order, till.now)
        assert plain(found) == plain(list(joined(order.pk, till.now)))
        assert found[0].has_period is True  # type: ignore[attr-defined]
    assert ask(sold.pk, till.now + timedelta(seconds=1)) == []


@pytest.mark.django_db
def test_rows_know_their_database_and_ask_for_what_was_not_selected(till: Till) -> None:
    sold = till.sell(1)
    ask = Compiled(
        1, lambda pk: Order.objects.filter(pk=pk).select_related("plan").only("code", "plan__name")
    )
    found = ask.get(sold.pk)
    theirs = Order.objects.select_related("plan").only("code", "plan__name").get(pk=sold.pk)
    assert found.get_deferred_fields() == theirs.get_deferred_fields()
    assert found.plan_sold.get_deferred_fields() == theirs.plan_sold.get_deferred_fields()
    for row in (found, found.plan_sold):
        state = (row._state.adding, row._state.db, row._state.fetch_mode)
        assert state == (False, "default", theirs._state.fetch_mode)
    assert found.state == "fulfilled"


@pytest.mark.django_db
def test_what_is_logged_once_is_not_logged_for_ever() -> None:
    heads = Compiled(0, lambda: AuditEntry.objects.values_list("sequence"))
    heads()
    with CaptureQueriesContext(connection) as sent:
        heads()
    logged = len(connection.queries_log)
    heads()
    assert (len(sent), len(connection.queries_log)) == (1, logged)


@pytest.mark.django_db
def test_prefetched_rows_come_along(till: Till, django_assert_num_queries: object) -> None:
    sold = till.sell(1)
    held = Compiled(
        1, lambda pk: Subscription.objects.filter(pk=pk).prefetch_related("periods")
    ).get(sold.subscription_id)
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert [period.source_code for period in held.periods.all()] == [sold.code]


@pytest.mark.django_db
def test_values_come_as_tuples(till: Till) -> None:
    sold = till.sell(1)
    paid = Compiled(1, lambda code: Order.objects.filter(code=code).values_list("paid_at", "state"))
    assert paid.first(sold.code) == (till.now, "fulfilled")
    assert paid.first("ord_none") is None
    with pytest.raises(models.ObjectDoesNotExist):
        paid.get("ord_none")


@pytest.mark.django_db
def test_rows_are_the_same_objects_while_the_database_answers_the_same(till: Till) -> None:
    orders = Compiled(0, lambda: Order.objects.order_by("pk"))
    till.order()
    first, again = orders.unchanged(), orders.unchanged()
    till.order()
    after = orders.unchanged()
    assert again is first
    assert (len(first), len(after)) == (1, 2)
    assert plain(after) == plain(list(Order.objects.order_by("pk")))


def test_what_is_made_of_the_same_objects_is_made_once() -> None:
    one, equal = [1], [1]
    made = MadeOf(lambda *parts: [*parts])
    assert made(one, one) is made(one, one)
    assert made(one, one) is not made(one, equal)


@pytest.mark.django_db
def test_inserted_rows_are_those_that_save_writes(till: Till) -> None:
    entries = [entry(till, number) for number in (1, 2)]
    insert(*entries)
    saved = entry(till, 3)
    saved.save(force_insert=True)
    for made in (*entries, saved):
        assert plain([AuditEntry.objects.get(pk=made.pk)]) == plain([made])
    with pytest.raises(IntegrityError), writing():
        insert(entry(till, 1))


def entry(till: Till, number: int) -> AuditEntry:
    return AuditEntry(
        sequence=1000 + number,
        at=till.now,
        actor_kind="staff",
        actor_code="o'brien %s",
        action="test.done",
        details={"n": number, "text": "价格 %"},
        previous_hash="0" * 64,
        hash=str(number) * 64,
    )


@pytest.mark.django_db
def test_an_update_changes_what_holds_the_values_and_says_how_many(till: Till) -> None:
    order, other = till.order(), till.order()
    is_open = {"pk": order.pk, "state": "open", "subscription": None}
    assert update(Order, is_open, state="cancelled", paid_at=None) == 1
    assert update(Order, is_open, state="cancelled") == 0
    order.refresh_from_db()
    other.refresh_from_db()
    assert (order.state, other.state) == ("cancelled", "open")


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, 3])
def test_columns_of_rows_are_written_as_bulk_update_writes_them(till: Till, count: int) -> None:
    names = ["one", "two", "three"][:count]
    rows = [Gateway.objects.create(name=name, place="XD") for name in [*names, "other"]]
    for row in rows:
        row.warnings, row.last_seen_at = [f"o'brien %s {row.name}", None, "价格"], till.now
        row.place = "XX"
    columns = ["warnings", "last_seen_at"]

    update_each(columns, rows[:count])
    update_each(columns, [])

    ours = Gateway.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk")
    written = list(ours.values_list("name", "place", *columns))
    expected = [(row.name, "XD", row.warnings, till.now) for row in rows[:count]]
    assert written == [*expected, ("other", "XD", [], None)]


@pytest.mark.django_db
def test_an_audit_entry_needs_no_savepoint_inside_an_action(
    till: Till, django_assert_num_queries: object
) -> None:
    with writing(), django_assert_num_queries(2):  # type: ignore[operator]
        audit.record(now=till.now, actor=OLGA, action="test.done")
    assert audit.first_broken() is None


@pytest.mark.django_db
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL plans by what is there")
def test_subscriptions_of_a_customer_are_found_by_the_customer(till: Till) -> None:
    sold = till.sell()
    statement = several._HELD._statement(connection)
    assert sold.subscription is not None
    with connection.cursor() as cursor:
        held = [sold.account_id, sold.subscription.service_id]
        cursor.execute(f"EXPLAIN QUERY PLAN {statement.sql}", held)
        steps = " ".join(row[3] for row in cursor.fetchall())
    assert "plans_subscription USING INDEX" in steps
    assert "(account_id=? AND service_id=?)" in steps
