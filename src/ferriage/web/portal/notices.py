"""What a customer is told before something ends. There is no e-mail: their own pages say it.

Worked out from the same dates as everything else, so no notice can fail to be sent.

Source: docs/explanation/calendar.md
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from ferriage.fleet.models import Line
from ferriage.plans import queries as plans

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.plans.models import Subscription
    from ferriage.plans.queries import OfferView

STEPS: Final = (14, 7, 1)
"""Days before the end at which a notice appears, grows more pressing, and is the last."""

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something of a customer's that ends soon: a line they use, or their term.

    `step` is the last of `STEPS` that has come; `days` counts the begun ones. On the last
    day `hours` counts those that begun, and in the last hour `minutes`; else they are 0.
    """

    about: Literal["line", "term"]
    at: datetime
    days: int
    step: int
    hours: int = 0
    minutes: int = 0
    line: str = ""


def of_subscription(subscription: Subscription, *, place: str, now: datetime) -> tuple[Notice, ...]:
    """Return what a subscription's customer, in a place, is told now, soonest first."""
    end = plans.subscription_end(subscription)
    if end.is_over(now):
        return ()
    views = plans.offers_of(plan=subscription.plan, now=now, place=place)
    return coming(views, ends_at=end.at, now=now)


def coming(
    views: Iterable[OfferView], *, ends_at: datetime | None, now: datetime
) -> tuple[Notice, ...]:
    """Return what is told of a plan's lines and of a term that runs to an instant.

    A line that goes on as long as the term is no news, and neither is one that is closed already.

    Args:
        ends_at: The term's end; None is without end.
    """
    notices = [
        _notice("line", view.verdict.valid_until, now, line=view.line.name)
        for view in views
        if view.verdict.allowed
        and view.line.state == Line.State.IN_SERVICE
        and (ends_at is None or view.verdict.valid_until < ends_at)
    ]
    if ends_at is not None:
        notices.append(_notice("term", ends_at, now))
    return tuple(sorted(filter(None, notices), key=lambda notice: notice.at))


def _notice(
    about: Literal["line", "term"], at: datetime, now: datetime, *, line: str = ""
) -> Notice | None:
    left = at - now
    steps = [step for step in STEPS if timedelta(0) < left <= step * _DAY]
    if not steps:
        return None
    return Notice(
        about=about,
        at=at,
        days=_begun(left, _DAY),
        step=min(steps),
        hours=_begun(left, _HOUR) if left < _DAY else 0,
        minutes=_begun(left, _MINUTE) if left < _HOUR else 0,
        line=line,
    )


def _begun(left: timedelta, unit: timedelta) -> int:
    return -(-left // unit)
