"""Append-only tables, enforced by the database itself on SQLite and PostgreSQL.

Use in a hand-written migration: `operations = [append_only("core_auditentry")]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import migrations

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.operations.base import Operation

_SQLITE = """
CREATE TRIGGER {table}_no_{lower} BEFORE {event} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""
# SQLite's INSERT OR REPLACE deletes the row in its way without asking a trigger for DELETE.
_SQLITE_REPLACE = """
CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""
_UNIQUE_INDEXES = 'SELECT name FROM pragma_index_list(%s) WHERE "unique" AND NOT partial'
_INDEX_COLUMNS = "SELECT name FROM pragma_index_info(%s) ORDER BY seqno"
_TRIGGERS = """
SELECT name, sql FROM sqlite_master
WHERE type = 'trigger' AND (tbl_name = %s OR instr(sql, %s)) ORDER BY name
"""
_POSTGRES_FUNCTION = """
CREATE OR REPLACE FUNCTION ferriage_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'check_violation'; END $$
"""
_POSTGRES = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION ferriage_append_only()
"""
_POSTGRES_TRUNCATE = """
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION ferriage_append_only()
"""


def append_only(table: str, *, once: str = "") -> migrations.RunPython:
    """Return an operation after which rows of the table can be neither changed nor deleted.

    Args:
        once: SQL that is true of a row that `NEW` would replace by a unique constraint with a
            condition; those without one are found by themselves.
    """

    def forwards(_apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        if editor.connection.vendor == "sqlite":
            statements = _sqlite(table, _same_row(table, once, editor))
        else:
            statements = _postgres(table)
        for statement in statements:
            editor.execute(statement, params=None)

    return migrations.RunPython(forwards)


def per_vendor(*, sqlite: tuple[str, ...], postgresql: tuple[str, ...]) -> migrations.RunPython:
    """Return an operation that runs the statements written for the engine in use."""

    def forwards(_apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        statements = {"sqlite": sqlite, "postgresql": postgresql}[editor.connection.vendor]
        for statement in statements:
            editor.execute(statement, params=None)

    return migrations.RunPython(forwards)


def rebuilding(table: str, *operations: Operation) -> list[Operation]:
    """Return operations that change a table, and after which every trigger is there as before.

    For changes for which Django makes the table anew on SQLite. That drops the table's triggers,
    also those that migrations of other rooms wrote, and fails at triggers of other tables that
    ask it. PostgreSQL keeps all of them by itself.
    """
    kept: list[str] = []

    def take_away(_apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        kept.clear()
        if editor.connection.vendor != "sqlite":
            return
        with editor.connection.cursor() as cursor:
            cursor.execute(_TRIGGERS, [table, table])
            found = cursor.fetchall()
        for name, sql in found:
            editor.execute(f"DROP TRIGGER {name}", params=None)
            kept.append(sql)

    def put_back(_apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        for sql in kept:
            editor.execute(sql, params=None)

    return [migrations.RunPython(take_away), *operations, migrations.RunPython(put_back)]


def _sqlite(table: str, same: str) -> list[str]:
    return [
        *(
            _SQLITE.format(table=table, event=event, lower=event.lower())
            for event in ("UPDATE", "DELETE")
        ),
        _SQLITE_REPLACE.format(table=table, same=same),
    ]


def _same_row(table: str, once: str, editor: BaseDatabaseSchemaEditor) -> str:
    """Return SQL that is true of every row that inserting `NEW` would replace."""
    uniques = [["id"]]
    with editor.connection.cursor() as cursor:
        cursor.execute(_UNIQUE_INDEXES, [table])
        for (index,) in cursor.fetchall():
            cursor.execute(_INDEX_COLUMNS, [index])
            uniques.append([name for (name,) in cursor.fetchall()])
    same = [" AND ".join(f"{name} = NEW.{name}" for name in columns) for columns in uniques]
    return " OR ".join(f"({condition})" for condition in (*same, once) if condition)


def _postgres(table: str) -> list[str]:
    return [
        _POSTGRES_FUNCTION,
        _POSTGRES.format(table=table),
        _POSTGRES_TRUNCATE.format(table=table),
    ]
