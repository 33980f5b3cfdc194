"""What a pool really runs, judged from what was read back, never from what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage import wire
from ferriage.agent import plane

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from ferriage.agent.feed import Pool
    from ferriage.agent.plane import Plane

MOST_TOLD: Final = wire.MOST_TOLD
MOST_SINCE: Final = 500
"""Of devices that a restored site is told about, in each report until nothing waits any more."""

_MOST_CHARACTERS: Final = 300
_DIGEST_MODULUS: Final = 1 << 256
_EDGE_SECONDS: Final = 2
"""So near to its end a device counts as applied whether the kernel has just held it or not."""


class Applied:
    """Which devices of a pool the data plane was seen to hold whole, and their digest.

    Judged when something of them changed or was read, so a report costs no look at all of them.
    """

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._total = 0

    @property
    def digest(self) -> str:
        """The sum of the hashes of their records, as the site computes it."""
        return f"{self._total % _DIGEST_MODULUS:064x}"

    def judge(
        self,
        pool: Pool,
        names: Iterable[str],
        *,
        interface: str,
        peers: Mapping[str, str],
        live: Plane,
        now: float,
        cut: Container[int] = (),
    ) -> None:
        """Judge some devices anew; one that is not in the pool any more is held by nobody.

        Args:
            peers: Allowed addresses `in_one` by public key, as read from the pool's interface.
            live: The elements of nft's sets, as read.
            cut: Slots that are held because their quota is used up.
        """
        off = pool.off() if pool.stands else frozenset()
        for name in names:
            self._total -= self._held.pop(name, 0)
            device = pool.devices.get(name)
            if device is None or name in pool.refused or name in off:
                continue
            addressed = peers.get(device.public_key) == in_one(allowed_ips(device))
            until = 0 if device.slot in cut else device.hold_at
            if addressed and _holds(live, device, until, interface=interface, now=now):
                self._held[name] = pool.hashes[name]
                self._total += pool.hashes[name]

    def known(self) -> frozenset[str]:
        """Return the devices that are held."""
        return frozenset(self._held)


def of_pool(
    pool: Pool, *, digest: str, peers: int, line_open: bool, refused: Mapping[str, str]
) -> wire.PoolStatus:
    """Return a pool's status.

    Args:
        digest: Of the devices that the data plane holds whole.
        peers: How many the interface has.
    """
    return wire.PoolStatus(
        pool=pool.assignment.pool,
        epoch=pool.epoch,
        rev=pool.rev,
        digest=digest,
        permit_serial=pool.permit.serial if pool.permit else 0,
        line_open=line_open,
        peers=peers,
        permit=pool.signed,
        deferred=pool.kept_back(),
        head=pool.head,
        waiting=pool.kept_off(),
        since=since(pool),
        refused=tuple(
            wire.Refused(device=name, reason=_short(refused[name]))
            for name in sorted(refused)[:MOST_TOLD]
        ),
    )


def since(pool: Pool) -> tuple[wire.Since, ...]:
    """Return what a restored site does not know of devices, as far as there is room."""
    rows = [_stood(name, stand.until) for name, stand in pool.stands.items()]
    rows += [
        wire.Since(device=name, what="unnamed", until=pool.devices[name].hold_at)
        for name in pool.deferred
    ]
    return tuple(sorted(rows, key=lambda row: row.device)[:MOST_SINCE])


def _stood(name: str, until: int) -> wire.Since:
    return wire.Since(device=name, what="renewed" if until else "off", until=until)


def warnings(
    known: Mapping[str, str],
    refused: Mapping[str, Mapping[str, str]],
    pools: Iterable[Pool] = (),
) -> tuple[str, ...]:
    """Return what staff should see; what a report has no room for is counted instead."""
    pools = tuple(pools)
    found = [
        f"removals {pool.assignment.pool}: a snapshot did not name {len(pool.deferred)} devices;"
        " they stay until staff allow that they go"
        for pool in pools
        if pool.deferred
    ]
    found += [
        f"restored {pool.assignment.pool}: {len(pool.off())} devices were removed or held before"
        " the shop's records were restored; they are off until staff let them on"
        for pool in pools
        if pool.off()
    ]
    found += [f"{part}: {text}" for part, text in sorted(known.items())]
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


def in_one(allowed_ips: Iterable[str]) -> str:
    """Return a peer's addresses as one text, the same in whatever order they come.

    Kept for every peer, and a third of the size of a set.
    """
    return " ".join(sorted(allowed_ips))


def _holds(live: Plane, device: wire.Device, until: int, *, interface: str, now: float) -> bool:
    """Say whether the kernel holds all elements of a device as its record asks.

    Args:
        until: When it must not pass any more, in site time.
    """
    wanted = plane.of_device(device, now, interface)
    for name in plane.OPEN:
        wanted.pop(name, None)
    static = all(
        key in live[name] and live[name][key] == value
        for name, elements in wanted.items()
        for key, value in elements.items()
    )
    return static and _open_rightly(live, device, until, interface=interface, now=now)


def _open_rightly(
    live: Plane, device: wire.Device, until: int, *, interface: str, now: float
) -> bool:
    if abs(until - now) <= _EDGE_SECONDS:
        return True
    key = plane.open_key(interface, device.slot)
    rightly = plane.open_set(device)
    return all(
        _runs(live[name].get(key), now) == (name == rightly and until > now) for name in plane.OPEN
    )


def _runs(ends: plane.Value, now: float) -> bool:
    return isinstance(ends, float) and ends > now
