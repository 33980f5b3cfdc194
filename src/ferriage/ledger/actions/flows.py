"""The sums of each month, kept while posting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connection

from ferriage.ledger.months import month_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.ledger.models import Transfer

_CHUNK: Final = 100
_ADD: Final = """
INSERT INTO ledger_monthflow
    (month, debit_id, credit_id, amount_minor, entries, first_id, last_id)
VALUES {rows}
ON CONFLICT (month, debit_id, credit_id) DO UPDATE SET
    amount_minor = ledger_monthflow.amount_minor + excluded.amount_minor,
    entries = ledger_monthflow.entries + excluded.entries,
    last_id = excluded.last_id
"""
"""Written by hand: Django's `update_conflicts` sets what is there and cannot add to it."""


def add_up(rows: Sequence[Sequence[Transfer]], now: datetime) -> None:
    """Add new transfers to the sums of their month with one statement per hundred pairs."""
    pairs: dict[tuple[int, int], list[Transfer]] = {}
    for row in (row for some in rows for row in some):
        pairs.setdefault((row.debit_id, row.credit_id), []).append(row)
    month = connection.ops.adapt_datefield_value(month_of(now))
    values = [
        (month, debit, credit, sum(row.amount_minor for row in found), len(found), *_ends(found))
        for (debit, credit), found in pairs.items()
    ]
    with connection.cursor() as cursor:
        for start in range(0, len(values), _CHUNK):
            chunk = values[start : start + _CHUNK]
            marks = ", ".join(["(%s, %s, %s, %s, %s, %s, %s)"] * len(chunk))
            cursor.execute(_ADD.format(rows=marks), [cell for row in chunk for cell in row])


def _ends(found: Sequence[Transfer]) -> tuple[int, int]:
    numbers = [row.pk for row in found]
    return min(numbers), max(numbers)
