"""WireGuard by the kernel, over generic netlink: nothing of it is a process."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING, Final

from ferriage.agent.backend import links, uapi, wgnl
from ferriage.agent.backend.userspace import SOCKETS
from ferriage.agent.errors import ChangeRefused, DataPlaneError
from ferriage.agent.netlink import Generic, Interrupted, Malformed
from ferriage.agent.system import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ferriage.agent.backend import Link, Peer

_TRIES: Final = 5
_END_SECONDS: Final = 5
_NOBODY: Final = "no-such-link"
_NOT_WIREGUARD: Final = frozenset({errno.ENODEV, errno.EOPNOTSUPP})
_NO_RIGHT: Final = frozenset({errno.EPERM, errno.EACCES, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
_OF_A_RECORD: Final = frozenset({errno.EINVAL, errno.ERANGE, errno.ENOMEM, errno.EPFNOSUPPORT})
"""What the kernel answers to a peer that it does not take; ENOMEM also at 2^20 peers."""


def obstacle() -> str:
    """Return why this process cannot use the kernel's WireGuard here; empty when it can.

    The question loads the module where that is possible.

    Raises:
        DataPlaneError: The kernel gives no clear answer. Taking wireguard-go then would take away
            the kernel's link and with it the sessions of all who are there.
    """
    try:
        with Generic(wgnl.FAMILY, wgnl.VERSION) as netlink:
            next(netlink.dump(wgnl.GET, wgnl.named(_NOBODY)), None)
    except OSError as error:
        if error.errno == errno.ENODEV:  # as it should: there is no such link
            return ""
        if error.errno == errno.ENOENT:
            return "this kernel has no WireGuard"
        if error.errno in _NO_RIGHT:
            return f"the kernel's WireGuard may not be used: {error.strerror}"
        raise DataPlaneError(
            f"The kernel does not say whether it has WireGuard: {error}. Try again."
        ) from error
    return ""


class Kernel:
    """The back end of hosts whose kernel has WireGuard, as every one since 5.6 can."""

    name = "kernel"

    def __init__(self, *, sockets: Path = SOCKETS) -> None:
        self._sockets = sockets

    def ensure(self, link: Link) -> bool:
        """See `Backend.ensure`. Reads the interface's settings alone, not its peers."""
        with contextlib.ExitStack() as undo:
            device = _device(link.name)
            fresh = device is None
            if fresh:
                self._make(link.name)
                undo.callback(links.remove, link.name)
            self._set_up(link, device or wgnl.Reading())
            undo.pop_all()
        return fresh

    def peers(self, interface: str) -> dict[str, Peer]:
        """See `Backend.peers`."""
        with _talk(interface) as netlink:
            for _ in range(_TRIES):
                reading = wgnl.Reading()
                with contextlib.suppress(Interrupted):
                    for answer in netlink.dump(wgnl.GET, wgnl.named(interface)):
                        reading.take(answer)
                    return reading.peers
        raise DataPlaneError(f"{interface} cannot be read: somebody keeps changing its peers.")

    def apply(
        self, interface: str, *, remove: Iterable[str], add: Mapping[str, tuple[str, ...]]
    ) -> dict[str, str]:
        """See `Backend.apply`."""
        removals = ((key, wgnl.removal(key)) for key in remove)
        additions = ((key, wgnl.addition(key, addresses)) for key, addresses in add.items())
        send = _sender(interface)
        return links.send_each(removals, send) | links.send_each(additions, send)

    def renew(self, interface: str, peers: Mapping[str, frozenset[str]]) -> None:
        """See `Backend.renew`. One request: nobody sees the peer missing."""
        renewals = ((key, wgnl.renewal(key, ips)) for key, ips in peers.items())
        links.send_all(renewals, _sender(interface))

    def wake(self, interface: str, endpoints: Mapping[str, str]) -> None:
        """See `Backend.wake`."""
        calls = ((key, wgnl.waking(key, where)) for key, where in endpoints.items())
        links.send_all(calls, _sender(interface))

    def calm(self, interface: str, keys: Iterable[str]) -> None:
        """See `Backend.calm`."""
        links.send_all(((key, wgnl.calming(key)) for key in keys), _sender(interface))

    def drop(self, interface: str) -> None:
        """See `Backend.drop`."""
        links.remove(interface)

    def _make(self, name: str) -> None:
        if links.make_way(name, wanted=links.KERNEL):
            self._await_end(name)
        run("ip", "link", "add", "dev", name, "type", links.KERNEL)

    def _await_end(self, name: str) -> None:
        """Wait until the wireguard-go of a link that went has let go of its port."""
        socket = uapi.Socket(self._sockets / f"{name}.sock")
        deadline = time.monotonic() + _END_SECONDS
        while socket.alive() and time.monotonic() < deadline:
            time.sleep(0.01)

    @staticmethod
    def _set_up(link: Link, device: wgnl.Reading) -> None:
        key = links.clamped(link.private_key)
        if (device.private_key, device.listen_port) != (key, link.listen_port):
            request = wgnl.device(link.name, private_key=key, listen_port=link.listen_port)
            with _talk(link.name) as netlink:
                netlink.request(wgnl.SET, request)
        links.configure(link)


def _device(interface: str) -> wgnl.Reading | None:
    """Read an interface's own settings; None when no WireGuard of the kernel has the name."""
    reading = wgnl.Reading()
    try:
        with Generic(wgnl.FAMILY, wgnl.VERSION) as netlink:
            reading.take(next(netlink.dump(wgnl.GET, wgnl.named(interface)), b""))
    except (OSError, Malformed) as error:
        if isinstance(error, OSError) and error.errno in _NOT_WIREGUARD:
            return None
        raise DataPlaneError(f"{interface} cannot be read: {error}.") from error
    return reading


def _sender(interface: str) -> Callable[[Sequence[wgnl.Record]], None]:
    def send(records: Sequence[wgnl.Record]) -> None:
        with _talk(interface) as netlink:
            for request in wgnl.requests(interface, records):
                netlink.request(wgnl.SET, request)

    return send


@contextlib.contextmanager
def _talk(interface: str) -> Iterator[Generic]:
    try:
        with Generic(wgnl.FAMILY, wgnl.VERSION) as netlink:
            yield netlink
    except Malformed as error:
        raise ChangeRefused(f"A message about {interface} does not add up: {error}.") from error
    except OSError as error:
        if error.errno in _OF_A_RECORD:
            name = errno.errorcode[error.errno]
            raise ChangeRefused(f"WireGuard refused a change of {interface} ({name}).") from error
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise DataPlaneError(f"WireGuard does not answer for {interface}: {reason}.") from error
