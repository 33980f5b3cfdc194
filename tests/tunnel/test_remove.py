"""`ferriage agent remove`: a host that was a gateway is as it was before."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import eventually

if TYPE_CHECKING:
    from tunnel_world import World

pytestmark = pytest.mark.tunnel

SETTINGS = r"^net\.(ipv[46]\.conf\.|ipv4\.ip_forward|netfilter\.nf_conntrack_tcp_timeout)"
PLACES = ("/etc/sysctl.d", "/run/sysctl.d", "/etc/systemd/system", "/etc/nftables.conf")


def _host(world: World) -> dict[str, str]:
    """Return all of the host's network that an agent touches."""
    run = world.gateway.run
    return {
        "links": "\n".join(
            sorted(re.findall(r"^\d+: (\S+?)[@:]", run("ip", "-o", "link"), re.MULTILINE))
        ),
        "rules": run("ip", "-4", "rule", "show") + run("ip", "-6", "rule", "show"),
        "routes": run("ip", "-4", "route", "show", "table", "all"),
        "ruleset": run("nft", "-s", "list", "ruleset"),
        "settings": run("sysctl", "-a", "--pattern", SETTINGS),
        "files": "\n".join(
            f"{path} {path.stat().st_mtime_ns}"
            for place in map(Path, PLACES)
            for path in sorted([place, *place.rglob("*")])
            if path.exists()
        ),
    }


def _somebody_elses_rules(world: World) -> None:
    """Let the host have a firewall of its own, with a set and a counter."""
    world.gateway.run("nft", "add", "table", "inet", "house")
    hook = "{ type filter hook input priority 0; policy accept; }"
    world.gateway.run("nft", "add", "chain", "inet", "house", "input", hook)
    world.gateway.run(
        "nft", "add", "rule", "inet", "house", "input", "tcp", "dport", "22", "accept"
    )


def _remove(world: World, *more: str) -> tuple[int, str]:
    command = (sys.executable, "-m", "ferriage", "agent", "remove", *more)
    done = subprocess.run(
        ["ip", "netns", "exec", world.gateway.name, *command],
        env={**os.environ, "FERRIAGE_CONFIG": str(world.config_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def _ended(number: int) -> bool:
    """Tell whether a process has ended, though nobody may have asked yet how."""
    path = Path(f"/proc/{number}/cmdline")
    return not path.exists() or path.read_bytes() == b""


def _serving(world: World) -> dict[str, str]:
    """Let the gateway serve a client, and return what its host was like before."""
    world.permit()
    client = world.client()
    before = _host(world)
    world.start_agent()
    world.applied()
    eventually(lambda: client.ping("203.0.113.9") == 1, within=10)
    return before


def test_host_that_was_a_gateway_is_as_it_was(world: World) -> None:
    _somebody_elses_rules(world)
    world.gateway.run("sysctl", "-qw", "net.ipv6.conf.wan.accept_ra=1")
    before = _serving(world)
    resolver = int((world.directory / "run/unbound.pid").read_text())
    world.kill_agent()

    code, said = _remove(world)

    assert code == 0, said
    sentences = said.splitlines()
    assert sentences[0] == f"Took away interface {world.interface} and its tunnels."
    assert "Put back net.ipv4.ip_forward = 0." in sentences
    assert "Put back net.ipv6.conf.wan.accept_ra = 1." in sentences
    assert "This host's network is as it was before it became a gateway." in sentences
    assert all(re.fullmatch(r"[A-Z`].*\.", one) for one in sentences), said
    assert _host(world) == before
    assert "net.ipv6.conf.wan.accept_ra = 1" in before["settings"]
    assert "table inet house" in before["ruleset"]
    assert _ended(resolver)
    assert not (world.directory / "run").exists()
    assert (world.directory / "state/identity.json").exists()


def test_second_removal_finds_nothing_and_forgetting_takes_the_keys(world: World) -> None:
    _serving(world)
    world.kill_agent()
    _remove(world)

    code, said = _remove(world)
    forgot, _ = _remove(world, "--forget")

    assert code == 0, said
    assert "Nothing of a gateway is left on this host." in said
    assert "--forget" in said
    assert forgot == 0
    assert not (world.directory / "state").exists()


def test_removed_gateway_comes_back_with_its_keys(world: World) -> None:
    _serving(world)
    world.kill_agent()
    _remove(world)

    world.start_agent()

    seen = len(world.site.reports)
    eventually(lambda: len(world.site.reports) > seen + 1, within=20)
    world.applied()
    assert world.interface in world.gateway.run("ip", "-o", "link")


def test_gateway_with_a_running_agent_is_not_removed(world: World) -> None:
    _serving(world)
    during = _host(world)

    code, said = _remove(world)

    assert code == 75
    assert "stop that one first; nothing was changed" in said
    assert _host(world) == during
