"""Terms and lines end by themselves; a held device reaches DNS and the shop, nothing else."""

from __future__ import annotations

import contextlib
import re
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from support import eventually
from tunnel_world import WEB_PORT, ask, steady_ping

if TYPE_CHECKING:
    import socket

    from ferriage import wire
    from tunnel_world import Client, World

pytestmark = pytest.mark.tunnel


def _pulls(connection: socket.socket, *, within: float = 0.3) -> bool:
    """Ask for a page on an established connection; False when nothing comes back."""
    connection.settimeout(within)
    with contextlib.suppress(OSError):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        return len(connection.recv(65536)) > 0
    return False


def _refused_after(client: Client, host: str, port: int) -> float:
    """Return after how many seconds a connection was refused."""
    began = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        client.connect(host, port).close()
    return time.monotonic() - began


def test_term_ends_by_the_kernel_while_agent_and_site_are_dead(world: World) -> None:
    world.permit()
    world.start_agent()
    alice, bob = world.client(), world.client()
    world.applied()
    assert (alice.ping("203.0.113.9"), bob.ping("203.0.113.9")) == (1, 1)
    ends = _renewed(alice.record, world.site.now() + 4)
    world.site.put(ends)
    world.applied()
    with alice.connect("203.0.113.9", 8080) as running:
        assert _pulls(running)
        world.kill_agent()
        world.site.stop()

        while time.time() < ends.hold_at - 1:
            assert _pulls(running, within=1)
        held_after = time.time()
        while _pulls(running):
            held_after = time.time()

    assert abs(held_after - ends.hold_at) < 1
    assert alice.ping("203.0.113.9", wait=0.3) == 0
    assert _refused_after(alice, "203.0.113.9", 8080) < 0.5
    assert bob.ping("203.0.113.9", count=10) == 10


def test_line_ends_by_the_kernel_while_agent_and_site_are_dead(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    world.permit(seconds=4)
    open_until = int(world.site.now() + 4)
    world.applied()
    with alice.connect("2001:db8:2::9", 8080) as running:
        assert _pulls(running)
        world.kill_agent()
        world.site.stop()

        while time.time() < open_until - 1:
            assert _pulls(running, within=1)
        eventually(lambda: not _pulls(running), within=3)

    assert open_until - 1 <= time.time() < open_until + 1.5
    assert alice.ping("2001:db8:2::9", wait=0.3) == 0
    assert _refused_after(alice, "2001:db8:2::9", 8080) < 0.5


def test_held_device_sees_the_page_the_shop_and_dns_and_all_else_is_reset(world: World) -> None:
    world.permit()
    world.start_agent()
    world.program("hold")
    alice = world.client(hold_in=-60)
    world.applied()

    page = eventually(lambda: alice.get("203.0.113.9"), within=5).decode()

    assert page.startswith("HTTP/1.1 511 ")
    assert "Connection: close" in page
    assert "Cache-Control: no-store" in page
    assert "Your term has ended" in page
    assert world.shop.url in page
    assert "511" in alice.get("2001:db8:2::9").decode().split("\r\n")[0]
    assert alice.get("192.0.2.10", 8443).endswith(b"internet")
    assert _refused_after(alice, "203.0.113.9", 443) < 0.5
    assert _refused_after(alice, "2001:db8:2::9", 443) < 0.5
    assert alice.ping("203.0.113.9", wait=0.3) == 0
    assert alice.ping("10.64.0.1") == 1
    assert alice.lookup("www.example.net") == "203.0.113.9"


def test_renewal_opens_within_a_second_and_neighbours_lose_nothing(world: World) -> None:
    world.permit()
    world.start_agent()
    world.program("hold")
    alice, bob = world.client(hold_in=-60), world.client()
    world.applied()
    assert b"511" in eventually(lambda: alice.get("203.0.113.9"), within=5)
    handshake = alice.latest_handshake()

    with (
        steady_ping(bob, "203.0.113.9", world.directory) as lines,
        alice.connect("203.0.113.9", WEB_PORT) as kept,
    ):
        began = time.monotonic()
        world.site.put(_renewed(alice.record, world.site.now() + 3600))
        eventually(lambda: alice.ping("203.0.113.9", wait=0.1), within=2)
        opened = time.monotonic() - began
        page = alice.get("203.0.113.9")
        eventually(lambda: "sport=8480" not in world.gateway.run("conntrack", "-L"), within=2)
        assert not _pulls(kept)

    assert opened < 1
    assert page.startswith(b"HTTP/1.1 200 ")
    assert alice.latest_handshake() == handshake
    assert re.search(r" 0% packet loss", "\n".join(lines))


def _renewed(record: wire.Device, hold_at: float) -> wire.Device:
    return msgspec.structs.replace(
        record, generation=2, hold_at=int(hold_at), remove_at=int(hold_at) + 86400
    )


def test_revoked_permit_closes_the_line_within_two_seconds_and_says_why(world: World) -> None:
    world.permit()
    world.start_agent()
    world.program("hold")
    alice = world.client()
    world.applied()
    assert alice.ping("203.0.113.9") == 1

    began = time.monotonic()
    world.permit(
        state="closed", reason={"en": "The approval was revoked.", "zh-hans": "批准已撤销。"}
    )
    eventually(lambda: not alice.ping("203.0.113.9", wait=0.1), within=3)

    assert time.monotonic() - began < 2
    eventually(lambda: b"The approval was revoked." in alice.get("203.0.113.9"), within=5)
    assert alice.lookup("www.example.net") == ""
    world.permit()
    assert eventually(lambda: alice.ping("203.0.113.9", wait=0.1), within=2) == 1


def test_permit_signed_by_the_feed_key_opens_nothing(world: World) -> None:
    world.start_agent()
    world.permit(key=world.site.feed_key)
    alice = world.client()

    eventually(lambda: "a permit was refused" in world.log, within=10)

    assert alice.ping("203.0.113.9", wait=0.5) == 0
    assert world.elements("lines") == []


def test_lower_permit_serial_is_passed_over(world: World) -> None:
    world.permit(serial=7, state="closed")
    world.start_agent()
    alice = world.client()
    world.applied()

    world.permit(serial=6)
    world.applied()

    assert world.site.reports[-1].pools[0].permit_serial == 7
    assert alice.ping("203.0.113.9", wait=0.3) == 0


def test_dns_of_a_held_device_is_limited_and_of_an_open_one_is_not(world: World) -> None:
    world.permit()
    world.start_agent()
    alice, bob = world.client(hold_in=-60), world.client()
    world.applied()
    assert (alice.lookup("a.xy"), bob.lookup("a.xy")) == ("203.0.113.9", "203.0.113.9")

    assert 10 <= alice.flood_dns(60) <= 35
    assert bob.flood_dns(60) >= 55


def test_dns_over_tcp_answers_a_held_device_nothing_of_the_world(world: World) -> None:
    world.permit()
    world.start_agent()
    alice, bob = world.client(hold_in=-60), world.client()
    world.applied()

    assert bob.lookup_by_tcp("a.xy") == "203.0.113.9"
    assert alice.lookup_by_tcp("a.xy") == ""


def test_dns_by_a_kept_socket_ends_with_the_line(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    with alice.asking() as asking:
        assert ask(asking, "a.xy") == "203.0.113.9"

        world.permit(state="closed")
        world.applied()

        asking.settimeout(0.5)
        with pytest.raises((TimeoutError, PermissionError, ConnectionRefusedError)):
            ask(asking, "b.xy")
    assert alice.lookup("c.xy") == ""
