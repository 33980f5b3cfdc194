"""A gateway that was brought back with its identity and keys, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import eventually

if TYPE_CHECKING:
    from tunnel_world import World

pytestmark = pytest.mark.tunnel

KEPT = {"identity.json", "signing.key", "wireguard.key"}
"""What docs/how-to/run-gateways.md says to back up."""


def test_gateway_with_its_keys_alone_serves_again(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.ping("203.0.113.9") == 1
    world.kill_agent()
    world.gateway.run("ip", "link", "delete", "dev", world.interface)
    world.gateway.run("nft", "flush", "ruleset")
    for path in (world.directory / "state").iterdir():
        if path.name not in KEPT:
            path.unlink()
    world.site.reports.clear()

    world.start_agent()

    world.applied()
    assert eventually(lambda: alice.ping("203.0.113.9", wait=0.3), within=20) == 1
