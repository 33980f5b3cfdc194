"""Which elements nft's sets must hold for the pools of a gateway. Pure.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ferriage.agent import layout, plane

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ferriage import wire
    from ferriage.agent.feed import Pool
    from ferriage.agent.plane import Plane


class Desired(NamedTuple):
    """What is asked for: pools by code, their interfaces, the ways out, and whose quota is used up.

    `cut` holds slots.
    """

    pools: Mapping[str, Pool]
    interface: Callable[[Pool], str]
    uplinks: frozenset[str]
    cut: frozenset[int]

    def whole(self, now: float) -> Plane:
        """Return all elements."""
        wanted = self.frame(now)
        for pool in self.pools.values():
            for device in pool.usable():
                plane.merge(wanted, self.of(device, pool, now))
        return wanted

    def frame(self, now: float) -> Plane:
        """Return the elements that belong to no device."""
        frame: Plane = {name: {} for name in plane.FRAME}
        for pool in self.pools.values():
            name = self.interface(pool)
            frame["inner"][name] = None
            frame["way"][name] = layout.WAY_MARK + pool.assignment.interface
            frame["wgport"][pool.assignment.listen_port] = None
            if pool.open_until() > now:
                frame["lines"][name] = float(pool.open_until())
            if pool.permit is not None:
                plane.merge(frame, plane.of_shop(pool.permit.shop))
        frame["uplink"] = dict.fromkeys(self.uplinks - frame["inner"].keys())
        return frame

    def of(self, device: wire.Device, pool: Pool, now: float) -> Plane:
        """Return the elements of a device on a line; without quota left it is not open."""
        elements = plane.of_device(device, now, self.interface(pool))
        if device.slot in self.cut:
            for name in plane.OPEN:
                elements.pop(name, None)
        return elements

    def elsewhere(self, name: str, here: Pool, now: float) -> Plane:
        """Return what a device holds on other lines: addresses and limits are the same there."""
        found: Plane = {}
        for pool in self.pools.values():
            if pool is not here and name in pool.devices and name not in pool.refused:
                plane.merge(found, self.of(pool.devices[name], pool, now))
        return found
