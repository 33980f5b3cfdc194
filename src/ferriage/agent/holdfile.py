"""The file that the agent writes and the hold page reads: who is held, why, and until when paid.

It holds inner addresses and ends of terms, no key and nothing of where a customer comes from.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ferriage.agent.plane import normal_address

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ferriage.agent.feed import Pool
    from ferriage.config import AgentConfig


class HeldDevice(msgspec.Struct, frozen=True, array_like=True):
    """One device, by either of its inner addresses."""

    hold_at: int
    reason: str
    language: str


class HeldLine(msgspec.Struct, frozen=True):
    """A pool's line, as its permit says, and its devices by inner address."""

    open_until: int
    reason: dict[str, str]
    shop_url: str
    devices: dict[str, HeldDevice]


class HoldFile(msgspec.Struct, frozen=True):
    """Everything the hold page knows. `site_offset` is site time less the boot clock.

    Lines are named by their interface: a device has the same address on all of them, and what
    holds it on one need not hold it on another.
    """

    listen: tuple[str, ...]
    site_offset: int
    lines: dict[str, HeldLine]


def path(config: AgentConfig) -> Path:
    """Return where the file lies."""
    return Path(config.run_dir) / "hold.json"


def read(config: AgentConfig) -> HoldFile:
    """Read the file.

    Raises:
        OSError: It is not there yet.
        msgspec.DecodeError: It is of another release.
    """
    return msgspec.json.decode(path(config).read_bytes(), type=HoldFile)


def write(config: AgentConfig, pools: Iterable[Pool], *, site_offset: int) -> None:
    """Write the file whole, and only when it changed."""
    pools = tuple(pools)
    content = HoldFile(
        listen=inner_addresses(pools),
        site_offset=site_offset,
        lines={
            f"{config.interface_prefix}{pool.assignment.interface}": _line(pool) for pool in pools
        },
    )
    write_changed(path(config), msgspec.json.encode(content))


def inner_addresses(pools: Iterable[Pool]) -> tuple[str, ...]:
    """Return the gateway's own inner addresses, each once: pools share them."""
    addresses = (a for pool in pools for a in (pool.assignment.gateway4, pool.assignment.gateway6))
    return tuple(dict.fromkeys(str(ipaddress.ip_interface(address).ip) for address in addresses))


def write_changed(target: Path, data: bytes) -> bool:
    """Replace a file in one step; False when it says so already."""
    if target.exists() and target.read_bytes() == data:
        return False
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = target.with_suffix(".new")
    temporary.write_bytes(data)
    temporary.replace(target)
    return True


def _line(pool: Pool) -> HeldLine:
    devices = {
        normal_address(address): HeldDevice(device.hold_at, device.hold_reason, device.language)
        for device in pool.usable()
        for address in (device.ip4, device.ip6)
    }
    permit = pool.permit
    if permit is None:
        return HeldLine(0, {}, "", devices)
    return HeldLine(pool.open_until(), permit.reason, permit.shop.url, devices)
