"""What the kernel does for a server that has no settings for it: it drops whoever is deaf.

A client that asks and takes no answer keeps its connection for ever: what it does not take lies in
the kernel, megabytes of it, where neither the server nor the front sees it wait.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

DEAF_SECONDS: Final = 30
"""How long a client may take nothing of what lies ready for it."""
READY_BYTES: Final = 128 * 1024
"""How much may lie ready for one client; the kernel takes twice as much for its own accounts."""


def bound(*, deaf_seconds: float = DEAF_SECONDS) -> None:
    """Bound every connection that this process accepts from now on, on whatever it listens.

    Connections inherit these options from the socket that they came by.
    """
    for listener in _listening():
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, READY_BYTES)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(deaf_seconds * 1000))


def _listening() -> Iterator[socket.socket]:
    """Yield this process's listening TCP sockets: the server made them and shows them to nobody."""
    for entry in list(Path("/proc/self/fd").iterdir()):
        # Other threads close what they have open, and most of it is no socket.
        with suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as found:
            if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and found.family in {
                socket.AF_INET,
                socket.AF_INET6,
            }:
                yield found
