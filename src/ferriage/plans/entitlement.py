"""What a subscription allows now: one pure function, the only judge of who may connect.

The site builds the gateways' desired state with it, and tests use it as the oracle.

Source: docs/explanation/terms.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime


_TAKE: Final = frozenset({"cut", "freeze"})
"""Kinds that change what was posted before them."""

_NO_TIME: Final = frozenset({"slot", "pack", "revoke"})
"""Kinds that give something for a stretch of a subscription's time, or take it, and no time."""


class Stretch(Protocol):
    """A posted period as far as time goes; `plans.models.Period` is one."""

    @property
    def kind(self) -> str:
        """Tell `cut` and `freeze` from kinds that give time, and from `_NO_TIME`."""

    @property
    def starts_at(self) -> datetime:
        """Return the first instant."""

    @property
    def ends_at(self) -> datetime | None:
        """Return the exclusive end; None is without end."""

    @property
    def source_code(self) -> str:
        """Return what it was posted for; a `revoke` takes from what was posted for the same."""


class Ruling(Protocol):
    """The register's verdict as far as it matters here; `approvals.facts.Verdict` is one."""

    @property
    def allowed(self) -> bool:
        """Tell whether the line may serve this customer."""

    @property
    def valid_until(self) -> datetime:
        """Return the first instant at which that could change."""


@dataclass(frozen=True, slots=True)
class Entitlement:
    """`open` until an instant, `hold` for a reason, or `none` when nothing was ever given.

    `term_ends_at` is where the paid stretch ends that now lies in, or the latest one before now;
    None is without end (and with state `none`, nothing). In a freeze it is where the stretch
    would end if the freeze ended now.
    """

    state: Literal["open", "hold", "none"]
    until: datetime | None
    reason: Literal["", "term", "quota", "register"]
    term_ends_at: datetime | None


def held_stretches(periods: Iterable[Stretch]) -> list[tuple[datetime, datetime | None]]:
    """Return what the periods give, less what is cut: disjoint, in order, half-open.

    A freeze that is over moves what was given before it and lies behind its start to its end. One
    that has no end yet moves nothing: time stands still at its start, see `frozen_from`.

    Args:
        periods: In the order they were posted: a cut takes away what was given before it, and
            nothing of what is bought afterwards; a freeze moves what was given before it.
    """
    given: list[tuple[datetime, datetime | None]] = []
    for posted in periods:
        if posted.kind in _TAKE:
            given = _changed(given, posted)
        elif posted.kind not in _NO_TIME:
            given = _joined([*given, (posted.starts_at, posted.ends_at)])
    return given


def where_now(periods: Iterable[Stretch], one: Stretch) -> list[tuple[datetime, datetime | None]]:
    """Return where one posted period lies after all that was posted behind it: empty if cut away.

    Args:
        periods: In the order they were posted; `one` is among them.
    """
    found: list[tuple[datetime, datetime | None]] = []
    for posted in periods:
        if posted is one:
            found = [(posted.starts_at, posted.ends_at)]
        elif posted.kind in _TAKE:
            found = _changed(found, posted)
        elif posted.kind == "revoke" and posted.source_code == one.source_code:
            found = _without(found, posted.starts_at, posted.ends_at)
    return found


def device_limit(periods: Iterable[Stretch], *, of_plan: int, now: datetime) -> int:
    """Return how many devices may be registered: the plan's, and a place for each slot in force.

    Args:
        periods: In the order they were posted.
        of_plan: The plan's own number.
    """
    periods = list(periods)
    return of_plan + _slots_at(_slots(periods), _standing_still(periods, now))


def place_until(
    periods: Iterable[Stretch], *, of_plan: int, rank: int, now: datetime
) -> datetime | None:
    """Return the first instant from now on at which a device has no place; None is never.

    Args:
        periods: In the order they were posted.
        of_plan: The plan's own number of devices.
        rank: How many devices of the subscription were registered before it.
    """
    if rank < of_plan:
        return None
    periods = list(periods)
    slots, at = _slots(periods), _standing_still(periods, now)
    ends = sorted(end for _start, end in slots if end is not None and end > at)
    without = (t for t in (at, *ends) if of_plan + _slots_at(slots, t) <= rank)
    first = next(without, None)
    return None if first is None else first + (now - at)


def frozen_from(periods: Iterable[Stretch]) -> datetime | None:
    """Return where the freeze began that has no end yet, or nothing.

    A freeze is posted twice: without an end when it begins, and with the same start when it ends.
    """
    begun: datetime | None = None
    for posted in periods:
        if posted.kind == "freeze":
            begun = posted.starts_at if posted.ends_at is None else None
    return begun


def entitlement(
    *,
    periods: Iterable[Stretch],
    quota_bytes: int | None,
    verdict: Ruling,
    used_bytes: int,
    now: datetime,
) -> Entitlement:
    """Return what a subscription allows at an instant.

    Args:
        periods: All of them, in the order they were posted.
        quota_bytes: None on plans without a quota.
        verdict: The register's word on the line and this customer's place.
        used_bytes: Counts only against a quota.
        now: Aware.
    """
    periods = list(periods)
    stretches = held_stretches(periods)
    frozen = frozen_from(periods)
    # While days are frozen it is as late as it was when they began to be.
    still = frozen is not None and frozen <= now
    at = frozen if frozen is not None and still else now
    begun = [stretch for stretch in stretches if stretch[0] <= at]
    if not begun:
        return Entitlement("none", None, "", None)
    ends_at = begun[-1][1]
    if ends_at is not None and ends_at <= at:
        return Entitlement("hold", None, "term", ends_at)
    if still:
        ends_at = None if ends_at is None else ends_at + (now - at)
        return Entitlement("hold", None, "register", ends_at)
    if not verdict.allowed or verdict.valid_until <= now:
        return Entitlement("hold", None, "register", ends_at)
    if quota_bytes is not None and used_bytes >= quota_bytes:
        return Entitlement("hold", None, "quota", ends_at)
    until = verdict.valid_until if ends_at is None else min(ends_at, verdict.valid_until)
    return Entitlement("open", until, "", ends_at)


def _slots(periods: Sequence[Stretch]) -> list[tuple[datetime, datetime | None]]:
    """Return where slots lie, one stretch for each; those that were cut away are not there."""
    added = [posted for posted in periods if posted.kind == "slot"]
    return [stretch for posted in added for stretch in where_now(periods, posted)]


def in_force[Posted: Stretch](
    periods: Iterable[Posted], *, kind: str, now: datetime
) -> list[Posted]:
    """Return the posted periods of a kind that cover an instant after all that came behind them.

    Args:
        periods: In the order they were posted.
    """
    periods = list(periods)
    at = _standing_still(periods, now)
    return [
        posted
        for posted in periods
        if posted.kind == kind and _slots_at(where_now(periods, posted), at)
    ]


def _slots_at(slots: Sequence[tuple[datetime, datetime | None]], at: datetime) -> int:
    return sum(start <= at and (end is None or at < end) for start, end in slots)


def _standing_still(periods: Sequence[Stretch], now: datetime) -> datetime:
    frozen = frozen_from(periods)
    return now if frozen is None else min(now, frozen)


def _changed(
    given: list[tuple[datetime, datetime | None]], by: Stretch
) -> list[tuple[datetime, datetime | None]]:
    change = _without if by.kind == "cut" else _moved
    return change(given, by.starts_at, by.ends_at)


def _joined(
    stretches: list[tuple[datetime, datetime | None]],
) -> list[tuple[datetime, datetime | None]]:
    """Join stretches that overlap or touch."""
    joined: list[tuple[datetime, datetime | None]] = []
    for start, end in sorted(stretches, key=lambda stretch: stretch[0]):
        if not joined or (joined[-1][1] is not None and joined[-1][1] < start):
            joined.append((start, end))
        else:
            joined[-1] = (joined[-1][0], _later(joined[-1][1], end))
    return joined


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return None if one is None or other is None else max(one, other)


def _without(
    stretches: list[tuple[datetime, datetime | None]], start: datetime, end: datetime | None
) -> list[tuple[datetime, datetime | None]]:
    left: list[tuple[datetime, datetime | None]] = []
    for begins, ends in stretches:
        before = start if ends is None else min(ends, start)
        if begins < before:
            left.append((begins, before))
        if end is not None and (ends is None or ends > end):
            left.append((max(begins, end), ends))
    return left


def _moved(
    stretches: list[tuple[datetime, datetime | None]], start: datetime, end: datetime | None
) -> list[tuple[datetime, datetime | None]]:
    """Move what lies behind a freeze's start by its length; a stretch across it is parted."""
    if end is None:
        return stretches
    by = end - start
    moved: list[tuple[datetime, datetime | None]] = []
    for begins, ends in stretches:
        if begins < start:
            moved.append((begins, start if ends is None else min(ends, start)))
        if ends is None or ends > start:
            moved.append((max(begins, start) + by, None if ends is None else ends + by))
    return moved
