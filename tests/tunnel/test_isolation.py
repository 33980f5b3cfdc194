"""Nothing gets out beside the tunnel, in from outside, or through under another's name.

    customers ── gateway ── internet, which counts what comes

Between customers, private networks and the gateway's ports: tests/tunnel/test_pass.py.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from ferriage.agent import plane
from netns import address
from support import eventually
from tunnel_world import INTERNET4, INTERNET6, SHOP_PORT, SITE4

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netns import Namespace
    from tunnel_world import Client, World

pytestmark = pytest.mark.tunnel

PORT = 5000


@contextlib.contextmanager
def arriving(space: Namespace) -> Iterator[list[str]]:
    """Note from which addresses packets come to a port of the internet meanwhile."""
    with space.entered():
        listening = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        listening.bind(("::", PORT))
    found: list[str] = []
    with listening:
        yield found
        listening.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(listening.recvfrom(100)[1][0].removeprefix("::ffff:"))


def _send_as(space: Namespace, source: str, target: str) -> None:
    """Send three packets under a name that is not the sender's."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with space.entered():
        sending = socket.socket(family, socket.SOCK_DGRAM)
    with sending:
        # Any source, whoever it belongs to, as a hostile customer's program would.
        sending.setsockopt(
            socket.IPPROTO_IPV6 if ":" in target else socket.IPPROTO_IP,
            75 if ":" in target else 19,  # IPV6_TRANSPARENT, IP_TRANSPARENT
            1,
        )
        sending.bind((source, 0))
        for _ in range(3):
            sending.sendto(b"x", (target, PORT))


def test_packets_under_anothers_name_reach_nobody(world: World) -> None:
    world.permit()
    world.start_agent()
    alice, bob = world.client(), world.client()
    world.applied()
    assert (alice.ping(INTERNET4), bob.ping(INTERNET6)) == (1, 1)

    with arriving(world.internet) as arrived:
        for source in (bob.record.ip4, "10.64.0.1", "10.64.200.200", "203.0.113.1", "8.8.8.8"):
            _send_as(alice.space, source, INTERNET4)
        for source in (bob.record.ip6, "fd64::1", "2001:db8:2::1", "2001:db8:ffff::1"):
            _send_as(alice.space, source, INTERNET6)
        _send_as(alice.space, alice.record.ip4, INTERNET4)
        _send_as(alice.space, alice.record.ip6, INTERNET6)
        assert alice.ping(INTERNET4) == 1

    assert sorted(arrived) == ["2001:db8:2::1"] * 3 + ["203.0.113.1"] * 3


def test_address_without_a_record_passes_nowhere_and_is_counted_for_nobody(world: World) -> None:
    """Its slot is reckoned as any other's is, and has no element: not even a held one's rights."""
    world.permit()
    world.start_agent()
    alice, bob = world.client(), world.client(hold_in=-60)
    world.applied()
    assert (alice.ping(INTERNET4), alice.ping(INTERNET6), alice.ping("10.64.0.1")) == (1, 1, 1)
    assert bob.ping("10.64.0.1") == 1
    assert world.agent is not None
    os.kill(world.agent.pid, signal.SIGSTOP)  # or it takes out again what is done behind its back
    shown = {name: world.elements(name) for name in plane.USE}
    for number, client in enumerate((alice, bob)):
        own4, own6 = f"10.64.77.{number}", f"fd64::4d0{number}"
        _rename(world, client, own4, own6)
        with arriving(world.internet) as arrived:
            for target in (INTERNET4, INTERNET6, "10.64.0.1", SITE4):
                assert client.ping(target, wait=0.2) == 0
            for source, target in ((own4, INTERNET4), (own6, INTERNET6)):
                _send_as(client.space, source, target)
            assert not _reaches(client, "10.64.0.1", 53)
            assert not _reaches(client, "10.64.0.1", 8480)
            assert not _reaches(client, SITE4, SHOP_PORT)
            assert not _reaches(client, INTERNET4, 80)
        assert arrived == []

    assert {name: world.elements(name) for name in plane.USE} == shown


def _rename(world: World, client: Client, own4: str, own6: str) -> None:
    """Give a customer other addresses, on its own host and in the gateway's WireGuard."""
    client.space.run("ip", "address", "flush", "dev", client.interface)
    address(client.space, client.interface, f"{own4}/32", f"{own6}/128")
    client.space.run("ip", "route", "replace", "default", "dev", client.interface)
    client.space.run("ip", "-6", "route", "replace", "default", "dev", client.interface)
    world.gateway.run(
        *("wg", "set", world.interface, "peer", client.record.public_key),
        *("allowed-ips", f"{own4}/32,{own6}/128"),
    )


def _reaches(client: Client, host: str, port: int) -> bool:
    try:
        client.connect(host, port, within=0.3).close()
    except OSError:
        return False
    return True


_FLAGS = {"rst": 0x04, "syn-ack": 0x12, "fin": 0x01, "null": 0x00}


@pytest.mark.parametrize("what", [*_FLAGS, "echo-reply"])
def test_packet_of_no_connection_does_not_leave_under_the_inner_address(
    world: World, what: str
) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.ping(INTERNET4) == 1
    with world.internet.entered():
        sniffing = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))

    with sniffing:
        protocol, packet = _of_nothing(alice.record.ip4, what)
        with alice.space.entered():
            sending = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
        with sending:
            sending.sendto(packet, (INTERNET4, 0))
        assert alice.ping(INTERNET4) == 1  # so what was sent before has come, or will not
        sources = _sources(sniffing)

    assert sources == {"203.0.113.1"}


def _of_nothing(source: str, what: str) -> tuple[int, bytes]:
    """Return protocol and bytes of a packet that no connection began with."""
    if what == "echo-reply":
        head = struct.pack("!BBHHH", 0, 0, 0, 7, 7)
        return socket.IPPROTO_ICMP, head[:2] + _checksum(head) + head[4:]
    head = struct.pack("!HHIIBBHHH", 40000, PORT, 1, 1, 5 << 4, _FLAGS[what], 1000, 0, 0)
    addresses = socket.inet_aton(source) + socket.inet_aton(INTERNET4)
    whole = addresses + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(head)) + head
    return socket.IPPROTO_TCP, head[:16] + _checksum(whole) + head[18:]


def _checksum(data: bytes) -> bytes:
    """Return the checksum of IP's protocols over an even number of bytes."""
    found = sum(struct.unpack(f"!{len(data) // 2}H", data))
    found = (found >> 16) + (found & 0xFFFF)
    return struct.pack("!H", ~(found + (found >> 16)) & 0xFFFF)


def _sources(sniffing: socket.socket) -> set[str]:
    """Return the source addresses of what came meanwhile."""
    sniffing.setblocking(False)
    found = set()
    with contextlib.suppress(BlockingIOError):
        while True:
            packet = sniffing.recv(2000)
            if packet[9] in {socket.IPPROTO_TCP, socket.IPPROTO_ICMP}:
                found.add(socket.inet_ntoa(packet[12:16]))
    return found


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, INTERNET4), (socket.AF_INET6, INTERNET6)]
)
def test_flow_from_the_tunnels_own_port_has_its_answers(
    world: World, family: socket.AddressFamily, host: str
) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    with world.internet.entered():
        server = socket.socket(family, socket.SOCK_DGRAM)
        server.bind((host, PORT))
    with alice.space.entered():
        asking = socket.socket(family, socket.SOCK_DGRAM)
        asking.bind((alice.record.ip4 if family == socket.AF_INET else alice.record.ip6, 51820))

    with server, asking:
        for each in (server, asking):
            each.settimeout(3)
        for _ in range(3):
            asking.sendto(b"question", (host, PORT))
            question, seen = server.recvfrom(100)
            server.sendto(b"answer", seen)
            assert (question, asking.recv(100)) == (b"question", b"answer")

    assert 61000 <= seen[1] <= 65535
    assert alice.ping(host) == 1


def test_nobody_outside_begins_a_flow_to_a_customer(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert (alice.ping(INTERNET4), alice.ping(INTERNET6)) == (1, 1)
    world.internet.run("ip", "route", "add", "10.64.0.0/16", "via", "203.0.113.1")
    world.internet.run("ip", "-6", "route", "add", "fd64::/64", "via", "2001:db8:2::1")

    with arriving(alice.space) as arrived:
        for target in (alice.record.ip4, alice.record.ip6):
            family = socket.AF_INET6 if ":" in target else socket.AF_INET
            with world.internet.entered():
                sending = socket.socket(family, socket.SOCK_DGRAM)
            with sending:
                for _ in range(3):
                    sending.sendto(b"x", (target, PORT))
        assert alice.ping(INTERNET4) == 1

    assert arrived == []


def test_without_ipv6_at_the_exit_it_stays_in_the_tunnel_and_is_refused(world: World) -> None:
    world.gateway.run("ip", "-6", "address", "flush", "dev", "wan", "scope", "global")
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.ping(INTERNET4) == 1

    with (
        arriving(world.internet) as arrived,
        pytest.raises(OSError, match=r"unreachable|No route|prohibited|denied|refused"),
    ):
        alice.connect(INTERNET6, PORT, within=5).close()

    assert arrived == []
    assert alice.ping(INTERNET4) == 1


def test_full_packets_pass_and_bigger_ones_are_told_and_not_lost(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()

    def whole(size: int) -> str:
        """Ping with so many bytes of IP packet, which nobody may cut up."""
        return alice.space.run(
            *("ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", str(size - 28), INTERNET4),
            check=False,
        )

    assert " 1 received" in whole(1280)
    assert "+1 errors" in whole(1281)
    # A customer who raises the profile's 1280 has the gateway's 1420, and hears of what is more.
    alice.space.run("ip", "link", "set", alice.interface, "mtu", "1420")
    assert " 1 received" in whole(1420)


@pytest.mark.parametrize(("family", "host", "head"), [(4, INTERNET4, 40), (6, INTERNET6, 60)])
def test_segments_are_clamped_to_the_tunnel(
    world: World, family: int, host: str, head: int
) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    alice.space.run("ip", "link", "set", alice.interface, "mtu", "1500")
    with world.internet.entered():
        server = socket.create_server(
            (host, PORT), family=socket.AF_INET if family == 4 else socket.AF_INET6
        )

    with server, alice.connect(host, PORT) as ours:
        theirs, _ = server.accept()
        with theirs:
            agreed = theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
            theirs.sendall(b"y" * 200_000)
            got = 0
            while got < 200_000:
                got += len(ours.recv(65536))

    assert 1420 - head - 12 <= agreed <= 1420 - head  # twelve are the time stamps
    eventually(lambda: alice.ping(host), within=5)
