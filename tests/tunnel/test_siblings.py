"""Two pools of one line on one gateway, and a gateway that staff close.

alice ──┐ UDP 51820  ┌───────────┐
        ├── pool 1 ──┤  gateway  ├── internet
        ├── pool 2 ──┤  (agent)  │
bob   ──┘ UDP 51821  └─────┬─────┘
                           └── stand-in site and hub
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from feed import POOL
from support import eventually

if TYPE_CHECKING:
    from tunnel_world import Client, World

pytestmark = [pytest.mark.tunnel]
OTHER = f"{POOL[:-1]}2"
KEPT = {"identity.json", "signing.key", "wireguard.key", "state.sqlite3"}
WEB = "203.0.113.9"
SIBLINGS = pytest.mark.parametrize("world", ["siblings"], indirect=True)


def _two(world: World) -> tuple[Client, Client]:
    """Open the line in both pools and connect a customer to each."""
    world.permit(serial=1)
    world.permit(serial=1, pool=OTHER)
    world.start_agent()
    alice, bob = world.client(), world.client(pool=OTHER)
    world.applied()
    assert (alice.ping(WEB), bob.ping(WEB)) == (1, 1)
    assert bob.ping(alice.record.ip4, wait=0.3) == 0
    return alice, bob


def _silent(*clients: Client) -> bool:
    return not any(client.ping(WEB, wait=0.1) for client in clients)


@SIBLINGS
def test_what_one_pool_hears_of_the_line_closes_and_opens_both(world: World) -> None:
    alice, bob = _two(world)

    world.permit(state="held", serial=2, pool=OTHER)
    eventually(lambda: _silent(alice, bob), within=2)
    world.permit(serial=3)
    eventually(lambda: alice.ping(WEB, wait=0.1) and bob.ping(WEB, wait=0.1), within=3)

    world.permit(state="held", serial=2, pool=OTHER)  # late: the first pool knows better
    world.applied()
    assert (alice.ping(WEB), bob.ping(WEB)) == (1, 1)
    assert [status.permit_serial for status in world.site.reports[-1].pools] == [3, 3]


@SIBLINGS
def test_revocation_in_both_feeds_outlives_the_agent(world: World) -> None:
    alice, bob = _two(world)

    for pool in (POOL, OTHER):
        world.permit(state="held", serial=2, pool=pool)
    eventually(lambda: _silent(alice, bob), within=2)
    world.kill_agent()
    world.start_agent()
    world.applied()

    assert _silent(alice, bob)
    assert [status.line_open for status in world.site.reports[-1].pools] == [False, False]


@SIBLINGS
def test_closed_gateway_takes_its_tunnels_down_and_stays_down(world: World) -> None:
    alice, bob = _two(world)

    world.site.close_gateway("site", "hub")
    eventually(lambda: _silent(alice, bob), within=2)
    assert world.agent is not None
    assert world.agent.wait(10) == 77
    world.start_agent()
    assert world.agent.wait(10) == 77

    assert _silent(alice, bob)
    assert "was closed for good" in world.log
    assert world.gateway.run("ip", "-br", "link", "show", "type", "wireguard").strip() == ""
    assert world.interface not in world.gateway.run("ip", "-br", "link")
    assert {name for name in KEPT if (world.directory / "state" / name).exists()} == KEPT


def test_hub_alone_closes_no_gateway(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()

    world.site.close_gateway("hub")
    seen = len(world.site.reports)
    eventually(lambda: len(world.site.reports) > seen + 2, within=10)

    assert alice.ping(WEB) == 1
    assert world.agent is not None
    assert world.agent.poll() is None
