"""`ferriage agent doctor` on a gateway that is well, and on one that lacks one thing each.

What the agent reports to the site is found by the same looking, so it is judged beside it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ferriage import wire
from ferriage.agent import checks
from support import eventually
from tunnel_world import INTERNET4, build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunnel_world import Client, World

pytestmark = pytest.mark.tunnel


def _doctor(world: World, **environ: str) -> tuple[int, list[str], str]:
    """Return exit code, the lines that name a failure, and everything said."""
    done = subprocess.run(
        [
            *("ip", "netns", "exec", world.gateway.name),
            *(sys.executable, "-m", "ferriage", "agent", "doctor"),
        ],
        env={**os.environ, "FERRIAGE_CONFIG": str(world.config_path), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = done.stdout + done.stderr
    return done.returncode, [line[2:] for line in said.splitlines() if line[0] == "✗"], said


def _reported(world: World) -> dict[str, tuple[str, str]]:
    """Return state and remedy by slug, of the checks reported last."""
    told = next(report.checks for report in reversed(world.site.reports) if report.checks)
    return {check.slug: (check.state, check.remedy) for check in told}


def _told(world: World, slug: str, remedy: str) -> None:
    eventually(lambda: _reported(world).get(slug) == ("failed", remedy), within=40)


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Client]]:
    """One gateway that serves a customer and lacks nothing; each test puts back what it took."""
    world = build(tmp_path_factory.mktemp("well"))
    try:
        world.gateway.run("ip", "route", "add", "default", "via", INTERNET4)
        world.gateway.run("ip", "-6", "route", "add", "default", "via", "2001:db8:2::9")
        world.permit()
        client = world.client()
        world.start_agent()
        world.applied()
        eventually(lambda: client.ping(INTERNET4) == 1, within=15)
        yield world, client
    finally:
        world.close()


def test_healthy_gateway_is_called_so(well: tuple[World, Client]) -> None:
    world, _ = well

    code, failed, said = _doctor(world)

    assert (code, failed) == (0, []), said
    signs = {line[:1] for line in said.splitlines() if not line.startswith(" ")}
    assert signs <= {"✓", "!"}
    remarks = re.findall(r"^! (.*)$", said, re.MULTILINE)
    assert [line for line in remarks if "which is slow" not in line] == []


def test_healthy_gateway_reports_the_same(well: tuple[World, Client]) -> None:
    world, _ = well

    eventually(lambda: _reported(world).get("handshake") == ("ok", ""), within=40)

    build = world.gateway.run("wireguard-go", "--version")
    assert _reported(world) == {
        "wireguard": ("ok", checks.of_build(build).remedy),
        "outside": ("ok", ""),
        "handshake": ("ok", ""),
        "ipv4": ("ok", ""),
        "ipv6": ("ok", ""),
        "forwarding": ("ok", ""),
        "resolver": ("ok", ""),
        "connections": ("ok", ""),
        "inner": ("ok", ""),
        "clock": ("ok", ""),
        "line": ("ok", ""),
    }


def test_wrong_clock_is_told(well: tuple[World, Client]) -> None:
    world, _ = well
    world.site.clock_offset = 100
    try:
        code, failed, said = _doctor(world)
    finally:
        world.site.clock_offset = 0

    assert code == 1
    assert [re.sub(r"-\d+", "-N", line) for line in failed] == ["this host's clock is -N s off"]
    assert "timedatectl" in said


def test_foreign_chain_that_drops_is_named_and_not_changed(well: tuple[World, Client]) -> None:
    world, _ = well
    run = world.gateway.run
    run("nft", "add", "table", "ip", "filter")
    hook = "{ type filter hook forward priority 0; policy drop; }"
    run("nft", "add", "chain", "ip", "filter", "FORWARD", hook)
    run("nft", "add", "chain", "ip", "filter", "DOCKER")
    before = run("nft", "list", "table", "ip", "filter")
    try:
        code, failed, _ = _doctor(world)
        after = run("nft", "list", "table", "ip", "filter")
    finally:
        run("nft", "delete", "table", "ip", "filter")

    assert (code, failed) == (
        1,
        ["the chain ip filter FORWARD (set by docker) drops what passes"],
    )
    assert after == before


def test_dead_resolver_is_told_by_both(well: tuple[World, Client]) -> None:
    world, _ = well
    run = world.gateway.run
    rule = ("output", "oif", "lo", "udp", "dport", "53", "drop")
    run("nft", "add", "table", "inet", "deaf")
    run("nft", "add", "chain", "inet", "deaf", "output", "{ type filter hook output priority 0; }")
    run("nft", "add", "rule", "inet", "deaf", *rule)
    try:
        code, failed, _ = _doctor(world)
        told = len(failed) == 1 and failed[0].startswith("the resolver 10.64.0.1 is silent")
        assert (code, told) == (1, True), failed
    finally:
        run("nft", "delete", "table", "inet", "deaf")


def test_agent_that_does_not_run_is_told(well: tuple[World, Client]) -> None:
    world, _ = well
    world.kill_agent()
    try:
        code, failed, said = _doctor(world)
    finally:
        world.start_agent()
        eventually(lambda: _doctor(world)[0] == 0, within=60)

    assert code == 1
    assert failed == [
        "no agent runs here: nothing new is applied, and the shop calls this gateway silent"
    ]
    assert "ferriage-agent" in said


def test_named_uplink_needs_no_default_route(well: tuple[World, Client]) -> None:
    world, _ = well
    run = world.gateway.run
    run("ip", "route", "del", "default")
    try:
        code, failed, _ = _doctor(world)
    finally:
        run("ip", "route", "add", "default", "via", INTERNET4)

    # The settings name the uplink, which still leads to its own network: a line may need no more.
    assert (code, failed) == (0, [])


def test_uplink_without_any_route_is_told(well: tuple[World, Client]) -> None:
    world, _ = well

    code, failed, _ = _doctor(world, FERRIAGE_AGENT_UPLINK="nowhere")

    assert (code, failed) == (1, ["no IPv4 exit"])


def test_hub_that_is_not_reached_is_told(well: tuple[World, Client]) -> None:
    world, _ = well
    run = world.gateway.run
    run("nft", "add", "table", "inet", "far")
    run("nft", "add", "chain", "inet", "far", "output", "{ type filter hook output priority 0; }")
    run("nft", "add", "rule", "inet", "far", "output", "tcp", "dport", "8000", "reject")
    try:
        code, failed, _ = _doctor(world)
    finally:
        run("nft", "delete", "table", "inet", "far")

    assert code == 1
    assert [line.split(":")[0] for line in failed] == [
        "the site was not reached",
        "the hub was not reached",
    ]


def test_line_that_is_held_is_told_by_both(well: tuple[World, Client]) -> None:
    world, _ = well
    world.permit(state="held")
    try:
        world.applied()
        _told(world, "line", "line-not-open")
        code, failed, _ = _doctor(world)
    finally:
        world.permit()
        world.applied()

    assert (code, failed) == (1, [f"line {world.site.assignment.line} is held"])


def test_permit_that_never_came_is_told(world: World) -> None:
    code, failed, said = _doctor(world)

    assert code == 1
    assert f"line {world.site.assignment.line}: no permit has come" in failed
    assert "no tunnel interface is up" in failed
    assert "start the agent" in said


def test_probe_may_try_a_handshake_and_is_no_customer(world: World) -> None:
    world.permit()
    client = world.client()
    world.site.probe_key = client_key = "cHJvYmVwcm9iZXByb2JlcHJvYmVwcm9iZXByb2JlcHI="
    world.start_agent()
    world.applied()

    def peers() -> dict[str, str]:
        out = world.gateway.run("wg", "show", world.interface, "allowed-ips")
        return dict(line.split("\t") for line in out.splitlines())

    eventually(lambda: client_key in peers(), within=15)

    assert peers()[client_key] == "(none)"
    assert len(peers()) == 2
    eventually(lambda: world.site.reports[-1].pools[0].peers == 1, within=10)
    assert client.ping(INTERNET4) == 1
    world.site.probe_key = ""
    eventually(lambda: client_key not in peers(), within=15)


def test_newer_agent_serves_for_a_site_of_the_release_before(world: World) -> None:
    world.site.spoken = older = wire.SPOKEN[0]
    world.permit()
    client = world.client()

    world.start_agent()
    world.applied()

    assert client.ping(INTERNET4) == 1
    assert {report.format for report in world.site.reports} == {older}
    assert {report.checks for report in world.site.reports} == {()}
    assert "format.older" in world.log


def test_resolver_that_finds_nothing_is_told_from_one_that_does_not_run(
    well: tuple[World, Client],
) -> None:
    # The last one here: for minutes Unbound goes on to hold its servers for silent.
    world, _ = well
    run = world.gateway.run
    run("nft", "add", "table", "inet", "shut")
    run("nft", "add", "chain", "inet", "shut", "output", "{ type filter hook output priority 0; }")
    run("nft", "add", "rule", "inet", "shut", "output", "oif", "wan", "udp", "dport", "53", "drop")
    told: list[tuple[int, list[str], str]] = []
    try:  # what it was answered before is known for some seconds
        eventually(lambda: told.append(_doctor(world)) or told[-1][0] == 1, within=60)
    finally:
        run("nft", "delete", "table", "inet", "shut")

    _, failed, said = told[-1]
    assert failed == ["the resolver runs and gets no answer from the internet"]
    assert "agent.resolver_upstream" in said
