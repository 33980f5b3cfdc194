"""How the house writes: one writer at a time, on both engines alike."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connection, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

_WRITE_LOCK = 0x46455252  # "FERR", the advisory lock every writing action takes on PostgreSQL


@contextmanager
def writing() -> Iterator[None]:
    """Run a block as one transaction that no other writing action overlaps.

    SQLite gives this by itself (`BEGIN IMMEDIATE`). On PostgreSQL an advisory lock does, taken
    before the first row is read: audit and decision chains need an order anyway, and with one
    lock taken first no two actions can deadlock over rows. Nested blocks join the outer one.

    Source: docs/decisions/0003-one-writer.md
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_WRITE_LOCK])
        yield
