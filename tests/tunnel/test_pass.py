"""Packets pass, as far as they may and no further."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from support import eventually
from tunnel_world import BACKEND

if TYPE_CHECKING:
    from tunnel_world import Client, World

pytestmark = pytest.mark.tunnel


def test_first_snapshot_lets_ping_and_http_through_on_both_families(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()

    assert alice.ping("203.0.113.9") == 1
    assert alice.ping("2001:db8:2::9") == 1
    assert alice.get("203.0.113.9").endswith(b"internet")
    assert alice.get("2001:db8:2::9").endswith(b"internet")
    assert world.site.reports[-1].backend == BACKEND
    assert world.site.reports[-1].pools[0].line_open
    assert world.site.reports[-1].pools[0].peers == 1


def test_dns_to_any_server_is_answered_by_the_gateway(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()

    assert alice.lookup("www.example.net") == "203.0.113.9"
    assert alice.lookup("www.example.net", server="198.51.100.250") == "203.0.113.9"


def test_peers_private_networks_mail_and_gateway_ports_are_refused(world: World) -> None:
    world.permit()
    world.start_agent()
    alice, bob = world.client(), world.client()
    world.applied()
    assert (alice.ping("203.0.113.9"), bob.ping("203.0.113.9")) == (1, 1)

    assert alice.ping(bob.record.ip4, wait=0.3) == 0
    assert alice.ping(bob.record.ip6, wait=0.3) == 0
    assert alice.ping("10.9.9.9", wait=0.3) == 0
    for host, port in (("203.0.113.9", 25), ("10.64.0.1", 22), ("203.0.113.1", 22)):
        with pytest.raises(ConnectionRefusedError):
            alice.connect(host, port).close()
    assert world.gateway.run("ping", "-c1", "-W1", "10.9.9.9")


@pytest.mark.parametrize("hidden", ["64:ff9b::a09:909", "2002:a09:909::1"])
def test_private_networks_are_refused_behind_a_translator_too(world: World, hidden: str) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    world.internet.run("ip", "-6", "address", "add", f"{hidden}/128", "dev", "lo", "nodad")
    world.gateway.run("ip", "-6", "route", "add", f"{hidden}/128", "via", "2001:db8:2::9")
    assert alice.ping("2001:db8:2::9") == 1

    assert alice.ping(hidden, wait=0.3) == 0
    assert world.gateway.run("ping", "-c1", "-W1", hidden)


def test_packets_with_a_foreign_source_are_dropped(world: World) -> None:
    world.permit()
    world.start_agent()
    alice, bob = world.client(), world.client()
    world.applied()
    assert alice.ping("203.0.113.9") == 1
    alice.space.run("ip", "address", "add", f"{bob.record.ip4}/32", "dev", alice.interface)

    out = alice.space.run(
        *("ping", "-n", "-c", "3", "-i", "0.05", "-W", "0.3", "-I", bob.record.ip4, "203.0.113.9"),
        check=False,
    )

    assert " 0 received" in out
    assert bob.ping("203.0.113.9") == 1


def test_limit_holds_a_download_to_the_device_rate(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client(rate_down_bps=8_000_000, burst_bytes=65_536)
    world.applied()

    began = time.monotonic()
    page = alice.get("203.0.113.9", 8080, path="/4000000", within=10)
    taken = time.monotonic() - began

    assert len(page) > 4_000_000
    assert 2.5 < taken < 6  # 1 MB/s, after the first second's worth that nft lets through at once


def test_device_with_an_address_in_use_is_refused_alone_and_named(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    bob = world.client(slot=alice.record.slot)
    carol = world.client()

    def report() -> bool:
        last = world.site.reports[-1:]
        return bool(last and last[0].pools[0].rev == world.site.rev and last[0].pools[0].refused)

    eventually(report, within=5)

    refused = world.site.reports[-1].pools[0].refused
    assert [(entry.device, entry.reason) for entry in refused] == [
        (bob.record.id, f"slot is held by {alice.record.id}")
    ]
    assert (alice.ping("203.0.113.9"), carol.ping("203.0.113.9")) == (1, 1)


@pytest.mark.parametrize("world", [2], indirect=True)
def test_two_lines_on_one_gateway_open_and_end_apart(world: World) -> None:
    other = "pool_0000000000000002"
    world.permit()
    world.permit(pool=other)
    world.start_agent()
    alice, bob = world.client(), world.client(pool=other)
    world.applied()
    assert (alice.ping("203.0.113.9"), bob.ping("203.0.113.9")) == (1, 1)
    assert (alice.ping("2001:db8:2::9"), bob.ping("2001:db8:2::9")) == (1, 1)
    assert (alice.ping("10.64.0.1"), bob.ping("10.64.0.1")) == (1, 1)
    assert bob.lookup("www.example.net") == "203.0.113.9"
    assert bob.ping(alice.record.ip4, wait=0.3) == 0

    world.permit(state="closed")
    eventually(lambda: not alice.ping("203.0.113.9", wait=0.1), within=3)

    assert bob.get("203.0.113.9").endswith(b"internet")


@pytest.mark.parametrize("world", [2], indirect=True)
def test_device_on_two_lines_is_told_the_reason_of_the_one_it_uses(world: World) -> None:
    other = "pool_0000000000000002"
    world.permit()
    world.permit(pool=other, state="closed", reason={"en": "The other line is closed."})
    world.start_agent()
    world.program("hold")
    alice = world.client(hold_in=-60)
    bob = world.client(hold_in=-60, pool=other)
    world.site.put(alice.record, pool=other)
    world.site.put(bob.record)
    world.applied()

    def told(client: Client) -> str:
        page = client.get("203.0.113.9").decode()
        known = ("Your term has ended", "The other line is closed.")
        return next((text for text in known if text in page), "")

    assert eventually(lambda: told(alice), within=5) == "Your term has ended"
    assert eventually(lambda: told(bob), within=5) == "The other line is closed."


@pytest.mark.parametrize("world", [2], indirect=True)
def test_device_held_on_one_line_passes_on_the_other_alone(world: World) -> None:
    other = "pool_0000000000000002"
    world.permit()
    world.permit(pool=other)
    world.start_agent()
    alice = world.client()
    bob = world.client(pool=other)
    held = {"hold_at": int(world.site.now()) - 60}
    world.site.put(msgspec.structs.replace(alice.record, **held), pool=other)
    world.site.put(msgspec.structs.replace(bob.record, **held))
    world.applied()

    assert (alice.ping("203.0.113.9"), bob.ping("203.0.113.9")) == (1, 1)
    assert len(world.elements("open")) == 2

    world.site.put(msgspec.structs.replace(alice.record, **held))
    world.applied()

    assert (alice.ping("203.0.113.9", wait=0.3), bob.ping("203.0.113.9")) == (0, 1)
