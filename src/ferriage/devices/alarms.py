"""Tells staff, once, what cannot be about the counting of bytes. Nobody is cut by it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ferriage.core import audit
from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.fleet.actions import raise_alarms
from ferriage.fleet.lookout import Fact
from ferriage.fleet.models import Alarm

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from ferriage.fleet.models import Gateway

_CODE: Final = re.compile(r"[a-z]+_[0-9A-Za-z]{1,32}")
NAMED: Final = 10
"""Most rows that an alarm names."""


def tell(
    *, subject: str, name: str, now: datetime, actor: Actor, found: dict[str, dict[str, Any]]
) -> None:
    """Open an alarm that bytes do not add up, or keep the one that is open with what is so now.

    Args:
        subject: Code of a gateway, or `ledger`.
        name: What people call it.
        found: By kind, as `fleet.alarmwords` puts it in words; devices by code, no accounts.
    """
    with writing():
        shown = Alarm.objects.filter(kind=Alarm.Kind.METERING, subject=subject, ended_at=None)
        if not shown.exists():
            # A day later the alarm may have ended; that it ever was stays on record here.
            audit.record(
                now=now, actor=actor, action="meter.differed", subject=subject, kinds=sorted(found)
            )
        details: dict[str, Any] = {"name": name, **found}
        fact = Fact(kind=Alarm.Kind.METERING, subject=subject, details=details)
        raise_alarms([fact], now=now)


def tell_of_report(
    *,
    gateway: Gateway,
    foreign: Collection[str],
    devices: Mapping[str, dict[str, int]],
    now: datetime,
) -> None:
    """Tell what is wrong with a report, if anything is.

    Args:
        foreign: Devices that the gateway was never given, by whatever name it used.
        devices: Bytes by device, for each kind of fault.
    """
    found = {kind: most(rows) for kind, rows in devices.items() if rows}
    if foreign:
        # Whatever a gateway made up is counted; only what has the form of a code is repeated.
        named = sorted(filter(_CODE.fullmatch, foreign))[:NAMED]
        found["foreign"] = {"count": len(foreign), "devices": named}
    if found:
        actor = Actor("gateway", gateway.code)
        tell(subject=gateway.code, name=gateway.name, now=now, actor=actor, found=found)


def most(rows: dict[str, int]) -> dict[str, Any]:
    """Return how many rows there are, and those with the most bytes by name."""
    largest = sorted(rows.items(), key=lambda row: (-row[1], row[0]))[:NAMED]
    return {"count": len(rows), "bytes": dict(largest)}
