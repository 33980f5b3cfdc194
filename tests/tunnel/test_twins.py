"""Two agents with one identity: one of them changes what runs, the other touches nothing."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import pytest

from netns import Namespace, address, join
from support import eventually
from tunnel_world import INTERNET4, SITE4, steady_ping

if TYPE_CHECKING:
    from pathlib import Path

    from ferriage import wire
    from tunnel_world import Client, World

pytestmark = pytest.mark.tunnel

HERE4 = "203.0.114.1"


@dataclass
class Twin:
    """A host of its own with a copy of the gateway's state directory."""

    world: World
    space: Namespace
    config: Path
    interface: str

    @property
    def log(self) -> str:
        path = self.world.directory / "twin.log"
        return path.read_text() if path.exists() else ""

    def start(self) -> None:
        home, self.world.gateway = self.world.gateway, self.space
        try:
            self.world.program("run", self.config, log="twin.log")
        finally:
            self.world.gateway = home

    def peers(self) -> set[str]:
        out = self.space.run("wg", "show", self.interface, "peers", check=False)
        return set(out.split())

    def move_here(self, client: Client) -> None:
        """Lay a cable from a client to this host and point its tunnel here."""
        join(client.space, self.space, names=("out2", "cust"))
        address(client.space, "out2", "198.51.101.2/30")
        address(self.space, "cust", "198.51.101.1/30")
        client.space.run(
            *("wg", "set", client.interface, "peer", self.world.site.wireguard_key),
            *("endpoint", "198.51.101.1:51820"),
        )


def twin_of(world: World) -> Twin:
    """Copy the state directory to a host that has its own way to site and internet."""
    space = Namespace("t")
    world.spaces.append(space)
    join(space, world.home, names=("site", "in2"))
    address(space, "site", "192.0.3.1/24")
    address(world.home, "in2", "192.0.3.10/24")
    space.run("ip", "route", "add", f"{SITE4}/32", "via", "192.0.3.10")
    join(space, world.internet, names=("wan", "in2"))
    address(space, "wan", f"{HERE4}/24")
    address(world.internet, "in2", "203.0.114.9/24")
    space.run("ip", "route", "add", f"{INTERNET4}/32", "via", "203.0.114.9")
    shutil.copytree(world.directory / "state", world.directory / "copy")
    text = world.config_path.read_text().replace('"state"', '"copy"')
    prefix = world.interface.removesuffix("0")
    text = text.replace(f'"{prefix}"', f'"{prefix[:-1]}t"').replace("/run", "/twin")
    config = world.directory / "twin.toml"
    config.write_text(text)
    return Twin(world, space, config, f"{prefix[:-1]}t0")


def _peers(world: World) -> set[str]:
    return set(world.gateway.run("wg", "show", world.interface, "peers").split())


def _renewed(client: Client) -> wire.Device:
    return msgspec.structs.replace(
        client.record, generation=2, hold_at=client.record.hold_at + 86400
    )


def _reports_of(world: World, instance: str) -> list[wire.Report]:
    return [report for report in world.site.reports if report.instance == instance]


def test_copy_is_refused_takes_over_when_the_first_is_dead_and_the_first_then_stands_still(
    world: World,
) -> None:
    world.site.lease_seconds = 6
    world.permit()
    world.start_agent()
    alice, bob = world.client(), world.client()
    world.applied()
    assert (alice.ping(INTERNET4), bob.ping(INTERNET4)) == (1, 1)
    first = world.site.lease
    twin = twin_of(world)

    with steady_ping(alice, INTERNET4, world.directory) as lines:
        twin.start()
        eventually(lambda: len(world.site.refused) > 1, within=30)
        world.site.put(_renewed(alice))
        world.applied()
        seen = len(world.site.refused)
        eventually(lambda: len(world.site.refused) > seen, within=30)
    assert re.search(r" 0% packet loss", "\n".join(lines))
    assert (world.site.lease, world.site.fence) == (first, 1)
    assert "Another agent with this identity" in twin.log
    assert twin.space.run("nft", "list", "ruleset") == ""
    assert twin.space.run("ip", "-br", "link", "show", twin.interface, check=False) == ""

    world.kill_agent()
    counted = world.site.reports[-1].usage[-1]
    eventually(lambda: world.site.fence == 2, within=30)
    second = world.site.lease
    eventually(lambda: twin.peers() == _peers(world), within=30)
    twin.move_here(alice)
    eventually(lambda: alice.ping(INTERNET4, wait=0.3), within=20)
    assert bob.ping(INTERNET4) == 1  # the dead agent's gateway forwards on

    world.start_agent()
    seen = len(world.site.refused)
    eventually(lambda: len(world.site.refused) > seen + 1, within=30)
    with steady_ping(bob, INTERNET4, world.directory) as lines:
        world.site.delete(bob.record.id)
        eventually(lambda: len(twin.peers()) == 1, within=30)
        seen = len(world.site.refused)
        eventually(lambda: len(world.site.refused) > seen + 1, within=30)
        assert len(_peers(world)) == 2
    assert re.search(r" 0% packet loss", "\n".join(lines))
    assert (world.site.lease, world.site.fence) == (second, 2)
    assert world.site.refused[-1].instance == first
    assert "Another agent with this identity" in world.log
    # Nobody ends or repeats a count that is the other one's.
    others = [row for report in _reports_of(world, second) for row in report.usage]
    assert counted.incarnation not in {row.incarnation for row in others}


def test_moved_directory_asks_before_anything_is_touched_and_waits_for_a_dead_site(
    world: World,
) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    world.kill_agent()
    twin = twin_of(world)
    world.site.stop()

    twin.start()

    eventually(lambda: twin.log.count("report.failed") > 1, within=30)
    assert "This state directory was copied or moved" in twin.log
    assert twin.space.run("nft", "list", "ruleset") == ""
    assert alice.ping(INTERNET4) == 1
