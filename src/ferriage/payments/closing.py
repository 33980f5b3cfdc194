"""Closing a month of the books, with what every room has to do in it first.

Source: docs/explanation/books.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.core.db import writing
from ferriage.ledger.actions import closing
from ferriage.ledger.months import ends_at
from ferriage.orders.actions import recognise
from ferriage.payments.queries import check

if TYPE_CHECKING:
    from datetime import date, datetime

    from ferriage.core.actors import Actor
    from ferriage.ledger.models import Closing


def close_month(*, month: date, now: datetime, actor: Actor) -> Closing:
    """Earn what was used in a month, settle its shares, assert the balances, and close it.

    One transaction: a month is closed with all of this or stays open without any.

    Args:
        month: The first day of the first month that is open.

    Raises:
        MonthNotClosable: It is not over, closed already, or not the next one.
        BooksWrong: Something does not agree; the message names the first of it.
    """
    with writing():
        closing.refuse_unless_next(month, now)
        while recognise(now=ends_at(month)):
            pass
        return closing.close(month=month, check=check, now=now, actor=actor)
