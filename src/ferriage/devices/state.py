"""What gateways must know of a subscription's devices: entitlement turned into wire records.

Pure but for what it is given; `actions` reads the rows and writes the feed.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ferriage import wire
from ferriage.core import clock
from ferriage.plans import quota as quotas
from ferriage.plans.entitlement import entitlement, frozen_from
from ferriage.plans.lapses import LONGEST_WAIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from ferriage.approvals.facts import Verdict
    from ferriage.devices.models import Device
    from ferriage.plans.models import Period, Plan, Subscription

BURST_SECONDS: Final = 0.1
LEAST_BURST_BYTES: Final = 128 * 1024
_BITS: Final = 8


@dataclass(frozen=True, slots=True)
class Right:
    """When a device's right on one line ends or ended, why, and when its peer goes.

    None in place of a right means that it never had one, or that its peer's time is over.
    """

    hold_at: datetime
    reason: wire.HoldReason
    remove_at: datetime


def ruling(verdicts: Iterable[tuple[str, Verdict]]) -> str:
    """Return 64 hex digits that change when the register's answer on any of the lines does."""
    words = (
        f"{line} {verdict.valid_until.isoformat() if verdict.allowed else 'denied'}"
        for line, verdict in verdicts
    )
    return hashlib.sha256("\n".join(sorted(words)).encode()).hexdigest()


def right(
    *,
    periods: Sequence[Period],
    verdict: Verdict,
    place_until: datetime | None = None,
    hold_length: timedelta,
    told_hold_at: datetime | None,
    now: datetime,
) -> Right | None:
    """Return a device's right on one line.

    Args:
        place_until: From when on the subscription has no place for this device; None is never.
        told_hold_at: What the gateways hold already; a hold that began stays where it began.
    """
    now_held = told_hold_at if told_hold_at is not None and told_hold_at <= now else now
    granted = entitlement(periods=periods, quota_bytes=None, verdict=verdict, used_bytes=0, now=now)
    if granted.state == "none":
        return None
    if granted.state == "open":
        assert granted.until is not None  # noqa: S101 -- open always has an end
        hold_at = granted.until
        reason: wire.HoldReason = "term" if hold_at == granted.term_ends_at else "staff"
    elif granted.reason == "term":
        assert granted.term_ends_at is not None  # noqa: S101 -- a term that is over has an end
        hold_at, reason = granted.term_ends_at, "term"
    else:
        hold_at, reason = now_held, "quota" if granted.reason == "quota" else "staff"
    if place_until is not None and place_until < hold_at:
        # Held as at the end of its time: what there is to do about it is in the shop.
        hold_at, reason = (place_until if place_until > now else min(now_held, hold_at)), "term"
    frozen = frozen_from(periods)
    if granted.reason == "register" and frozen is not None:
        # Who waits must still reach the shop, and go on within a second.
        hold_length += LONGEST_WAIT
    found = Right(hold_at, reason, hold_at + hold_length)
    return found if found.remove_at > now else None


def stopped(
    held: Right, *, told_hold_at: datetime | None, hold_length: timedelta, now: datetime
) -> Right | None:
    """Return a right that staff or a dispute holds now, whatever the term still allows."""
    if held.hold_at <= now:
        return held
    hold_at = told_hold_at if told_hold_at is not None and told_hold_at <= now else now
    found = Right(hold_at, "staff", hold_at + hold_length)
    return found if found.remove_at > now else None


def quota_of(
    subscription: Subscription, now: datetime
) -> tuple[wire.Quota | None, datetime | None]:
    """Return what gateways are told of a quota, and when that is to be told anew.

    How much of it was used is not in it: no record changes by that, see `metering`.
    """
    allowed = quotas.allowed(subscription, now)
    if allowed is None:
        return None, None
    _begins_at, ends_at = quotas.stretch_of(subscription, now)
    return wire.Quota(bytes=allowed, resets_at=clock.unix(ends_at)), ends_at


def record(
    device: Device, plan: Plan, held: Right, language: str, quota: wire.Quota | None = None
) -> wire.Device:
    """Return the device as gateways hold it."""
    return wire.Device(
        id=device.code,
        generation=device.generation,
        slot=device.slot,
        public_key=device.public_key,
        ip4=str(device.ip4),
        ip6=str(device.ip6),
        rate_down_bps=min(plan.rate_down_bps, wire.FASTEST_BPS),
        rate_up_bps=min(plan.rate_up_bps, wire.FASTEST_BPS),
        burst_bytes=burst_bytes(min(max(plan.rate_down_bps, plan.rate_up_bps), wire.FASTEST_BPS)),
        hold_at=clock.unix(held.hold_at),
        hold_reason=held.reason,
        remove_at=clock.unix(held.remove_at),
        language=language,
        routes=tuple(plan.routes),
        quota=quota,
    )


def burst_bytes(rate_bps: int) -> int:
    """Return how much may pass at once: 100 ms of the rate, and at least 128 KiB."""
    return max(LEAST_BURST_BYTES, int(rate_bps * BURST_SECONDS) // _BITS)
