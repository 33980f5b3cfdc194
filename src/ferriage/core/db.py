"""How the house writes: one writer at a time, on both engines alike."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connection, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

_WRITE_LOCK = 0x46455252  # "FERR", the advisory lock every writing action takes on PostgreSQL


class _Writers(threading.local):
    """How many `writing()` blocks this thread is inside of; the first one holds the lock."""

    depth = 0


_writers = _Writers()


@contextmanager
def writing() -> Iterator[None]:
    """Run a block as one transaction that no other writing action overlaps.

    SQLite gives this by itself (`BEGIN IMMEDIATE`). On PostgreSQL an advisory lock does, taken
    before the first row is read: audit and decision chains need an order anyway, and with one
    lock taken first no two actions can deadlock over rows. Nested blocks join the outer one.

    Source: docs/decisions/0003-one-writer.md
    """
    with transaction.atomic():
        if connection.vendor == "postgresql" and not _writers.depth:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_WRITE_LOCK])
        _writers.depth += 1
        try:
            yield
        finally:
            _writers.depth -= 1


@contextmanager
def joining() -> Iterator[None]:
    """Run a block as a part of the caller's `writing()`, or as one of its own without it.

    For what every action calls: an error in it fails the caller's block too, so no savepoint is
    set that nobody would go back to.
    """
    if _writers.depth:
        yield
        return
    with writing():
        yield
