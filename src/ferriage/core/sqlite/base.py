"""Django's SQLite backend, that turns the marks of each statement once.

Django writes `%s` where SQLite wants `?`, and exchanges them by a regular expression whenever a
statement is sent: for the long statements of a sale that takes a twelfth of its time.

Source: https://docs.djangoproject.com/en/stable/ref/databases/#subclassing-the-built-in-database-backends
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

from django.db.backends.sqlite3 import base

if TYPE_CHECKING:
    from collections.abc import Sequence

_STATEMENTS: Final = 1024
_LONGEST: Final = 20_000
"""Characters of a statement that is kept; longer ones write many rows at once, and hardly ever."""


@lru_cache(maxsize=_STATEMENTS)
def _marked(query: str) -> str:
    return base.SQLiteCursorWrapper.convert_query(cast("Any", None), query)  # it asks no cursor


class Cursor(base.SQLiteCursorWrapper):
    """A cursor that remembers what became of statements."""

    def convert_query(self, query: str, *, param_names: Sequence[str] | None = None) -> str:
        """Return a statement with SQLite's own marks."""
        if param_names is None and len(query) <= _LONGEST:
            return _marked(query)
        return super().convert_query(query, param_names=param_names)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's connection, with cursors of ours."""

    def create_cursor(self, name: str | None = None) -> Cursor:
        """Return a cursor; SQLite has no names for them."""
        del name
        return cast("Cursor", self.connection.cursor(factory=Cursor))
