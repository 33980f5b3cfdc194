"""What is asked of every sale and report finds its rows, however many there are.

SQLite plans without knowing how full a table is: of two indexes it may take the one that gives the
order, and walk all payments of a provider to find one.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module

import pytest
from django.db import connection

from ferriage.core.compiled import Compiled

WEAK = {
    "devices_device": {"place"},
    "devices_incarnation": {"gateway_id", "final"},
    "devices_usagemonth": {"begins_at"},
    "fleet_poolcurrent": {"pool_id"},
    "fleet_poolentry": {"pool_id"},
    "orders_order": {"plan_id", "price_id", "state", "kind"},
    "payments_inboxevent": {"account_id", "provider"},
    "payments_payment": {"account_id", "provider", "state"},
    "plans_period": {"kind"},
    "plans_subscription": {"service_id", "plan_id"},
}
"""Tables that grow with the business, and columns that do not tell one row from thousands."""

STEP = re.compile(r"(SCAN|SEARCH) (\w+)(?: .*?\((.*)\))?")


def compiled() -> dict[str, Compiled[object]]:
    """Return what any loaded module of the house compiles, by its name."""
    return {
        f"{name}.{word}": held
        for name, module in sorted(sys.modules.items())
        if name.startswith("ferriage.")
        for word, held in vars(module).items()
        if isinstance(held, Compiled)
    }


def steps(query: Compiled[object]) -> list[tuple[str, str, set[str]]]:
    """Return what SQLite would do: scan or search, of which table, by which columns."""
    statement = query._statement(connection)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement.sql}", [1] * len(statement.parameters))
        told = [STEP.match(row[3]) for row in cursor.fetchall()]
    named = dict(re.findall(r'"(\w+)" "?([A-Z]\w*)"?', statement.sql.replace(" AS ", " ")))
    tables = {alias: table for table, alias in named.items()}
    return [
        (step[1], tables.get(step[2], step[2]), set(re.findall(r"(\w+)[=<>]", step[3] or "")))
        for step in told
        if step
    ]


@pytest.mark.django_db
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL plans by what is there")
def test_no_compiled_query_walks_a_table_that_grows() -> None:
    import_module("ferriage.web.urls")
    queries = compiled()
    assert {"ferriage.plans.several._HELD", "ferriage.devices.metering._USED"} <= set(queries)
    walking = [
        (name, step)
        for name, query in queries.items()
        for step in steps(query)
        if step[1] in WEAK and step[2] <= WEAK[step[1]]
    ]
    assert walking == []
