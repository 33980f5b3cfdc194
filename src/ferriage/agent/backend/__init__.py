"""WireGuard on this host, behind one interface: by userspace now, by the kernel next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ferriage.config import AgentConfig


@dataclass(frozen=True)
class Link:
    """A WireGuard interface as it should be. `private_key` is base64 and never logged."""

    name: str
    private_key: str
    listen_port: int
    addresses: tuple[str, ...]
    mtu: int


@dataclass(frozen=True)
class Peer:
    """A peer as it was read. Keys are base64; `endpoint` never leaves this host's memory."""

    public_key: str
    allowed_ips: frozenset[str]
    endpoint: str = ""
    handshake_at: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    keepalive: int = 0


class Backend(Protocol):
    """What the engine needs of WireGuard."""

    name: str

    def ensure(self, link: Link) -> bool:
        """Make the interface be as described; True when it had to be made anew (no peers)."""

    def peers(self, interface: str) -> dict[str, Peer]:
        """Read all peers, by public key."""

    def apply(
        self, interface: str, *, remove: Iterable[str], add: Mapping[str, tuple[str, ...]]
    ) -> dict[str, str]:
        """Remove peers, then add or re-address others; return the keys not taken, with reasons.

        A key in `add` that exists keeps its endpoint and handshake and gets these allowed
        addresses instead of its own.
        """

    def renew(self, interface: str, peers: Mapping[str, frozenset[str]]) -> None:
        """Take peers out and put them in again as strangers: no endpoint, no handshake."""

    def wake(self, interface: str, endpoints: Mapping[str, str]) -> None:
        """Tell peers' endpoints and send each a keepalive, which begins a handshake."""

    def calm(self, interface: str, keys: Iterable[str]) -> None:
        """Send these peers no keepalives any more."""

    def drop(self, interface: str) -> None:
        """Take the interface away."""


def choose(config: AgentConfig) -> Backend:
    """Return the best back end this host can run."""
    from ferriage.agent.backend.userspace import Userspace

    return Userspace(program=config.wireguard_go)
