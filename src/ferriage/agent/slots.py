"""A device's slot is its number in the site's inner networks, so its addresses tell it.

The kernel makes the mark of each packet out of the address by arithmetic, where a map would have
to hold two addresses of every device. A record whose slot is another number is refused: its bytes
would be counted for, and its packets judged as, somebody else.

Source: docs/decisions/0062-slots-from-addresses.md
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from ferriage import wire

GATEWAY: Final = 1
"""The number that the gateways have themselves."""

_BITS: Final = 32
"""Of a packet's mark."""


class Inner(NamedTuple):
    """The inner networks, each cut to the addresses whose numbers both have."""

    four: ipaddress.IPv4Network
    six: ipaddress.IPv6Network

    @property
    def shift(self) -> int:
        """How many of the last 32 bits of an address belong to the network and not to the slot."""
        return self.four.prefixlen

    def fault(self, device: wire.Device) -> str:
        """Return why a device's slot cannot be told from its addresses; empty text when it can."""
        for what, network, address in (
            ("ip4", self.four, device.ip4),
            ("ip6", self.six, device.ip6),
        ):
            if _number(address) - int(network.network_address) != device.slot:
                return f"slot {device.slot} is not the number of its {what} in {network}"
        if device.slot >= self.four.num_addresses:
            return f"slot {device.slot} lies outside {self.four}"
        if device.slot == GATEWAY:
            return f"slot {device.slot} is the gateway's own"
        return ""


def inner(assignment: wire.PoolAssignment) -> Inner:
    """Return the inner networks of a pool: a site has one pair, for all of them.

    Raises:
        ValueError: The gateway's addresses are none, or have no network.
    """
    four = ipaddress.IPv4Interface(assignment.gateway4).network
    six = ipaddress.IPv6Interface(assignment.gateway6).network
    # The kernel does not shift by nothing, so one bit at least is the network's.
    bits = min(four.max_prefixlen - four.prefixlen, six.max_prefixlen - six.prefixlen, _BITS - 1)
    return Inner(
        ipaddress.IPv4Network((four.network_address, four.max_prefixlen - bits)),
        ipaddress.IPv6Network((six.network_address, six.max_prefixlen - bits)),
    )


def _number(address: str) -> int:
    """Return an address as a number; asked for every device, so by the fastest way."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return int.from_bytes(socket.inet_pton(family, address), "big")
