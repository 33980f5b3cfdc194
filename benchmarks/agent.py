"""One gateway's agent at 1,000, 10,000 and 60,000 peers: what it costs, and how that grows.

Real nft and wireguard-go in a namespace of its own; no site, no packets. The machine is shared, so
read the ratios: the agent's own work beside a bare UAPI write of the same peers and a bare
`nft list` of the same table, taken in the same run.

    sudo .venv/bin/python benchmarks/agent.py
"""

from __future__ import annotations

import base64
import json
import logging
import os
import resource
import statistics
import sys
import tempfile
import time
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import structlog

import feed
from ferriage import wire
from ferriage.agent.backend import Link, links, uapi
from ferriage.agent.backend.userspace import SOCKETS, Userspace
from ferriage.agent.clock import SiteClock
from ferriage.agent.engine import Engine
from ferriage.agent.feed import Change
from ferriage.agent.identity import Identity
from ferriage.agent.nft import Nft
from ferriage.agent.quota import Quotas
from ferriage.agent.store import Store
from ferriage.agent.system import run
from ferriage.agent.usage import Meter
from ferriage.config import AgentConfig, Config
from netns import Namespace

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (1_000, 10_000, 60_000)
ROUNDS = 3
DELTAS = 30
WIREGUARD_KEY = base64.b64encode(bytes(32)).decode()
AIMS = {
    "cold start": "<= 3, <= 15 at 60,000",
    "cold start, our own CPU": "",
    "look without a change": "<= 0.3, <= 2",
    "look, our own CPU": "",
    "sample all counters": "<= 1.5 at 60,000",
    "one device, median": "<= 0.002, and <= 3 x at 60,000",
    "one device, 95th of 100": "",
    "one device, by UAPI alone": "",
    "digest and report": "",
    "memory now (MB)": "<= 100, <= 200",
    "memory, most (MB)": "",
    "restarted, all peers there": "",
    "peers that it touched": "0",
    "bare: peers by UAPI": "",
    "bare: read peers by UAPI": "",
    "bare: nft list table": "",
}


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def key() -> str:
    """Return what looks like a public key."""
    return base64.b64encode(os.urandom(32)).decode()


class Filled:
    """What a site holds, kept as no more than the agent needs to be told: else it were memory."""

    def __init__(self, home: Path, peers: int) -> None:
        self.now = time.time()
        self.rev = 1
        self.total = 0
        site = feed.Site("http://192.0.2.10", feed.ASSIGNMENT)
        site.set_permit(open_until=self.now + 86400, shop=feed.SHOP)
        signed = site.first.permit
        assert signed is not None
        self.permit_key = wire.public_key(site.permit_key)
        store = Store(home / "state.sqlite3")
        store.save_assignments([feed.ASSIGNMENT], "http://192.0.2.10")
        numbers = range(1, peers + 1)
        for part in batched(numbers, 1000):
            devices = [self.device(number) for number in part]
            self.total += sum(map(wire.record_hash, devices))
            store.save_batch(
                Change(
                    begin=self.begin("snapshot"),
                    puts={device.id: device for device in devices},
                    gone=frozenset(),
                    deferred=frozenset(),
                    permit=(wire.open_permit(self.permit_key, signed), signed),
                ),
                leaving=(),
                stands_rev=0,
            )
        store.close()

    def device(self, number: int) -> wire.Device:
        """Return a device with a key of its own."""
        return feed.device(number, public_key=key(), hold_at=self.now + 86400)

    def begin(self, kind: Literal["snapshot", "delta"]) -> wire.Begin:
        """Return the head of a batch that leads to what the site holds."""
        return wire.Begin(
            format=wire.FEED_FORMAT,
            batch=kind,
            pool=feed.POOL,
            epoch="epoch-1",
            after=self.rev - 1,
            rev=self.rev,
            count=1,
            digest=f"{self.total % (1 << 256):064x}",
            items_sha256="",
        )

    def added(self, number: int) -> wire.Batch:
        """Return a delta with one more device."""
        device = self.device(number)
        self.rev += 1
        self.total += wire.record_hash(device)
        return wire.Batch(begin=self.begin("delta"), items=(wire.Put(rev=self.rev, device=device),))


class Gateway:
    """An engine over a store that was filled as by a snapshot."""

    def __init__(self, home: Path, site: Filled) -> None:
        self.site = site
        self.home = home
        self.agent = AgentConfig(
            run_dir=str(home / "run"), interface_prefix=f"b{os.getpid()}x", uplink="lo"
        )
        self.engine = self.made()
        self.socket = uapi.Socket(SOCKETS / f"{self.agent.interface_prefix}0.sock")

    def made(self) -> Engine:
        """Return an engine as a started agent has it."""
        store = Store(self.home / "state.sqlite3")
        return Engine(
            config=Config(path=self.home / "ferriage.toml", agent=self.agent),
            identity=Identity(
                gateway="gw_0000000000000001",
                permit_key=self.site.permit_key,
                feed_key="",
                site_url="http://192.0.2.10",
                signing_key="",
                wireguard_key=WIREGUARD_KEY,
                instance="bench",
            ),
            store=store,
            clock=SiteClock(site_time=self.site.now),
            backend=Counting(program="wireguard-go"),
            nft=Nft(self.agent),
            meter=Meter(store, "boot"),
            quotas=Quotas(store, "boot"),
        )

    def add(self, number: int) -> float:
        """Take a delta with one more device; return the seconds until it is applied."""
        batch = self.site.added(number)
        return timed(lambda: self.engine.take(batch))

    def bare_add(self, number: int) -> float:
        """Return the seconds that a write of one more peer takes without the agent."""
        new = key()
        text = uapi.addition(
            new, [f"10.{201 + (number >> 16)}.{number >> 8 & 255}.{number & 255}/32"]
        )
        took = timed(lambda: self.socket.set(text))
        self.socket.set(uapi.removal(new))
        return took

    def bare(self, peers: int) -> float:
        """Return what it takes to write as many peers to a wireguard-go that has none yet."""
        name, port = f"b{os.getpid()}y", 51999
        Userspace(program="wireguard-go").ensure(Link(name, WIREGUARD_KEY, port, (), 1420))
        lines = (
            uapi.addition(key(), [f"10.200.{n // 250}.{n % 250}/32", f"fd99::{n:x}/128"])
            for n in range(peers)
        )
        ready = ["".join(part) for part in batched(lines, links.CHUNK)]
        bare = uapi.Socket(SOCKETS / f"{name}.sock")
        return timed(lambda: [bare.set(text) for text in ready])


class Counting(Userspace):
    """The back end, with a count of the peers it was told to touch."""

    touched = 0

    def apply(self, interface: str, *, remove: Any, add: Any) -> dict[str, str]:
        """See `Backend.apply`."""
        self.touched += len(remove) + len(add)
        return super().apply(interface, remove=remove, add=add)


def cpu() -> float:
    """Return the CPU seconds of this process and of the programs that it ran to their end.

    What wireguard-go takes is not in it, and others on the machine do not lengthen it much.
    """
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, who))


def memory(name: str) -> float:
    """Return VmRSS (now) or VmHWM (the most ever) of this process in MB."""
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name)) / 1000


def measure(home: Path, peers: int) -> dict[str, float]:
    """Measure one size; to be run in a namespace of its own."""
    site = Filled(home, peers)
    gateway = Gateway(home, site)
    engine = gateway.engine
    spent = cpu()
    figures = {"cold start": timed(engine.start)}
    figures["cold start, our own CPU"] = cpu() - spent
    status = engine.status()[0]
    assert (status.peers, status.digest) == (peers, site.begin("delta").digest)
    assert status.line_open
    spent = cpu()
    figures["look without a change"] = min(timed(engine.reconcile) for _ in range(ROUNDS))
    figures["look, our own CPU"] = (cpu() - spent) / ROUNDS
    figures["sample all counters"] = min(timed(engine.sample) for _ in range(ROUNDS))
    figures["digest and report"] = min(timed(engine.status) for _ in range(ROUNDS))
    pairs = [(gateway.add(peers + n), gateway.bare_add(peers + n)) for n in range(1, DELTAS + 1)]
    singles, alone = (sorted(column) for column in zip(*pairs, strict=True))
    figures["one device, by UAPI alone"] = statistics.median(alone)
    figures["one device, median"] = statistics.median(singles)
    figures["one device, 95th of 100"] = singles[int(len(singles) * 0.95)]
    figures["memory now (MB)"], figures["memory, most (MB)"] = memory("VmRSS"), memory("VmHWM")
    del gateway.engine, engine
    again = gateway.made()
    figures["restarted, all peers there"] = timed(again.start)
    figures["peers that it touched"] = again._backend.touched  # noqa: SLF001 -- our own back end
    figures["bare: read peers by UAPI"] = min(timed(gateway.socket.get) for _ in range(ROUNDS))
    figures["bare: nft list table"] = min(
        timed(lambda: run("nft", "list", "table", "inet", "ferriage")) for _ in range(ROUNDS)
    )
    figures["bare: peers by UAPI"] = gateway.bare(peers)
    return figures


def main() -> None:
    """Measure every size in a process and a namespace of its own, and print growth."""
    columns = []
    for peers in SIZES:
        space = Namespace("bench")
        with tempfile.TemporaryDirectory(prefix="ferriage-bench-") as home:
            try:
                printed = space.run(sys.executable, __file__, str(peers), home, within=900)
            finally:
                space.close()
        columns.append(json.loads(printed.splitlines()[-1]))
    print(
        f"{'':<26}"
        + "".join(f"{peers:>10,}" for peers in SIZES)
        + "    growth   aim at 10,000 and 60,000"
    )
    for name, aim in AIMS.items():
        values = [column[name] for column in columns]
        row = "".join(f"{value:>10.4f}" for value in values)
        print(f"{name:<26}{row}{values[-1] / (values[0] or 1):>9.1f}x   {aim}")
    last = columns[-1]
    ratio = last["one device, median"] / last["one device, by UAPI alone"]
    print(f"one device, kept, ruled and written / bare UAPI write: {ratio:.1f}")
    print(f"cold start / bare UAPI write: {last['cold start'] / last['bare: peers by UAPI']:.1f}")
    bare = last["bare: read peers by UAPI"] + last["bare: nft list table"]
    print(f"look without a change / bare reads: {last['look without a change'] / bare:.1f}")


if len(sys.argv) > 1:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(json.dumps(measure(Path(sys.argv[2]), int(sys.argv[1]))))
else:
    main()
