"""WireGuard by wireguard-go: one process per interface, which outlives the agent."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ferriage.agent.backend import links, uapi
from ferriage.agent.errors import DataPlaneError
from ferriage.agent.system import spawn

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ferriage.agent.backend import Link, Peer

SOCKETS: Final = Path("/var/run/wireguard")
"""Shared by all network namespaces of a host, so interface names must differ among them."""

_START_SECONDS: Final = 5


class Userspace:
    """The back end that runs on every kernel with /dev/net/tun."""

    name = "userspace"

    def __init__(self, *, program: str, sockets: Path = SOCKETS) -> None:
        self._program = program
        self._sockets = sockets
        self._children: list[subprocess.Popen[bytes]] = []
        self._settings: dict[str, dict[str, str]] = {}
        """As read together with the peers, so that `ensure` needs not read them all again."""

    def ensure(self, link: Link) -> bool:
        """See `Backend.ensure`."""
        fresh = not self._socket(link.name).alive()
        if fresh:
            links.make_way(link.name, wanted=links.USERSPACE)
            self._start(link.name)
        settings = self._settings.pop(link.name, None)
        if fresh or settings is None:
            settings, _ = self._socket(link.name).get()
        wanted = {
            "private_key": uapi.to_hex(links.clamped(link.private_key)),
            "listen_port": str(link.listen_port),
        }
        changed = [
            f"{key}={value}\n" for key, value in wanted.items() if settings.get(key) != value
        ]
        if changed:
            self._socket(link.name).set("".join(changed))
        links.configure(link)
        return fresh

    def peers(self, interface: str) -> dict[str, Peer]:
        """See `Backend.peers`."""
        self._settings[interface], peers = self._socket(interface).get()
        return peers

    def apply(
        self, interface: str, *, remove: Iterable[str], add: Mapping[str, tuple[str, ...]]
    ) -> dict[str, str]:
        """See `Backend.apply`."""
        removals = ((key, uapi.removal(key)) for key in remove)
        additions = ((key, uapi.addition(key, addresses)) for key, addresses in add.items())
        send = self._sender(interface)
        return links.send_each(removals, send) | links.send_each(additions, send)

    def renew(self, interface: str, peers: Mapping[str, frozenset[str]]) -> None:
        """See `Backend.renew`. One request: nobody sees the peer missing."""
        renewals = ((key, uapi.renewal(key, ips)) for key, ips in peers.items())
        links.send_all(renewals, self._sender(interface))

    def wake(self, interface: str, endpoints: Mapping[str, str]) -> None:
        """See `Backend.wake`."""
        calls = ((key, uapi.waking(key, where)) for key, where in endpoints.items())
        links.send_all(calls, self._sender(interface))

    def calm(self, interface: str, keys: Iterable[str]) -> None:
        """See `Backend.calm`."""
        links.send_all(((key, uapi.calming(key)) for key in keys), self._sender(interface))

    def drop(self, interface: str) -> None:
        """See `Backend.drop`. wireguard-go ends by itself when its interface goes."""
        links.remove(interface)

    def _sender(self, interface: str) -> Callable[[Sequence[str]], None]:
        return lambda changes: self._socket(interface).set("".join(changes))

    def _socket(self, interface: str) -> uapi.Socket:
        return uapi.Socket(self._sockets / f"{interface}.sock")

    def _start(self, interface: str) -> None:
        """Start wireguard-go in a session of its own, so that nothing of the agent ends it."""
        self._children = [child for child in self._children if child.poll() is None]
        child = spawn(self._program, "--foreground", interface)
        self._children.append(child)
        deadline = time.monotonic() + _START_SECONDS
        while not self._socket(interface).alive():
            if child.poll() is not None or time.monotonic() > deadline:
                raise DataPlaneError(
                    f"{self._program} did not bring up {interface}. Is /dev/net/tun there, and is"
                    " the name free? Try it by hand to see its message."
                )
            time.sleep(0.01)
