"""A device with listed inner networks reaches them and nothing else; its neighbours reach none.

alice (routes) ─┐                    ┌── wan ── internet 203.0.113.9, 2001:db8:2::9
                ├── tunnel ── gateway┤
bob (internet) ─┘                    └── lan ── office 10.20.0.9, fd20::9, and 10.30.0.9, fd30::9
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import msgspec
import pytest

from ferriage import wire
from netns import Namespace, address, join
from support import eventually
from tunnel_world import INTERNET4, INTERNET6, _Page, _Server

if TYPE_CHECKING:
    import socket

    from tunnel_world import Client, World

pytestmark = pytest.mark.tunnel

LISTED = ("10.20.0.0/24", "fd20::/64")
OFFICE = ("10.20.0.9", "fd20::9")
OTHERS = ("10.30.0.9", "fd30::9")
OUTSIDE = (INTERNET4, INTERNET6)


@pytest.fixture
def office(world: World) -> World:
    """Put an office with two inner networks behind the gateway, and start the agent."""
    space = Namespace("o")
    world.spaces.append(space)
    join(world.gateway, space, names=("lan", "in"))
    address(world.gateway, "lan", "10.20.0.1/24", "10.30.0.1/24", "fd20::1/64", "fd30::1/64")
    address(space, "in", *(f"{text}/24" for text in ("10.20.0.9", "10.30.0.9")))
    address(space, "in", *(f"{text}/64" for text in ("fd20::9", "fd30::9")))
    with space.entered():
        server = _Server(("::", 80), _Page)
    world.servers.append(server)
    space.thread(lambda: server.serve_forever(0.02))
    world.permit()
    world.start_agent()
    return world


def reached(client: Client, *places: str) -> list[str]:
    """Return the places that answer a ping and a page; one without the other is an error."""
    found = [place for place in places if client.ping(place, wait=0.3)]
    for place in places:
        try:
            page = client.get(place, within=0.5)
        except OSError:
            page = b""
        assert page.endswith(b"internet") == (place in found), place
    return found


def asked(flow: socket.socket) -> bytes:
    """Return how the answer begins that comes over an established connection; empty for none."""
    flow.settimeout(1)
    try:
        flow.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return flow.recv(10)
    except OSError:
        return b""


def test_listed_networks_are_reached_and_nothing_else(office: World) -> None:
    alice = office.client(routes=LISTED)
    bob = office.client()
    office.applied()

    assert reached(alice, *OFFICE, *OTHERS, *OUTSIDE) == list(OFFICE)
    assert reached(bob, *OFFICE, *OTHERS, *OUTSIDE) == list(OUTSIDE)
    assert alice.lookup("www.example.net") == INTERNET4
    assert alice.ping(bob.record.ip4, wait=0.3) == 0
    with pytest.raises(ConnectionRefusedError):
        alice.connect("10.20.0.1", 80).close()  # the gateway's own side of the office


def test_change_of_routes_moves_one_device_and_costs_its_neighbour_nothing(office: World) -> None:
    alice = office.client(routes=LISTED)
    bob = office.client()
    office.applied()
    assert reached(alice, *OFFICE, *OTHERS) == list(OFFICE)
    with bob.connect(INTERNET4, 80) as flow:
        narrowed = msgspec.structs.replace(alice.record, routes=("10.20.0.9/32", "fd30::/64"))
        office.site.put(narrowed)
        office.applied()

        assert reached(alice, *OFFICE, *OTHERS, *OUTSIDE) == ["10.20.0.9", "fd30::9"]
        assert asked(flow) == b"HTTP/1.1 2"

    office.site.put(msgspec.structs.replace(alice.record, routes=()))
    office.applied()
    assert reached(alice, *OFFICE, *OTHERS, *OUTSIDE) == list(OUTSIDE)


def test_held_member_and_closed_line_reach_no_listed_network(office: World) -> None:
    alice = office.client(routes=LISTED)
    office.applied()
    assert reached(alice, *OFFICE) == list(OFFICE)

    with alice.connect("10.20.0.9", 80) as flow:
        now = int(office.site.now())
        office.site.put(msgspec.structs.replace(alice.record, hold_at=now, remove_at=now + 60))
        eventually(lambda: not alice.ping("10.20.0.9", wait=0.1), within=3)
        assert reached(alice, *OFFICE) == []
        assert asked(flow) == b""

    office.site.put(alice.record)
    eventually(lambda: alice.ping("10.20.0.9", wait=0.1), within=3)
    office.permit(state="closed")
    eventually(lambda: not alice.ping("10.20.0.9", wait=0.1), within=3)


def test_emptied_sets_pass_nothing_and_are_mended(office: World) -> None:
    alice, bob = office.client(routes=LISTED), office.client()
    office.applied()
    assert reached(alice, *OFFICE) == list(OFFICE)
    assert office.agent is not None
    os.kill(office.agent.pid, signal.SIGSTOP)  # or it mends them before anybody has looked
    for name in ("routes4", "routes6", "open"):
        office.gateway.run("nft", "flush", "set", "inet", "ferriage", name)

    assert reached(alice, *OFFICE, *OUTSIDE) == []
    assert reached(bob, *OUTSIDE) == []
    os.kill(office.agent.pid, signal.SIGCONT)
    eventually(lambda: alice.ping("10.20.0.9", wait=0.1), within=15)
    assert reached(bob, *OUTSIDE) == list(OUTSIDE)


def test_record_with_a_route_that_is_none_is_refused_alone(office: World) -> None:
    alice = office.client(routes=("10.0.0.0/0",))
    bob = office.client()

    def report() -> bool:
        last = office.site.reports[-1:]
        return bool(last and last[0].pools[0].rev == office.site.rev and last[0].pools[0].refused)

    eventually(report, within=5)
    refused = office.site.reports[-1].pools[0].refused
    assert [entry.device for entry in refused] == [alice.record.id]
    assert isinstance(refused[0], wire.Refused)
    assert reached(alice, *OFFICE, *OUTSIDE) == []
    assert reached(bob, *OUTSIDE) == list(OUTSIDE)
