"""When a provider is asked again: soon at first, then ever more seldom.

Kept on the row that is asked about, and moved on before the provider is called, so that a crash
or a provider that hangs costs one question and never a storm of them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

FIRST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(days=1)
WORTH_ASKING: Final = timedelta(days=30)
"""How long after its beginning money may still come for a payment."""


def next_ask(asked: int, now: datetime) -> datetime:
    """Return when to ask after having asked so many times: 1, 2, 4 … minutes, at most a day."""
    doubled: int = 2 ** min(asked, 12)
    return now + min(FIRST * doubled, LONGEST)


def next_ask_of_payment(asked: int, begun_at: datetime, now: datetime) -> datetime | None:
    """Return when to ask about a payment; never again a month after it was begun."""
    due = next_ask(asked, now)
    return due if due < begun_at + WORTH_ASKING else None
