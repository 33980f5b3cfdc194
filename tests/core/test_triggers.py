"""Every table whose rows stay keeps them from SQLite's OR REPLACE, by each unique constraint."""

from __future__ import annotations

import re

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db

REFUSED_ALWAYS = re.compile(r"BEFORE UPDATE ON \w+\s+(WHEN\s+1 = 1\s+)?BEGIN")


def rows(sql: str, *params: str) -> list[tuple[str, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def unguarded() -> list[tuple[str, str, str]]:
    """Return table, event and column of every unique column that a trigger does not ask for."""
    if connection.vendor != "sqlite":
        return []
    found = []
    triggers: dict[str, list[str]] = {}
    for table, sql in rows("SELECT tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"):
        triggers.setdefault(table, []).append(sql)
    for table, statements in triggers.items():
        if not any("BEFORE DELETE" in sql for sql in statements):
            continue
        asked = {
            event: " ".join(sql for sql in statements if f"BEFORE {event}" in sql)
            for event in ("INSERT", "UPDATE")
        }
        if any(REFUSED_ALWAYS.search(sql) for sql in statements):
            del asked["UPDATE"]
        for event, text in asked.items():
            for column in unique_columns(table):
                if not re.search(rf'NEW\."?{column}"?\W', text):
                    found.append((table, event, column))  # noqa: PERF401 -- three loops read better
    return sorted(found)


def unique_columns(table: str) -> set[str]:
    indexes = rows('SELECT name FROM pragma_index_list(%s) WHERE "unique"', table)
    columns = (rows("SELECT name FROM pragma_index_info(%s)", name) for (name,) in indexes)
    return {"id", *(name for row in columns for (name,) in row)} & {
        name for (name,) in rows("SELECT name FROM pragma_table_info(%s)", table)
    }


STAY = {
    "ledger_monthflow",
    "ledger_payout",
    "orders_balance",
    "orders_balanceclaim",
    "orders_balancehold",
    "orders_coupon",
    "orders_order",
    "payments_dispute",
    "payments_handreceipt",
    "payments_inboxevent",
    "payments_payment",
    "payments_proposal",
    "payments_refund",
    "payments_statementline",
    "payments_voucher",
}
"""Where `rows_stay` was said. A migration that rebuilds one on SQLite has to keep its triggers."""


def test_tables_of_money_keep_their_rows() -> None:
    if connection.vendor == "sqlite":
        found = rows("SELECT tbl_name FROM sqlite_master WHERE name LIKE '%%same_row'")
    else:
        found = rows(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE '%%rows_stay'"
        )
    assert {table for (table,) in found} == STAY


def test_every_table_whose_rows_stay_asks_for_each_unique_column() -> None:
    """PostgreSQL has no OR REPLACE: what stands in the way is updated, which is refused."""
    # The sum of a month is added to on conflict; a closed month is guarded by its own rule.
    upserted = {("ledger_monthflow", "INSERT", name) for name in ("debit_id", "credit_id")}
    assert set(unguarded()) == (upserted if connection.vendor == "sqlite" else set())
