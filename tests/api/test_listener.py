"""Bounds that the kernel keeps for the server."""

from __future__ import annotations

import errno
import socket

from ferriage.web import listener
from support import eventually


def test_client_that_takes_nothing_is_dropped_and_one_that_does_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener.bound(deaf_seconds=0.5)
        deaf, taker = (socket.create_connection(server.getsockname()) for _ in range(2))
        ends = {}
        for _ in range(2):
            end, address = server.accept()
            end.setblocking(False)
            ends[address] = end
        deaf_end, taker_end = ends[deaf.getsockname()], ends[taker.getsockname()]
        lies_ready = _fill(deaf_end)
        _fill(taker_end)

        def dropped() -> bool:
            taker.recv(1 << 20)
            _fill(taker_end)
            return deaf_end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ETIMEDOUT

        eventually(dropped, within=10, every=0.05)
        still = taker_end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        for one in (deaf, taker, deaf_end, taker_end):
            one.close()

    assert still == 0
    assert lies_ready < 1024 * 1024


def _fill(end: socket.socket) -> int:
    """Send until nothing more is taken, and return how much was."""
    sent = 0
    try:
        while True:
            sent += end.send(b"x" * 65536)
    except BlockingIOError:
        return sent
