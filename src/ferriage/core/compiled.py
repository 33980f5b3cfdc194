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

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.base import ModelState
from django.db.models.expressions import Expression
from django.db.models.query import get_related_populators, prefetch_related_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper
    from django.db.models.sql.compiler import SQLCompiler

_CHUNK: Final = 200


def _database() -> BaseDatabaseWrapper:
    """Return this thread's connection, which `django.db.connection` asks for at each attribute."""
    return connections[DEFAULT_DB_ALIAS]


def _cursor(database: BaseDatabaseWrapper) -> CursorWrapper:
    """Return this connection's cursor for what is here; whoever asks it fetches all before others.

    To make one for each statement, as Django does, takes as long as a short statement itself.
    """
    if database.queries_logged:
        return database.cursor()
    kept: Any = database  # it has a place for whatever is noted of a connection
    kept.close_if_health_check_failed()
    connection, cursor = getattr(kept, "_ferriage_cursor", (None, None))
    if connection is None or connection is not database.connection:
        cursor = database.cursor()
        kept._ferriage_cursor = database.connection, cursor
    return cast("CursorWrapper", cursor)


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
        self._last: tuple[object, object, list[Row]] | None = None

    def __call__(self, *values: object) -> list[Row]:
        """Return the rows for the values that the query was built to take."""
        database = _database()
        statement = self._statement(database)
        return cast("list[Row]", statement.made(statement.asked(values, database)))

    def unchanged(self) -> list[Row]:
        """Return the rows, the very same list as before if the database answers the same.

        For a few rows that many ask for and hardly anybody changes; whoever gets them leaves them
        as they are. Without values, and without rows that are prefetched.
        """
        database = _database()
        statement = self._statement(database)
        answer = statement.asked((), database)
        last = self._last  # other threads may put theirs there
        if last is None or last[0] is not statement or last[1] != answer:
            made = cast("list[Row]", statement.made(answer))
            last = self._last = (statement, answer, made)
        return last[2]

    def _statement(self, database: BaseDatabaseWrapper) -> _Statement:
        statement = self._statements.get(database.vendor)
        if statement is None:
            built = self._build(*(_Given(number) for number in range(self._given)))
            statement = self._statements[database.vendor] = _compile(built, database)
        return statement

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


class MadeOf[Made]:
    """Makes something of rows, once while they are the very same: `Compiled.unchanged`."""

    def __init__(self, make: Callable[..., Made]) -> None:
        self._make = make
        self._last: tuple[tuple[object, ...], Made] | None = None

    def __call__(self, *parts: object) -> Made:
        """Return what is made of the parts; whoever gets it leaves it as it is."""
        last = self._last  # other threads may put theirs there
        if last is None or any(one is not other for one, other in zip(last[0], parts, strict=True)):
            last = self._last = (parts, self._make(*parts))
        return last[1]


@dataclass(frozen=True, slots=True)
class _Statement:
    """SQL, and how Django makes objects of its rows. Read only, so threads share it."""

    sql: str
    parameters: tuple[Any, ...]
    compiler: SQLCompiler
    converters: dict[int, Any]
    make: Callable[[Sequence[Any]], object]
    prefetched: tuple[Any, ...]

    def asked(self, values: Sequence[object], database: BaseDatabaseWrapper) -> list[Any]:
        """Return the rows as the database's driver gives them."""
        cursor = _cursor(database)
        cursor.execute(
            self.sql,
            [
                _adapted(values[one.number], database) if isinstance(one, _Given) else one
                for one in self.parameters
            ],
        )
        answer: list[Any] = cursor.fetchall()
        return answer

    def made(self, answer: list[Any]) -> list[object]:
        """Return what Django makes of such rows."""
        rows: Any = answer
        if self.converters:
            rows = self.compiler.apply_converters(rows, self.converters)
        made = [self.make(row) for row in rows]
        if made and self.prefetched:
            prefetch_related_objects(cast("list[models.Model]", made), *self.prefetched)
        return made


def _compile(built: models.QuerySet[Any, Any], database: BaseDatabaseWrapper) -> _Statement:
    inside = cast("Any", built)  # what a query set is made of has no types
    compiler = built.query.get_compiler(connection=database)
    sql, parameters = compiler.as_sql()
    compiler = cast("Any", compiler)
    converters = compiler.get_converters([column for column, _sql, _alias in compiler.select])
    make = tuple if inside._fields is not None else _maker(inside, compiler)
    return _Statement(
        sql, tuple(parameters), compiler, converters, make, inside._prefetch_related_lookups
    )


def _maker(built: Any, compiler: Any) -> Callable[[Sequence[Any]], object]:
    """Return what makes an object of a row, as Django's own `ModelIterable` does."""
    rows, fields = _Rows(built.model), compiler.klass_info["select_fields"]
    first, after = fields[0], fields[-1] + 1
    names = [column[0].target.attname for column in compiler.select[first:after]]
    populators = get_related_populators(
        compiler.klass_info, compiler.select, built.db, built._fetch_mode
    )
    _quicken(populators)
    noted = tuple(compiler.annotation_col_map.items())

    def make(row: Sequence[Any]) -> object:
        made = rows.from_db(built.db, names, row[first:after])
        for populator in populators:
            populator.populate(row, made)
        for name, at in noted:
            setattr(made, name, row[at])
        return made

    return make


class _Rows:
    """Makes objects of a model's rows as `Model.from_db` does, in a fifth of the time.

    Django sets each attribute through the model's descriptors, and sends signals that the house's
    models have no receivers for. A column that was not selected is asked for when it is needed.
    """

    def __init__(self, model: type[models.Model]) -> None:
        self._model = model

    def from_db(
        self, db: str, names: Sequence[str], values: Sequence[Any], *, fetch_mode: Any = None
    ) -> models.Model:
        """Return the object of a row."""
        made = self._model.__new__(self._model)
        made.__dict__.update(zip(names, values, strict=True))
        state = made._state = cast("Any", ModelState())
        state.adding, state.db = False, db
        if fetch_mode is not None:
            state.fetch_mode = fetch_mode
        return made


def _quicken(populators: Sequence[Any]) -> None:
    """Let what makes the objects that come with a row's make them quickly too."""
    for populator in populators:
        populator.from_db = _Rows(populator.model_cls).from_db
        _quicken(populator.related_populators)


def _adapted(value: Any, database: BaseDatabaseWrapper) -> Any:
    """Return a value as the database's driver takes it."""
    if isinstance(value, models.Model):
        return value.pk
    if isinstance(value, datetime):
        return database.ops.adapt_datetimefield_value(value)
    if isinstance(value, date):
        return database.ops.adapt_datefield_value(value)
    return value


def insert[Row: models.Model](*rows: Row) -> None:
    """Insert new rows of one table, and give them their primary keys.

    As `save(force_insert=True)` of each, with a statement for all. The tables of the house have
    keys that the database gives, and no signals.
    """
    database = _database()
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        table = _table(type(chunk[0]), database.vendor)
        values = [
            prepare(field.pre_save(row, True), database)
            for row in chunk
            for field, prepare in table.fields
        ]
        cursor = _cursor(database)
        cursor.execute(table.insert + ", ".join([table.marks] * len(chunk)) + table.key, values)
        keys = cursor.fetchall()
        for row, (key,) in zip(chunk, keys, strict=True):
            row.pk = key
            row._state.adding, row._state.db = False, database.alias


def update(model: type[models.Model], where: dict[str, object], **values: object) -> int:
    """Change rows whose columns hold the values of `where`; returns how many: compare-and-set.

    None in `where` is a column that holds nothing.
    """
    database = _database()
    empty = tuple(name for name, value in where.items() if value is None)
    change = _change(model, tuple(values), tuple(where), empty, database.vendor)
    given = [*values.values(), *(value for value in where.values() if value is not None)]
    parameters = [
        prepare(getattr(value, "pk", value), database)
        for prepare, value in zip(change.prepare, given, strict=True)
    ]
    cursor = _cursor(database)
    cursor.execute(change.sql, parameters)
    return int(cursor.rowcount)


def update_each(fields: Sequence[str], rows: Sequence[models.Model]) -> None:
    """Write these columns of rows of one table that are there, as `bulk_update` does.

    One statement is sent for each row, and on PostgreSQL all of them together: `bulk_update` writes
    a condition for each value instead, which for a few rows takes longer than all else.
    """
    if not rows:
        return
    database, model = _database(), type(rows[0])
    change = _change(model, tuple(fields), ("pk",), (), database.vendor)
    names = [*(cast("Any", model._meta.get_field(name)).attname for name in fields), "pk"]
    values = [
        [
            prepare(getattr(row, name), database)
            for name, prepare in zip(names, change.prepare, strict=True)
        ]
        for row in rows
    ]
    with database.cursor() as cursor:
        if len(values) == 1:
            cursor.execute(change.sql, values[0])
        else:
            cursor.executemany(change.sql, values)


@dataclass(frozen=True, slots=True)
class _Change:
    """An UPDATE, and what makes its parameters of the values."""

    sql: str
    prepare: tuple[Callable[[Any, Any], Any], ...]


@cache
def _change(
    model: type[models.Model],
    names: tuple[str, ...],
    where: tuple[str, ...],
    empty: tuple[str, ...],
    _vendor: str,
) -> _Change:
    """Return the UPDATE that sets some columns where others hold values or, in `empty`, nothing."""
    quote = _database().ops.quote_name
    fields: dict[str, Any] = {
        name: model._meta.pk if name == "pk" else model._meta.get_field(name)
        for name in (*names, *where)
    }
    sets = ", ".join(f"{quote(fields[name].column)} = %s" for name in names)
    found = " AND ".join(
        quote(fields[name].column) + (" IS NULL" if name in empty else " = %s") for name in where
    )
    taken = (*names, *(name for name in where if name not in empty))
    return _Change(
        f"UPDATE {quote(model._meta.db_table)} SET {sets} WHERE {found}",  # noqa: S608 -- names of columns
        tuple(_preparing(fields[name]) for name in taken),
    )


def _preparing(field: Any) -> Callable[[Any, Any], Any]:
    """Return what makes a parameter of a value: of a foreign key, what the key it names does."""
    prepare = field.target_field.get_db_prep_save if field.is_relation else field.get_db_prep_save
    return lambda value, database: None if value is None else prepare(value, connection=database)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table's INSERT, in parts, and its columns with what makes parameters of their values."""

    fields: tuple[tuple[Any, Callable[[Any, Any], Any]], ...]
    insert: str
    marks: str
    key: str


@cache
def _table(model: type[models.Model], _vendor: str) -> _Table:
    quote = _database().ops.quote_name
    fields: tuple[Any, ...] = tuple(
        field for field in model._meta.concrete_fields if not field.primary_key
    )
    columns = ", ".join(quote(field.column) for field in fields)
    return _Table(
        tuple((field, _preparing(field)) for field in fields),
        f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ",  # noqa: S608 -- names of columns
        "(" + ", ".join(["%s"] * len(fields)) + ")",
        f" RETURNING {quote(str(model._meta.pk.column))}",
    )
