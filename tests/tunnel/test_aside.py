"""What keeps one pool's interface from being as it should be concerns nobody of another pool."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support import eventually
from tunnel_world import INTERNET4

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunnel_world import Client, World

pytestmark = pytest.mark.tunnel

TWO_POOLS = pytest.mark.parametrize("world", [2], indirect=True)


@contextmanager
def _taken(world: World, port: int) -> Iterator[None]:
    """Let another program hold a UDP port of the gateway."""
    with world.gateway.entered():
        holder = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with holder:
        holder.bind(("::", port))
        yield


def _permit_all(world: World) -> None:
    for pool in world.site.feeds:
        world.permit(pool=pool)


def _second(world: World) -> Client:
    return world.client(pool=max(world.site.feeds))


def _warned(world: World, word: str) -> bool:
    return any(word in text for text in world.site.reports[-1].warnings)


@TWO_POOLS
def test_port_that_is_taken_costs_only_its_own_pool(world: World) -> None:
    port = world.site.feeds[max(world.site.feeds)].assignment.listen_port
    with _taken(world, port):
        _permit_all(world)
        world.start_agent()
        alice, bob = world.client(), _second(world)
        eventually(lambda: alice.ping(INTERNET4, wait=0.5) == 1, within=30)
        assert bob.ping(INTERNET4, wait=0.5) == 0
        eventually(lambda: _warned(world, f"at UDP port {port}"), within=20)

        world.gateway.run("nft", "flush", "ruleset")
        eventually(lambda: alice.ping(INTERNET4, wait=0.5) == 1, within=30)

        world.site.delete(alice.record.id)
        eventually(lambda: alice.ping(INTERNET4, wait=0.5) == 0, within=20)

    eventually(lambda: bob.ping(INTERNET4, wait=0.5) == 1, within=40)
    eventually(lambda: not _warned(world, f"at UDP port {port}"), within=20)


@TWO_POOLS
def test_rules_of_routing_that_somebody_flushed_come_again_and_are_told(world: World) -> None:
    _permit_all(world)
    world.start_agent()
    alice, bob = world.client(), _second(world)
    world.applied()
    assert (alice.ping(INTERNET4), bob.ping(INTERNET4)) == (1, 1)

    for family in ("-4", "-6"):
        world.gateway.run("ip", family, "rule", "flush")
        world.gateway.run("ip", family, "rule", "add", "pref", "32766", "lookup", "main")

    eventually(lambda: bob.ping(INTERNET4, wait=0.5) == 1, within=30)
    assert alice.ping(INTERNET4) == 1
    eventually(lambda: {sign.kind for sign in world.site.reports[-1].signs} >= {"route"}, within=20)


def test_host_with_ipv6_turned_off_serves_all_the_same(world: World) -> None:
    for where in ("all", "default"):
        world.gateway.run("sysctl", "-w", f"net.ipv6.conf.{where}.disable_ipv6=1")
    world.permit()
    world.start_agent()
    alice = world.client()

    eventually(lambda: alice.ping(INTERNET4, wait=0.5) == 1, within=30)
    world.applied()
    assert not world.site.reports[-1].warnings
