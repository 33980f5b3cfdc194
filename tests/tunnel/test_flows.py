"""One device's connections leave room in the table that all share."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from ferriage.agent import layout
from tunnel_world import INTERNET4, INTERNET6

if TYPE_CHECKING:
    from netns import Namespace
    from tunnel_world import Client, World

pytestmark = pytest.mark.tunnel

PORT = 5000
MORE = 3000


def _begin(space: Namespace, target: str, count: int, *, first: int = 10_000) -> None:
    """Begin connections, each by one datagram from a port of its own."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    for port in range(first, first + count):
        with space.entered(), socket.socket(family, socket.SOCK_DGRAM) as sending:
            sending.bind(("", port))
            sending.sendto(b"x", (target, PORT))


def _of(world: World, client: Client) -> int:
    """Count the entries of a customer in the gateway's table of connections."""
    listed = world.gateway.run("conntrack", "-L", "-s", client.record.ip4, "-p", "udp")
    return len(listed.splitlines())


def test_device_has_so_many_connections_and_no_more(world: World) -> None:
    world.permit()
    world.start_agent()
    alice, bob = world.client(), world.client()
    world.applied()
    with alice.space.entered():
        running = socket.create_connection((INTERNET4, 80), timeout=3)

    with running:
        _begin(alice.space, INTERNET4, layout.MOST_FLOWS + MORE)

        # The one that runs, and its DNS and pings if there were any, are among them.
        assert layout.MOST_FLOWS - 20 <= _of(world, alice) <= layout.MOST_FLOWS
        assert alice.ping(INTERNET4) == alice.ping(INTERNET6) == 0
        assert (bob.ping(INTERNET4), bob.ping(INTERNET6)) == (1, 1)
        running.sendall(b"GET / HTTP/1.0\r\n\r\n")
        running.settimeout(3)
        assert running.recv(100)

    world.gateway.run("conntrack", "-D", "-s", alice.record.ip4, "-p", "udp")
    assert alice.ping(INTERNET4, count=3) == 3
