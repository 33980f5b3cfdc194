"""Tables whose rows stay, enforced by the database itself on SQLite and PostgreSQL.

Use in a hand-written migration: `operations = [append_only("core_auditentry")]`, or
`rows_stay("payments_refund", why="it stays")` where rows change, but none may go or become another.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

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
_PARTIAL_INDEXES = """
SELECT index_list.name, master.sql FROM pragma_index_list(%s) AS index_list
JOIN sqlite_master AS master ON master.name = index_list.name
WHERE index_list."unique" AND index_list.partial ORDER BY index_list.name
"""
_MEETS = "EXISTS (SELECT 1 FROM {table} WHERE {kept} AND ({met}))"
_ID = '"id" = NEW."id"'
# SQLite's UPDATE OF id does not hear `SET rowid`, which is the same. So every UPDATE asks, and most
# are done with the first comparison.
_OTHER_ID = """
NEW."id" <> OLD."id" AND (({of_old})
OR EXISTS (SELECT 1 FROM {table} WHERE ({kept}) AND "id" = NEW."id"))
"""
_SQLITE_STAYS = """
CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} WHEN {condition}
BEGIN SELECT RAISE({how}); END
"""
_POSTGRES_STAYS = (
    """
CREATE OR REPLACE FUNCTION {table}_row_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION '{why}' USING ERRCODE = 'check_violation';
    END IF;
    IF ({kept}) AND (TG_OP = 'DELETE' OR NEW.id <> OLD.id) THEN
        RAISE EXCEPTION '{why}' USING ERRCODE = 'check_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$
""",
    "DROP TRIGGER IF EXISTS {table}_row_stays ON {table}",
    """
CREATE TRIGGER {table}_row_stays BEFORE UPDATE OF id OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION {table}_row_stays()
""",
    "DROP TRIGGER IF EXISTS {table}_rows_stay ON {table}",
    """
CREATE TRIGGER {table}_rows_stay BEFORE TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION {table}_row_stays()
""",
)
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


def rows_stay(
    table: str,
    *,
    why: str,
    kept: str = "1 = 1",
    on_insert: Literal["refuse", "skip", "same id"] = "refuse",
) -> migrations.RunPython:
    """Return an operation after which no row goes, takes another's id, or stands in one's place.

    For tables whose rows change; what of a row may change is for other triggers to say. SQLite's
    OR REPLACE deletes the row in its way without asking a trigger for DELETE, by every unique
    constraint, in an UPDATE too. Said again of a table it takes the place of what was said before.

    Args:
        why: What the refusal says.
        kept: SQL that is true of the rows that stay, with each column's name in double quotes.
        on_insert: What an INSERT on SQLite comes to that would meet a row by a unique constraint.
            It is refused before the statement's own ON CONFLICT is asked. So say `skip` where the
            code writes OR IGNORE; and `same id` where it updates on conflict: only rows of the
            same id are kept from it.
    """

    def forwards(_apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        if editor.connection.vendor == "sqlite":
            statements = _sqlite_stays(table, why, kept, on_insert, editor)
        else:
            of_old = _of("OLD", kept)
            statements = [one.format(table=table, why=why, kept=of_old) for one in _POSTGRES_STAYS]
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


def _sqlite_stays(
    table: str, why: str, kept: str, on_insert: str, editor: BaseDatabaseSchemaEditor
) -> list[str]:
    """Return the triggers of `rows_stay`, which take the place of those of the same name."""
    columns, met = _met(table, editor)
    inserted = _ID if on_insert == "same id" else met
    refuse = f"ABORT, '{why}'"
    rules = [
        (
            "same_row",
            "UPDATE",
            _OTHER_ID.format(table=table, of_old=_of("OLD", kept), kept=kept),
            refuse,
        ),
        (
            "no_replacing",
            f"UPDATE OF {', '.join(columns)}",
            _MEETS.format(table=table, kept=f'({kept}) AND "id" <> OLD."id"', met=met),
            refuse,
        ),
        (
            "no_replace",
            "INSERT",
            _MEETS.format(table=table, kept=f"({kept})", met=inserted),
            "IGNORE" if on_insert == "skip" else refuse,
        ),
        ("no_delete", "DELETE", _of("OLD", kept), refuse),
    ]
    return [
        statement
        for name, event, condition, how in rules
        for statement in (
            f"DROP TRIGGER IF EXISTS {table}_{name}",
            _SQLITE_STAYS.format(table=table, name=name, event=event, condition=condition, how=how),
        )
    ]


def _met(table: str, editor: BaseDatabaseSchemaEditor) -> tuple[list[str], str]:
    """Return the columns that make rows unique, and SQL that is true of a row that `NEW` meets."""
    whole, columns = [["id"]], {"id"}
    met = []
    with editor.connection.cursor() as cursor:
        cursor.execute(_UNIQUE_INDEXES, [table])
        for (index,) in cursor.fetchall():
            cursor.execute(_INDEX_COLUMNS, [index])
            whole.append([name for (name,) in cursor.fetchall()])
        cursor.execute(_PARTIAL_INDEXES, [table])
        for index, sql in cursor.fetchall():
            where = sql.partition(" WHERE ")[2]
            cursor.execute(_INDEX_COLUMNS, [index])
            names = [name for (name,) in cursor.fetchall()]
            met.append(f"{_same(names)} AND ({where}) AND ({_of('NEW', where)})")
            columns.update(names, _COLUMN.findall(where))
    for names in whole:
        columns.update(names)
    return sorted(columns), " OR ".join(f"({one})" for one in (*map(_same, whole), *met))


_COLUMN = re.compile(r'"(\w+)"')


def _same(names: list[str]) -> str:
    return " AND ".join(f'"{name}" = NEW."{name}"' for name in names)


def _of(row: str, condition: str) -> str:
    """Return a condition on columns as one on the columns of `NEW` or `OLD`."""
    return _COLUMN.sub(rf'{row}."\1"', condition)
