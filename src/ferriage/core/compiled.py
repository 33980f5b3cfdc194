"""Queries and writes whose SQL is made once a process, for what every sale and report runs.

Django writes the SQL of a query anew each time, which takes ten times as long as the databases
need for it. What is here asks Django for the SQL once, and then only fills in the values. Django
has no public name for that; the version is pinned, and tests/orders/test_compiled.py compares.

Source: docs/decisions/0049-settling-compiled.md
"""

# ruff: noqa: SLF001 -- Django has no public name for what its query sets are made of
from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from django.db import connection, models
from django.db.models.expressions import Expression
from django.db.models.query import get_related_populators, prefetch_related_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.db.models.sql.compiler import SQLCompiler

_CHUNK: Final = 200


class _Given(Expression):
    """Where a value goes in that each call brings."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def as_sql(self, *_compiler: Any, **_options: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)


class Compiled[Row]:
    """A query that is written once, and asked often: `WAITING = Compiled(2, build)`.

    It gives what the query set that was built would give, and nothing is kept between calls but
    the SQL. Lists cannot be given (`__in`), nor parts that change the SQL.
    """

    def __init__(self, given: int, build: Callable[..., models.QuerySet[Any, Row]]) -> None:
        self._given = given
        self._build = build
        self._statements: dict[str, _Statement] = {}

    def __call__(self, *values: object) -> list[Row]:
        """Return the rows for the values that the query was built to take."""
        statement = self._statements.get(connection.vendor)
        if statement is None:
            built = self._build(*(_Given(number) for number in range(self._given)))
            statement = self._statements[connection.vendor] = _compile(built)
        return cast("list[Row]", statement.rows(values))

    def first(self, *values: object) -> Row | None:
        """Return the first row, if there is one; the query says how many it reads."""
        return next(iter(self(*values)), None)

    def get(self, *values: object) -> Row:
        """Return the only row.

        Raises:
            ObjectDoesNotExist: There is none.
        """
        found = self(*values)
        if len(found) != 1:
            raise models.ObjectDoesNotExist(f"{len(found)} rows where one is")
        return found[0]


@dataclass(frozen=True, slots=True)
class _Statement:
    """SQL, and how Django makes objects of its rows. Read only, so threads share it."""

    sql: str
    parameters: tuple[Any, ...]
    compiler: SQLCompiler
    converters: dict[int, Any]
    make: Callable[[Sequence[Any]], object]
    prefetched: tuple[Any, ...]

    def rows(self, values: Sequence[object]) -> list[object]:
        with connection.cursor() as cursor:
            cursor.execute(
                self.sql,
                [
                    _adapted(values[one.number]) if isinstance(one, _Given) else one
                    for one in self.parameters
                ],
            )
            rows: Any = cursor.fetchall()
        if self.converters:
            rows = self.compiler.apply_converters(rows, self.converters)
        made = [self.make(row) for row in rows]
        if made and self.prefetched:
            prefetch_related_objects(cast("list[models.Model]", made), *self.prefetched)
        return made


def _compile(built: models.QuerySet[Any, Any]) -> _Statement:
    inside = cast("Any", built)  # what a query set is made of has no types
    compiler = built.query.get_compiler(connection=connection)
    sql, parameters = compiler.as_sql()
    compiler = cast("Any", compiler)
    converters = compiler.get_converters([column for column, _sql, _alias in compiler.select])
    make = tuple if inside._fields is not None else _maker(inside, compiler)
    return _Statement(
        sql, tuple(parameters), compiler, converters, make, inside._prefetch_related_lookups
    )


def _maker(built: Any, compiler: Any) -> Callable[[Sequence[Any]], object]:
    """Return what makes an object of a row, as Django's own `ModelIterable` does."""
    model, fields = built.model, compiler.klass_info["select_fields"]
    first, after = fields[0], fields[-1] + 1
    names = [column[0].target.attname for column in compiler.select[first:after]]
    populators = get_related_populators(
        compiler.klass_info, compiler.select, built.db, built._fetch_mode
    )
    noted = tuple(compiler.annotation_col_map.items())

    def make(row: Sequence[Any]) -> object:
        made = model.from_db(built.db, names, row[first:after])
        for populator in populators:
            populator.populate(row, made)
        for name, at in noted:
            setattr(made, name, row[at])
        return made

    return make


def _adapted(value: Any) -> Any:
    """Return a value as the database's driver takes it."""
    if isinstance(value, models.Model):
        return value.pk
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    if isinstance(value, date):
        return connection.ops.adapt_datefield_value(value)
    return value


def insert[Row: models.Model](*rows: Row) -> None:
    """Insert new rows of one table, and give them their primary keys.

    As `save(force_insert=True)` of each, with a statement for all. The tables of the house have
    keys that the database gives, and no signals.
    """
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        table = _table(type(chunk[0]), connection.vendor)
        values = [
            field.get_db_prep_save(field.pre_save(row, add=True), connection)
            for row in chunk
            for field in table.fields
        ]
        with connection.cursor() as cursor:
            cursor.execute(table.insert + ", ".join([table.marks] * len(chunk)) + table.key, values)
            keys = cursor.fetchall()
        for row, (key,) in zip(chunk, keys, strict=True):
            row.pk = key
            row._state.adding, row._state.db = False, connection.alias


def update(model: type[models.Model], where: dict[str, object], **values: object) -> int:
    """Change rows whose columns hold the values of `where`; returns how many: compare-and-set.

    None in `where` is a column that holds nothing.
    """
    sets, found = [], []
    parameters: list[Any] = []
    for name, value in values.items():
        column, prepared = _prepared(model, name, value)
        sets.append(f"{column} = %s")
        parameters.append(prepared)
    for name, value in where.items():
        column, prepared = _prepared(model, name, value)
        found.append(f"{column} IS NULL" if value is None else f"{column} = %s")
        parameters += [] if value is None else [prepared]
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {', '.join(sets)} WHERE {' AND '.join(found)}",  # noqa: S608 -- names of columns
            parameters,
        )
        return int(cursor.rowcount)


def update_each(fields: Sequence[str], rows: Sequence[models.Model]) -> None:
    """Write these columns of rows of one table that are there, as `bulk_update` does.

    One statement is sent for each row, and on PostgreSQL all of them together: `bulk_update` writes
    a condition for each value instead, which for a few rows takes longer than all else.
    """
    if not rows:
        return
    statement, columns = _update_of(type(rows[0]), tuple(fields), connection.vendor)
    values = [
        [column.get_db_prep_save(getattr(row, column.attname), connection) for column in columns]
        for row in rows
    ]
    with connection.cursor() as cursor:
        if len(values) == 1:
            cursor.execute(statement, values[0])
        else:
            cursor.executemany(statement, values)


@cache
def _update_of(
    model: type[models.Model], names: tuple[str, ...], _vendor: str
) -> tuple[str, tuple[Any, ...]]:
    """Return an UPDATE of one row, and the fields whose values it takes: the key's last."""
    quote = connection.ops.quote_name
    fields = tuple(cast("Any", model._meta.get_field(name)) for name in names)
    sets = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    table, key = quote(model._meta.db_table), cast("Any", model._meta.pk)
    statement = f"UPDATE {table} SET {sets} WHERE {quote(key.column)} = %s"  # noqa: S608 -- names of columns
    return statement, (*fields, key)


def _prepared(model: type[models.Model], name: str, value: object) -> tuple[str, Any]:
    field = cast("Any", model._meta.pk if name == "pk" else model._meta.get_field(name))
    prepared = field.get_db_prep_save(getattr(value, "pk", value), connection)
    return connection.ops.quote_name(field.column), prepared


@dataclass(frozen=True, slots=True)
class _Table:
    """A table's INSERT, in parts."""

    fields: tuple[Any, ...]
    insert: str
    marks: str
    key: str


@cache
def _table(model: type[models.Model], _vendor: str) -> _Table:
    quote = connection.ops.quote_name
    fields: tuple[Any, ...] = tuple(
        field for field in model._meta.concrete_fields if not field.primary_key
    )
    columns = ", ".join(quote(field.column) for field in fields)
    return _Table(
        fields,
        f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ",  # noqa: S608 -- names of columns
        "(" + ", ".join(["%s"] * len(fields)) + ")",
        f" RETURNING {quote(str(model._meta.pk.column))}",
    )
