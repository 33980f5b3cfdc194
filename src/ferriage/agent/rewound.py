"""What a gateway knows better than the snapshot of another history of the database. Pure.

A backup was restored: it has forgotten who paid, who was removed, who was held. Who paid since
stays on to the end that we know; who was removed or held since stays off until staff have looked.

Source: docs/decisions/0051-restored-backup.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from ferriage import wire

OFF: Final = 0
KEPT_SECONDS: Final = 35 * 86400
"""So long deletions and reported finals are remembered, as the site keeps its tombstones."""

WAITS: Final = "It was removed or held before the shop's records were restored; staff decide."


class Stand(NamedTuple):
    """Until when a device passes, whatever a record up to this generation says; 0 is not at all."""

    until: int
    generation: int


def stands(
    held: Mapping[str, wire.Device],
    former: Mapping[str, Stand],
    buried: Container[str],
    puts: Mapping[str, wire.Device],
    now: float,
) -> dict[str, Stand]:
    """Return what stands against the records of a snapshot of another history.

    Args:
        held: Devices as they ran before it.
        former: What stood already, of a restore before this one.
        buried: Names of devices that were deleted.
        now: Site time.
    """
    found = {name: stand for name, stand in former.items() if name in held and name not in puts}
    for name, put in puts.items():
        until = _until(name, put, held.get(name), former.get(name), buried, now)
        if until is not None:
            found[name] = Stand(until, put.generation)
    return found


def _until(
    name: str,
    put: wire.Device,
    held: wire.Device | None,
    former: Stand | None,
    buried: Container[str],
    now: float,
) -> int | None:
    if name in buried or (former is not None and former.until == OFF):
        return OFF
    if held is None:
        return None
    if held.hold_reason == "staff" and held.hold_at <= now < put.hold_at:
        return OFF
    return held.hold_at if held.hold_at > max(put.hold_at, now) else None


def running(device: wire.Device, stand: Stand | None) -> wire.Device:
    """Return a record as it is applied: what the feed says, or what stands against it."""
    if stand is None:
        return device
    if stand.until == OFF:
        return msgspec.structs.replace(device, hold_at=OFF, hold_reason="staff")
    held_since = device.hold_reason == "staff" and device.generation > stand.generation
    if held_since or device.hold_at >= stand.until:
        return device
    until = stand.until
    return msgspec.structs.replace(device, hold_at=until, remove_at=max(device.remove_at, until))
