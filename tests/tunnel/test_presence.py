"""Who falls silent is forgotten; who is there outlives a crash of WireGuard."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support import eventually
from tunnel_world import BACKEND, steady_ping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunnel_world import Client, World

pytestmark = pytest.mark.tunnel


class _Shown(NamedTuple):
    endpoint: str
    handshake: str
    keepalive: str


def _shown(world: World, client: Client) -> _Shown:
    """Return what the gateway's WireGuard knows of a client."""
    out = world.gateway.run("wg", "show", world.interface, "dump")
    rows = {row.split("\t")[0]: row.split("\t") for row in out.splitlines()[1:]}
    row = rows[client.record.public_key]
    return _Shown(row[2], row[4], row[7])


def _reported(world: World) -> None:
    """Wait for a report that was begun after this call."""
    seen = len(world.site.reports)
    eventually(lambda: len(world.site.reports) > seen + 1, within=10)


def _lose_wireguard(world: World) -> None:
    if BACKEND == "kernel":  # which no program can crash
        world.gateway.run("ip", "link", "delete", "dev", world.interface)
        return
    pattern = f"^wireguard-go --foreground {world.interface}$"
    os.kill(int(world.gateway.run("pgrep", "-f", pattern)), signal.SIGKILL)


def _seconds_until_back(client: Client) -> float:
    began = time.monotonic()
    eventually(lambda: client.ping("203.0.113.9", wait=0.1), within=20)
    return time.monotonic() - began


@pytest.fixture
def memory(world: World) -> Iterator[Path]:
    """A run directory on tmpfs, which the others are not."""
    path = Path("/dev/shm") / f"fer-{os.getpid()}-{time.monotonic_ns()}"  # noqa: S108 -- tmpfs is the point
    text = world.config_path.read_text()
    world.config_path.write_text(text.replace(f"{world.directory}/run", str(path)))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def test_silent_peer_is_forgotten_whole_and_an_active_one_never(world: World) -> None:
    world.config_path.write_text(world.config_path.read_text() + "forget_seconds = 2\n")
    world.permit()
    world.start_agent()
    alice, bob = world.client(), world.client()
    world.applied()
    alice.get("203.0.113.9")
    assert bob.ping("203.0.113.9") == 1
    assert alice.record.ip4 in world.gateway.run("conntrack", "-L")
    assert _shown(world, alice).endpoint.startswith("198.51.100.")
    active = _shown(world, bob)

    with steady_ping(bob, "203.0.113.9", world.directory) as lines:
        eventually(lambda: _shown(world, alice).endpoint == "(none)", within=10)
        _reported(world)
        counted = world.site.reports[-1].usage[-1]

    assert _shown(world, alice) == ("(none)", "0", "off")
    assert alice.record.ip4 not in world.gateway.run("conntrack", "-L")
    assert re.search(r" 0% packet loss", "\n".join(lines))
    assert _shown(world, bob) == active
    # A client's own session ends after 180 s; here it is told to forget it sooner.
    alice.reconnect()
    assert alice.ping("203.0.113.9") == 1
    assert int(_shown(world, alice).handshake) > 0
    _reported(world)
    later = world.site.reports[-1].usage[-1]
    assert later.incarnation == counted.incarnation
    assert later.bytes_up >= counted.bytes_up + 84 > 84


def test_live_client_goes_on_within_two_seconds_after_wireguard_was_killed(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.ping("203.0.113.9") == 1
    _reported(world)

    _lose_wireguard(world)
    taken = _seconds_until_back(alice)

    assert taken < 2
    eventually(lambda: _shown(world, alice).keepalive == "off", within=5)
    assert not (world.directory / "run" / "endpoints.json").exists()
    assert "endpoints.not_saved" in world.log


def test_endpoints_on_tmpfs_outlive_agent_and_wireguard(world: World, memory: Path) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.ping("203.0.113.9") == 1
    _reported(world)
    world.kill_agent()
    _lose_wireguard(world)

    world.start_agent()
    eventually(lambda: "peers.woken" in world.log, within=10)
    taken = _seconds_until_back(alice)

    assert taken < 1
    assert (memory / "endpoints.json").stat().st_mode & 0o777 == 0o600


def test_hold_page_is_served_again_on_an_interface_made_anew(world: World) -> None:
    world.permit()
    world.start_agent()
    world.program("hold")
    alice = world.client(hold_in=-60)
    world.applied()
    assert b" 511 " in eventually(lambda: alice.get("203.0.113.9"), within=5)
    _reported(world)

    _lose_wireguard(world)

    assert b" 511 " in eventually(lambda: alice.get("203.0.113.9", within=1), within=8)
