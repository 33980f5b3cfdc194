"""What a pool really runs, judged from what was read back, never from what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage import wire
from ferriage.agent import plane

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ferriage.agent.feed import Pool
    from ferriage.agent.plane import Plane

MOST_TOLD: Final = 100
"""Of refused devices per pool, and of warnings: the site takes no report above 2 MiB."""

_MOST_CHARACTERS: Final = 300
_DIGEST_MODULUS: Final = 1 << 256
_EDGE_SECONDS: Final = 2
"""So near to its end a device counts as applied whether the kernel has just held it or not."""


def of_pool(
    pool: Pool,
    *,
    interface: str,
    peers: Mapping[str, frozenset[str]],
    live: Plane,
    line_open: bool,
    refused: Mapping[str, str],
    now: float,
) -> wire.PoolStatus:
    """Return a pool's status; its digest counts the devices that the data plane holds whole.

    Args:
        peers: Allowed addresses by public key, as read from the pool's interface.
        live: The elements of nft's sets, as read.
    """
    total = sum(
        pool.hashes[device.id]
        for device in pool.usable()
        if peers.get(device.public_key) == frozenset(allowed_ips(device))
        and _holds(live, device, interface=interface, now=now)
    )
    return wire.PoolStatus(
        pool=pool.assignment.pool,
        epoch=pool.epoch,
        rev=pool.rev,
        digest=f"{total % _DIGEST_MODULUS:064x}",
        permit_serial=pool.permit.serial if pool.permit else 0,
        line_open=line_open,
        peers=len(peers),
        permit=pool.signed,
        refused=tuple(
            wire.Refused(device=name, reason=_short(refused[name]))
            for name in sorted(refused)[:MOST_TOLD]
        ),
    )


def warnings(known: Mapping[str, str], refused: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Return what staff should see; what a report has no room for is counted instead."""
    found = [f"{part}: {text}" for part, text in sorted(known.items())]
    found += [
        f"refused {pool}: {len(devices) - MOST_TOLD} more than are listed"
        for pool, devices in sorted(refused.items())
        if len(devices) > MOST_TOLD
    ]
    if len(found) > MOST_TOLD:
        found[MOST_TOLD:] = [f"warnings: {len(found) - MOST_TOLD} more"]
    return tuple(_short(text) for text in found)


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"


def allowed_ips(device: wire.Device) -> tuple[str, ...]:
    """Return a device's addresses as WireGuard has them."""
    return (f"{device.ip4}/32", f"{plane.normal_address(device.ip6)}/128")


def _holds(live: Plane, device: wire.Device, *, interface: str, now: float) -> bool:
    """Say whether the kernel holds all elements of a device as its record asks."""
    wanted = plane.of_device(device, now, interface)
    wanted.pop("open", None)
    static = all(
        key in live[name] and live[name][key] == value
        for name, elements in wanted.items()
        for key, value in elements.items()
    )
    return static and _open_rightly(live, device, interface=interface, now=now)


def _open_rightly(live: Plane, device: wire.Device, *, interface: str, now: float) -> bool:
    if abs(device.hold_at - now) <= _EDGE_SECONDS:
        return True
    ends = live["open"].get(plane.open_key(interface, device.slot))
    return (isinstance(ends, float) and ends > now) == (device.hold_at > now)
