"""The house's own SQLite connection says what Django's says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connections
from django.db.backends.sqlite3.base import SQLiteCursorWrapper

from ferriage.core.compiled import _cursor
from ferriage.core.sqlite.base import Cursor, DatabaseWrapper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.django_db


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DatabaseWrapper]:
    """Return a connection to a file of its own."""
    settings = connections.configure_settings({"default": {"NAME": str(tmp_path / "house.sqlite")}})
    made = DatabaseWrapper(settings["default"])
    yield made
    made.close()


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("SELECT %s || '%%' || %s", ["价", "'%s"]),
        ("SELECT %(name)s || '%%'", {"name": "o'brien"}),
        ("SELECT '%%s'", []),
        ("SELECT 1 /* " + "long " * 5000 + "*/ WHERE 1 = %s", [1]),
    ],
)
def test_marks_are_exchanged_as_django_does(
    house: DatabaseWrapper, sql: str, values: list[str] | dict[str, str]
) -> None:
    with house.cursor() as cursor:
        plain = house.connection.cursor(factory=SQLiteCursorWrapper)
        assert isinstance(cursor.cursor, Cursor)
        for _again in range(2):
            cursor.execute(sql, values)
            assert cursor.fetchall() == plain.execute(sql, values).fetchall()


def test_a_cursor_is_kept_until_its_connection_is_another(house: DatabaseWrapper) -> None:
    first = _cursor(house)
    assert first.execute("SELECT 1").fetchall() == [(1,)]
    assert _cursor(house) is first
    house.close()
    assert _cursor(house).execute("SELECT 2").fetchall() == [(2,)]
