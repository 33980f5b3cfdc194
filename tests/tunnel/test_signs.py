"""Somebody changes the gateway behind the agent's back: it is put right, and told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import feed
from exposition import named_well, samples
from support import eventually
from tunnel_world import private_key

if TYPE_CHECKING:
    from tunnel_world import World

pytestmark = pytest.mark.tunnel

PROBE = "cHJvYmVwcm9iZXByb2JlcHJvYmVwcm9iZXByb2JlcHI="


def _told(world: World) -> dict[str, int]:
    reports = world.site.reports
    signs = reports[-1].signs if reports else ()
    return {sign.kind: sign.count for sign in signs if sign.kind != "slow-build"}


def test_changes_by_somebody_else_are_told_and_our_own_are_not(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    world.client()
    world.site.delete(alice.record.id)
    world.permit(seconds=7200)
    world.applied()
    world.site.probe_key = PROBE
    eventually(
        lambda: PROBE in world.gateway.run("wg", "show", world.interface, "peers"), within=15
    )
    seen = len(world.site.reports)
    eventually(lambda: len(world.site.reports) > seen + 2, within=15)
    assert _told(world) == {}

    world.gateway.run("nft", "flush", "ruleset")
    eventually(lambda: _told(world) == {"table": 1}, within=20)
    world.gateway.run("nft", "flush", "set", "inet", "ferriage", "cap_up")
    eventually(lambda: _told(world) == {"table": 1, "element": 1}, within=20)
    world.gateway.run("wg", "set", world.interface, "peer", private_key())
    eventually(lambda: _told(world) == {"table": 1, "element": 1, "peer": 1}, within=20)
    world.gateway.run("ip", "link", "delete", "dev", world.interface)
    eventually(
        lambda: _told(world) == {"table": 1, "element": 1, "peer": 1, "interface": 1}, within=20
    )


def test_figures_lie_beside_the_hold_file_and_name_no_device(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.ping("203.0.113.9") == 1
    path = world.directory / "run" / "metrics.prom"

    def shown() -> dict[str, float]:
        return samples(path.read_text()) if path.exists() else {}

    pool = f'pool="{feed.POOL}"'
    eventually(lambda: shown().get(f"ferriage_agent_peers{{{pool}}}") == 1, within=10)
    eventually(
        lambda: shown()[f'ferriage_agent_bytes_total{{direction="up",{pool}}}'] > 0, within=10
    )

    found = shown()
    assert found[f"ferriage_agent_applied_revision{{{pool}}}"] == world.site.rev
    assert found[f"ferriage_agent_apply_seconds_count{{{pool}}}"] >= 1
    assert 3500 < found[f"ferriage_agent_permit_left_seconds{{{pool}}}"] <= 3600
    assert found["ferriage_agent_lease_held"] == 1
    assert found['ferriage_agent_nft_elements{set="open"}'] == 1
    assert named_well(path.read_text()) == []
    assert alice.record.id not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o644
