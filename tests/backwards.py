"""Rows in the reverse of the order in which they were made, wherever a query asks for none.

A database may give them in any order then, and mostly gives them as they were made, so that a
page, a file or a test that leans on that order goes wrong on another machine, another day.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.constants import MULTI

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models.sql import Query


@contextmanager
def backwards() -> Iterator[None]:
    """Turn such rows round until the block ends, in all threads of this process."""
    asked = SQLCompiler.execute_sql

    def turned(self: SQLCompiler, result_type: str = MULTI, *rest: Any, **named: Any) -> Any:
        # Only a plain SELECT: what is sliced, grouped or made distinct would mean something else.
        if result_type == MULTI and type(self) is SQLCompiler and _in_no_order(self.query):
            self.query = self.query.chain()
            self.query.add_ordering("-pk")
        return asked(self, result_type, *rest, **named)

    SQLCompiler.execute_sql = turned  # type: ignore[method-assign]
    try:
        yield
    finally:
        SQLCompiler.execute_sql = asked  # type: ignore[method-assign]


def _in_no_order(query: Query) -> bool:
    ordered = query.order_by or query.extra_order_by or _by_default(query)
    other = query.distinct or query.combinator or query.is_sliced or query.group_by is not None
    return not (ordered or other)


def _by_default(query: Query) -> bool:
    return bool(query.default_ordering and query.get_meta().ordering)
