"""Deletes the connections of inner addresses from the kernel's table, straight over netlink.

conntrack(8) reads the whole table anew for each address (measured: 60 ms at 10,000 connections).
Here it is read once for all addresses, and each match is deleted by its own tuple.

Source: include/uapi/linux/netfilter/nfnetlink_conntrack.h
"""

from __future__ import annotations

import socket
import struct
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from ferriage.agent.errors import DataPlaneError
from ferriage.agent.netlink import DUMP, REQUEST, Malformed, attributes, ended, message, messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ferriage import wire
    from ferriage.agent.feed import Pool

_NETFILTER: Final = 12
_GET, _DELETE = 0x0101, 0x0102
_TUPLE: Final = 1
_FAMILY: Final = struct.Struct("=BBH")
_HEAD_BYTES: Final = 4
_SOURCE: Final = 12
"""Where the source address stands in a tuple: after the heads of tuple, addresses and source."""

_BLOCK: Final = 1 << 18
_TIMEOUT_SECONDS: Final = 10


def forget(addresses: Iterable[str]) -> int:
    """Delete all connections that these addresses began; return how many there were.

    Raises:
        DataPlaneError: The table cannot be read.
    """
    wanted: dict[int, set[bytes]] = defaultdict(set)
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        wanted[family].add(socket.inet_pton(family, address))
    try:
        return sum(_forget(family, sources) for family, sources in wanted.items())
    except (OSError, Malformed) as error:
        raise DataPlaneError(f"Connections cannot be deleted: {error}.") from error


def _forget(family: int, sources: set[bytes]) -> int:
    size = len(next(iter(sources)))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as netlink:
        netlink.settimeout(_TIMEOUT_SECONDS)
        netlink.bind((0, 0))
        netlink.send(_message(_GET, REQUEST | DUMP, family))
        found = [t for t in _tuples(netlink) if t[_SOURCE : _SOURCE + size] in sources]
        for original in found:  # one that ended meanwhile is answered ENOENT, which nobody reads
            netlink.send(_message(_DELETE, REQUEST, family, original))
    return len(found)


def _message(kind: int, flags: int, family: int, payload: bytes = b"") -> bytes:
    return message(kind, flags, 1, _FAMILY.pack(family, 0, 0) + payload)


def _tuples(netlink: socket.socket) -> Iterator[bytes]:
    """Yield the original tuple of each connection, whole with its head."""
    while True:
        for kind, _, _, body in messages(netlink.recv(_BLOCK)):
            if ended(kind, body):
                return
            for name, begin, end in attributes(body, _FAMILY.size, len(body)):
                if name == _TUPLE:
                    yield body[begin - _HEAD_BYTES : end]
                    break


def outlived(
    pool: Pool, before: Mapping[str, wire.Device], opened: Iterable[Pool], now: float
) -> tuple[list[str], list[str]]:
    """Return whose connections end with a batch, and who may pass again, each by inner address.

    Args:
        before: Devices that the batch touched, as they were.
        opened: Pools whose line it opened: all of their devices may pass again.
    """
    gone, renewed = [], []
    for name, old in before.items():
        new = pool.devices.get(name)
        if new is None or _reach(new) != _reach(old):
            gone += [old.ip4, old.ip6]
        elif old.hold_at <= now < new.hold_at:
            renewed += [new.ip4, new.ip6]
    for each in opened:
        renewed += [text for device in each.usable() for text in (device.ip4, device.ip6)]
    return gone, renewed


def _reach(device: wire.Device) -> tuple[object, ...]:
    """Return what a device's connections rest on besides its time."""
    return device.ip4, device.ip6, device.routes
