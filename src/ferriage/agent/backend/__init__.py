"""WireGuard on this host behind one interface: by the kernel where it can, else wireguard-go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
import structlog

from ferriage.agent.errors import NoKernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ferriage.config import AgentConfig

log = structlog.get_logger()


@dataclass(frozen=True)
class Link:
    """A WireGuard interface as it should be. `private_key` is base64 and never logged."""

    name: str
    private_key: str
    listen_port: int
    addresses: tuple[str, ...]
    mtu: int


class Peer(msgspec.Struct, frozen=True, gc=False):
    """A peer as it was read. Keys are base64; `endpoint` never leaves this host's memory.

    Made for every peer at every look, so of the kind that is made fastest.
    """

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


class Choice(NamedTuple):
    """Which back end a host gets, and why not the kernel's; no reason is needed for that one."""

    name: str
    reason: str


def decide(wanted: str, *, obstacle: Callable[[], str] | None = None) -> Choice:
    """Return which back end this process gets here.

    Args:
        wanted: `agent.backend` of the settings.
        obstacle: Tells why the kernel's cannot be used; empty text when it can.

    Raises:
        NoKernel: The settings ask for the kernel's, which cannot be used.
        DataPlaneError: The kernel gives no clear answer.
    """
    from ferriage.agent.backend import kernel

    if wanted == "userspace":
        return Choice(wanted, "agent.backend says so")
    reason = (obstacle or kernel.obstacle)()
    if not reason:
        return Choice("kernel", "")
    if wanted == "kernel":
        raise NoKernel(reason)
    return Choice("userspace", reason)


def choose(config: AgentConfig) -> Backend:
    """Return the back end that `decide` names.

    Raises:
        AgentError: See `decide`.
    """
    from ferriage.agent.backend.kernel import Kernel
    from ferriage.agent.backend.userspace import Userspace

    choice = decide(config.backend)
    log.info("backend.chosen", backend=choice.name, reason=choice.reason)
    if choice.name == Kernel.name:
        return Kernel()
    return Userspace(program=config.wireguard_go)
