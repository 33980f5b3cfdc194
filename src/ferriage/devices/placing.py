"""Where devices are placed: in one pool of each line of their plan, for as long as they exist.

Source: docs/decisions/0044-sibling-pools.md
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from ferriage.core.db import writing
from ferriage.devices.models import Device, DevicePool, Unplaced
from ferriage.fleet import actions as fleet
from ferriage.plans import queries as plans

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ferriage.fleet.models import Line


class _Place(NamedTuple):
    """A device on a line, both by primary key."""

    device: int
    line: int


def place(*, device: Device, lines: Iterable[Line], now: datetime) -> None:
    """Place a new device in one pool of each line. Joins the caller's transaction.

    Raises:
        NoRoom: One of the lines is full, and cannot be given another pool.
    """
    with writing():
        for line in lines:
            _place([device], line, now)


def pools_of(devices: Sequence[Device], now: datetime) -> dict[int, dict[Line, int]]:
    """Return each device's pool on each line of its plan; who has none there yet is placed.

    One that finds no room has no pool there, and is noted: whoever sells or adds asks for room
    before, but staff and the law move devices too. `devices.unplaced` tries again.

    Returns:
        Lines with the pool's primary key, by the device's primary key.
    """
    with writing():
        lines = _lines_of(devices)
        known = _known(devices)
        missing: dict[Line, list[Device]] = defaultdict(list)
        for device in devices:
            for line in lines[device.pk]:
                if (device.pk, line.pk) not in known:
                    missing[line].append(device)
        for line in sorted(missing, key=lambda line: line.pk):
            known |= _place_as_many(missing[line], line, now)
    return {
        key: {line: known[_Place(key, line.pk)] for line in found if (key, line.pk) in known}
        for key, found in lines.items()
    }


def leave(devices: Iterable[Device]) -> None:
    """Give back the places of removed devices. Joins the caller's transaction."""
    with writing():
        rows = DevicePool.objects.filter(device__in=[device.pk for device in devices])
        fleet.release(pools=Counter(rows.values_list("pool_id", flat=True)))
        rows.delete()
        Unplaced.objects.filter(device__in=[device.pk for device in devices]).delete()


def _lines_of(devices: Sequence[Device]) -> dict[int, list[Line]]:
    """Return the lines that each device may use, by its primary key."""
    of_plan = {
        plan.pk: plans.lines_of(plan) for plan in {device.subscription.plan for device in devices}
    }
    return {
        device.pk: plans.usable_by(
            of_plan[device.subscription.plan_id], device.subscription.account.account_class
        )
        for device in devices
    }


def _known(devices: Sequence[Device]) -> dict[_Place, int]:
    rows = DevicePool.objects.filter(device__in=[device.pk for device in devices])
    return {
        _Place(device, line): pool
        for device, line, pool in rows.values_list("device_id", "line_id", "pool_id")
    }


def _place_as_many(devices: Sequence[Device], line: Line, now: datetime) -> dict[_Place, int]:
    """Place the first ones, as far as there is room, and note the others."""
    try:
        placed = _place(devices, line, now)
    except fleet.NoRoom:
        placed = _place(devices[: fleet.places_left(line=line)], line, now)
    waiting = [device for device in devices if (device.pk, line.pk) not in placed]
    Unplaced.objects.filter(line=line, device__in=[key.device for key in placed]).delete()
    Unplaced.objects.bulk_create(
        [Unplaced(device=device, line=line, since=now) for device in waiting],
        batch_size=500,
        ignore_conflicts=True,
    )
    return placed


def _place(devices: Sequence[Device], line: Line, now: datetime) -> dict[_Place, int]:
    pools = fleet.place(line=line, count=len(devices), now=now)
    rows = [
        DevicePool(device=device, line=line, pool=pool)
        for device, pool in zip(devices, pools, strict=True)
    ]
    DevicePool.objects.bulk_create(rows, batch_size=500)
    return {_Place(row.device_id, line.pk): row.pool_id for row in rows}
