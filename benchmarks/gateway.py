"""A gateway's rules and packets when thousands of devices are loaded.

Real nft, wireguard-go and packets, in namespaces of its own. The machine is shared, so read the
ratios: each figure of ours stands beside the same work done bare, in the same run.

    sudo .venv/bin/python benchmarks/gateway.py

The agent itself is measured by `agent.py`, WireGuard alone by `backend.py`, a fleet by `fleet.py`.
"""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import feed
import tunnel_world
from ferriage.agent import bulk, plane, slots
from ferriage.agent.backend.userspace import SOCKETS
from ferriage.agent.nft import Nft
from ferriage.agent.system import run
from ferriage.config import AgentConfig
from netns import Namespace, address, join
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from ferriage import wire
    from tunnel_world import Client, World

LOADED = 100_000
SAMPLED = 60_000
SLOTS = 10_000
PEERS = 60_000
IPERF_SECONDS = 3
ROUNDS = 6
READINGS = 3


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def cpu() -> float:
    """Return the CPU seconds of this process and of the programs that it ran to their end."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, who))


def devices(first: int, count: int) -> list[wire.Device]:
    """Return devices with keys of their own, a thousand different speeds among them."""
    ends = time.time() + 86400
    return [
        feed.device(
            number,
            public_key=base64.b64encode(os.urandom(32)).decode(),
            hold_at=ends,
            rate_down_bps=100_000_000 + 8000 * (number % 1000),
        )
        for number in range(first, first + count)
    ]


def show(name: str, value: float, unit: str = "s", aim: str = "") -> None:
    print(f"{name:<58}{value:>9.3f} {unit:<7}{aim and 'aim ' + aim}")


# --- rules ------------------------------------------------------------------------------------


def rules(count: int) -> dict[str, float]:
    """Load so many slots at once and read their counters; to be run in a namespace of its own."""
    tables = Nft(AgentConfig())
    inner = [slots.inner(feed.ASSIGNMENT)]
    tables.install("bench", inner)
    now = time.time()
    wanted = plane.empty()
    for device in devices(1, count):
        plane.merge(wanted, plane.of_device(device, now, "wg0"))
    steps = plane.diff(plane.empty(), wanted, now)
    text = plane.render(steps, table=tables.table, guard=tables.guard, now=now)
    spent = cpu()
    few, many = bulk.split(steps)
    assert not few
    ours = timed(lambda: tables.fill(many, now))
    load_cpu, spent = cpu() - spent, cpu()
    read = min(timed(tables.counters) for _ in range(READINGS))
    read_cpu = (cpu() - spent) / READINGS
    bare_read = min(
        timed(lambda: [run("nft", "list", "set", "inet", "ferriage", name) for name in plane.USE])
        for _ in range(READINGS)
    )
    assert len(tables.counters()["use_dl"]) == count
    tables.install("bench", inner)
    run(
        "nft", "-f", "-", stdin="".join(f"flush {_kind(n)} inet ferriage {n}\n" for n in plane.SETS)
    )
    bare = timed(lambda: run("nft", "-f", "-", stdin=text))
    return {
        "load": ours,
        "load CPU": load_cpu,
        "bare load": bare,
        "read": read,
        "read CPU": read_cpu,
        "bare read": bare_read,
    }


def _kind(name: str) -> str:
    return "map" if name in plane.MAPS else "set"


def in_space(*arguments: str) -> dict[str, float]:
    """Run this file in a namespace of its own and return the figures that it prints."""
    space = Namespace("bench")
    try:
        printed = space.run(sys.executable, __file__, *arguments, within=600)
    finally:
        space.close()
    figures: dict[str, float] = json.loads(printed.splitlines()[-1])
    return figures


# --- packets ----------------------------------------------------------------------------------


def running(directory: Path, count: int) -> tuple[World, Client]:
    """Return a gateway with so many devices loaded, and one live customer."""
    world = tunnel_world.build(directory)
    world.permit()
    world.site.put(*devices(1000, count))
    world.start_agent()
    client = world.client(rate_down_bps=20_000_000_000, burst_bytes=100_000_000)
    eventually(lambda: client.ping(tunnel_world.INTERNET4), within=120, every=0.2)
    return world, client


def throughput(directory: Path) -> None:
    """TCP through our rules with many slots loaded beside a bare tunnel, in turn."""
    world, ours = running(directory, SLOTS)
    bare: Namespace | None = None
    try:
        bare = bare_tunnel(world, directory)
        server = world.internet.start("iperf3", "-s")
        pairs = [pair(ours.space, bare, first=number % 2 == 0) for number in range(ROUNDS)]
        server.kill()
    finally:
        if bare is not None:
            bare.close()
        world.close()
    for name, values in zip(("our rules", "bare"), zip(*pairs, strict=True), strict=True):
        show(f"TCP, {name}, {SLOTS:,} slots loaded", statistics.median(values), "Gbit/s")
    ratios = [mine / plain for mine, plain in pairs]
    spread = f"{min(ratios):.2f} … {max(ratios):.2f}"
    show(f"their ratio, {len(pairs)} pairs ({spread})", statistics.median(ratios), "", ">= 0.9")


def pair(ours: Namespace, bare: Namespace, *, first: bool) -> tuple[float, float]:
    """Return the rates of both; each goes first as often as second, since others come and go."""
    if first:
        return rate(ours), rate(bare)
    plain = rate(bare)
    return rate(ours), plain


def rate(space: Namespace) -> float:
    """Return Gbit/s of a TCP stream from the internet."""
    command = ("iperf3", "-c", tunnel_world.INTERNET4, "-R", "-J", "-t", str(IPERF_SECONDS))

    def measured() -> float:
        # The server says "busy" for a moment after the stream before.
        answer = json.loads(space.run(*command, check=False, within=60) or "{}")
        return float(answer.get("end", {}).get("sum_received", {}).get("bits_per_second", 0)) / 1e9

    return eventually(measured, within=60, every=0.5)


def bare_tunnel(world: World, directory: Path) -> Namespace:
    """Lay a tunnel over the same path by wireguard-go alone, without rules of ours."""
    space = Namespace("bare")
    join(space, world.gateway, names=("out", "bare"))
    address(space, "out", "198.51.101.2/30")
    address(world.gateway, "bare", "198.51.101.1/30")
    keys = [tunnel_world.private_key() for _ in range(2)]
    public = [tunnel_world.identity.wireguard_public(key) for key in keys]
    ends = (
        (world.gateway, "10.99.0.1/24", "10.99.0.2/32", ("listen-port", "51999"), ()),
        (space, "10.99.0.2/32", "0.0.0.0/0", (), ("endpoint", "198.51.101.1:51999")),
    )
    for number, (end, own, allowed, port, endpoint) in enumerate(ends):
        name = f"bare{os.getpid()}{number}"
        end.start("wireguard-go", "--foreground", name)
        eventually((SOCKETS / f"{name}.sock").exists, within=5)
        file = directory / f"{name}.key"
        file.write_text(keys[number])
        peer = ("peer", public[1 - number], "allowed-ips", allowed, *endpoint)
        end.run("wg", "set", name, *port, "private-key", str(file), *peer)
        address(end, name, own)
        end.run("ip", "link", "set", name, "up", "mtu", "1280")
    space.run("ip", "route", "add", "default", "dev", f"bare{os.getpid()}1")
    world.internet.run("ip", "route", "add", "10.99.0.0/24", "via", "203.0.113.1")
    return space


def pings(directory: Path) -> None:
    """A live customer's ping while the agent adds tens of thousands of peers."""
    world, client = running(directory, 1)
    log = directory / "ping.log"
    try:
        program = client.space.start(
            *("ping", "-n", "-i", "0.01", "-W", "2", tunnel_world.INTERNET4), output=log
        )
        eventually(lambda: log.exists() and log.read_text().count("icmp_seq") > 200, within=20)
        quiet = delays(log)
        world.site.put(*devices(1001, PEERS))
        revision = world.site.rev
        took = timed(
            lambda: eventually(
                lambda: world.site.reports[-1].pools[0].rev == revision, within=300, every=0.2
            )
        )
        program.send_signal(signal.SIGINT)
        program.wait(10)
    finally:
        world.close()
    busy = delays(log)[len(quiet) :]
    lost = re.search(r"([\d.]+)% packet loss", log.read_text())
    show(f"{PEERS:,} devices in one batch, from the site to the report", took)
    show("a live customer's ping before, median", statistics.median(quiet), "ms")
    show("meanwhile, median", statistics.median(busy), "ms")
    at = sorted(busy)[int(len(busy) * 0.99)]
    show(f"meanwhile, 99 of 100 (lost {lost[1] if lost else '?'} %)", at, "ms", "<= 150")
    show("meanwhile, longest", max(busy), "ms")


def delays(log: Path) -> list[float]:
    """Return the milliseconds of each answer."""
    return [float(value) for value in re.findall(r"time=([\d.]+) ms", log.read_text())]


def main() -> None:
    """Measure and print."""
    loaded, sampled = in_space(str(LOADED)), in_space(str(SAMPLED))
    show(f"nft loads {LOADED:,} slots in one transaction", loaded["load"], "s", "<= 2")
    show("of it CPU, the kernel's with it", loaded["load CPU"], "s")
    show("beside nft alone", loaded["load"] / loaded["bare load"], "")
    show(f"counters of {SAMPLED:,} slots read", sampled["read"], "s", "<= 1.5")
    show("of it CPU, the kernel's with it", sampled["read CPU"], "s")
    show("beside nft's listing alone", sampled["read"] / sampled["bare read"], "")
    for part in (throughput, pings):
        with tempfile.TemporaryDirectory(prefix="ferriage-bench-") as directory:
            part(Path(directory))


if len(sys.argv) > 1:
    print(json.dumps(rules(int(sys.argv[1]))))
else:
    main()
