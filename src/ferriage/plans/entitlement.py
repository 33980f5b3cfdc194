"""What a subscription allows now: one pure function, the only judge of who may connect.

The site builds the gateways' desired state with it, and tests use it as the oracle.

Source: docs/explanation/terms.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class Stretch(Protocol):
    """A posted period as far as time goes; `plans.models.Period` is one."""

    @property
    def kind(self) -> str:
        """Tell `cut` from kinds that give."""

    @property
    def starts_at(self) -> datetime:
        """Return the first instant."""

    @property
    def ends_at(self) -> datetime | None:
        """Return the exclusive end; None is without end."""


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
    None is without end (and with state `none`, nothing).
    """

    state: Literal["open", "hold", "none"]
    until: datetime | None
    reason: Literal["", "term", "quota", "register"]
    term_ends_at: datetime | None


def held_stretches(periods: Iterable[Stretch]) -> list[tuple[datetime, datetime | None]]:
    """Return what the periods give, less what is cut: disjoint, in order, half-open.

    Args:
        periods: In the order they were posted: a cut takes away what was given before it, and
            nothing of what is bought afterwards.
    """
    given: list[tuple[datetime, datetime | None]] = []
    for posted in periods:
        if posted.kind == "cut":
            given = _without(given, posted.starts_at, posted.ends_at)
        else:
            given = _joined([*given, (posted.starts_at, posted.ends_at)])
    return given


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
    stretches = held_stretches(periods)
    begun = [stretch for stretch in stretches if stretch[0] <= now]
    if not begun:
        return Entitlement("none", None, "", None)
    ends_at = begun[-1][1]
    if ends_at is not None and ends_at <= now:
        return Entitlement("hold", None, "term", ends_at)
    if not verdict.allowed or verdict.valid_until <= now:
        return Entitlement("hold", None, "register", ends_at)
    if quota_bytes is not None and used_bytes >= quota_bytes:
        return Entitlement("hold", None, "quota", ends_at)
    until = verdict.valid_until if ends_at is None else min(ends_at, verdict.valid_until)
    return Entitlement("open", until, "", ends_at)


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
