"""Numbered packets of many customers, and a namespace in the internet that counts what arrives.

What a gateway says of itself is compared with this: a separate host's own rules count bytes, and
every packet says whose it is and which.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import struct
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from support import eventually
from tunnel_world import INTERNET4

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netns import Namespace

PORT = 9997
SIZE = 1000
"""Bytes of a packet's content; the headers of IPv4 and UDP make 28 more."""
HEADERS = 28

_STAMP = struct.Struct("!II")
_STOP = 0xFFFFFFFF
_RECEIVE_BUFFER_FORCE = 33
"""SO_RCVBUFFORCE, which Python does not name."""

_RULES = f"""
table inet sink {{
    counter arrived {{ }}
    chain input {{
        type filter hook input priority 0;
        udp dport {PORT} counter name arrived
    }}
}}
"""


class Sink:
    """Receives in the internet; remembers of each flow which packets came, and when the last."""

    def __init__(self, internet: Namespace) -> None:
        self._internet = internet
        self.seen: dict[int, set[int]] = defaultdict(set)
        self.last: dict[int, float] = defaultdict(lambda: -math.inf)
        internet.run("sh", "-c", f"nft -f - <<'END'\n{_RULES}\nEND")
        with internet.entered():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, 16 << 20)
            self._socket.bind((INTERNET4, PORT))
        self._thread = internet.thread(self._receive)

    def _receive(self) -> None:
        with self._socket:
            while True:
                flow, number = _STAMP.unpack_from(self._socket.recv(2000))
                if flow == _STOP:
                    return
                self.last[flow] = time.time()
                self.seen[flow].add(number)

    def bytes(self) -> int:
        """Return how many bytes arrived, by this host's own rules, with IP headers."""
        out = self._internet.run("nft", "-j", "list", "counter", "inet", "sink", "arrived")
        found = [entry["counter"] for entry in json.loads(out)["nftables"] if "counter" in entry]
        return int(found[0]["bytes"])

    def close(self) -> None:
        with (
            self._internet.entered(),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopping,
        ):
            stopping.sendto(_STAMP.pack(_STOP, 0), (INTERNET4, PORT))
        self._thread.join(10)


class Flows:
    """Sends for many customers from one thread; of each flow it is known what was sent."""

    def __init__(self, sink: Sink, *, pause: float = 0.05) -> None:
        self._sink = sink
        self._pause = pause
        self._stop = threading.Event()
        self._sockets: dict[int, socket.socket] = {}
        self.sent: dict[int, int] = defaultdict(int)
        self._thread = threading.Thread(target=self._send, daemon=True)

    def add(self, flow: int, space: Namespace, device: str) -> None:
        """Let a customer send, by this interface of the namespace."""
        with space.entered():
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        self._sockets[flow] = made

    def _send(self) -> None:
        padding = b"x" * (SIZE - _STAMP.size)
        while not self._stop.wait(self._pause):
            for flow, sender in self._sockets.items():
                number = self.sent[flow]
                with contextlib.suppress(OSError):
                    sender.sendto(_STAMP.pack(flow, number) + padding, (INTERNET4, PORT))
                    self.sent[flow] = number + 1

    @contextlib.contextmanager
    def flowing(self, *, within: float = 60) -> Iterator[None]:
        """Send meanwhile; begins once something of every flow has arrived."""
        self._thread.start()
        try:
            for flow in self._sockets:
                eventually(lambda flow=flow: self._sink.seen[flow], within=within)
            yield
        finally:
            self._stop.set()
            self._thread.join(10)
            for sender in self._sockets.values():
                sender.close()

    def mark(self) -> dict[int, int]:
        """Return what was sent until now, to ask later what was lost since."""
        return dict(self.sent)

    def lost(self, flow: int, since: dict[int, int], until: dict[int, int]) -> set[int]:
        """Return the packets of a flow that were sent between two marks and did not arrive."""
        return set(range(since[flow], until[flow])) - self._sink.seen[flow]
