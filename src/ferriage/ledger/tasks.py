from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.ledger import actions

if TYPE_CHECKING:
    from datetime import datetime


def run(now: datetime) -> int:
    """Book the bills that come each month; returns how many."""
    return actions.book_bills(now=now)
