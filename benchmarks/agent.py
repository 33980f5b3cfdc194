"""One gateway's agent at 1,000 and at 10,000 peers: what it costs, and how that grows.

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
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import msgspec
import structlog

import feed
from ferriage import wire
from ferriage.agent.backend import links, uapi
from ferriage.agent.backend.userspace import SOCKETS, Userspace
from ferriage.agent.clock import SiteClock
from ferriage.agent.engine import Engine
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

SIZES = (1_000, 10_000)
ROUNDS = 5
DELTAS = 30
AIMS = {
    "cold start": "<= 3",
    "look without a change": "<= 0.3",
    "one device, median": "<= 0.002",
    "one device, 95th of 100": "",
    "digest and report": "",
    "memory (MB)": "<= 100",
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


class Gateway:
    """An engine over a store that was filled as by a snapshot."""

    def __init__(self, home: Path, peers: int) -> None:
        self.now = time.time()
        self.site = feed.Site("http://192.0.2.10", feed.ASSIGNMENT)
        self.site.set_permit(open_until=self.now + 86400, shop=feed.SHOP)
        self.site.put(*(self.device(number) for number in range(1, peers + 1)))
        self.agent = AgentConfig(
            run_dir=str(home / "run"), interface_prefix=f"b{os.getpid()}x", uplink="lo"
        )
        self.store = Store(home / "state.sqlite3")
        self.store.save_assignments([feed.ASSIGNMENT], "http://192.0.2.10")
        self.store.save_batch(
            msgspec.structs.replace(self.begin(), batch="snapshot"),
            puts=self.site.devices.values(),
            deletes=(),
            leaving=(),
            permit=(
                wire.open_permit(wire.public_key(self.site.permit_key), self.site.first.permit),
                self.site.first.permit,
            ),
        )
        self.nft = Nft(self.agent)
        self.engine = Engine(
            config=Config(path=home / "ferriage.toml", agent=self.agent),
            identity=self.identity(),
            store=self.store,
            clock=SiteClock(site_time=self.now),
            backend=Userspace(program="wireguard-go"),
            nft=self.nft,
            meter=Meter(self.store, "boot"),
            quotas=Quotas(self.store, "boot"),
        )
        self.socket = uapi.Socket(SOCKETS / f"{self.agent.interface_prefix}0.sock")

    def device(self, number: int) -> wire.Device:
        """Return a device with a key of its own."""
        return feed.device(number, public_key=key(), hold_at=self.now + 86400)

    def begin(self) -> wire.Begin:
        """Return the head of a delta that leads to what the site holds."""
        return wire.Begin(
            format=wire.FEED_FORMAT,
            batch="delta",
            pool=feed.POOL,
            epoch="epoch-1",
            after=self.site.rev - 1,
            rev=self.site.rev,
            count=1,
            digest=f"{sum(map(wire.record_hash, self.site.devices.values())) % (1 << 256):064x}",
            items_sha256="",
        )

    def identity(self) -> Identity:
        """Return an identity that believes the stand-in site."""
        return Identity(
            gateway="gw_0000000000000001",
            permit_key=wire.public_key(self.site.permit_key),
            feed_key=wire.public_key(self.site.feed_key),
            site_url="http://192.0.2.10",
            signing_key=wire.new_private_key(),
            wireguard_key=key(),
            instance="bench",
        )

    def add(self, number: int) -> float:
        """Take a delta with one more device; return the seconds until it is applied."""
        added = self.device(number)
        self.site.put(added)
        batch = wire.Batch(self.begin(), (wire.Put(rev=self.site.rev, device=added),))
        return timed(lambda: self.engine.take(batch))

    def write_bare(self, peers: int) -> None:
        """Write as many other peers by UAPI as a program could that does nothing else."""
        lines = [
            uapi.addition(key(), [f"10.200.{n // 250}.{n % 250}/32", f"fd99::{n:x}/128"])
            for n in range(peers)
        ]
        for at in range(0, peers, links.CHUNK):
            self.socket.set("".join(lines[at : at + links.CHUNK]))


def measure(home: Path, peers: int) -> dict[str, float]:
    """Measure one size; to be run in a namespace of its own."""
    gateway = Gateway(home, peers)
    engine = gateway.engine
    figures = {"cold start": timed(engine.start)}
    status = engine.status()[0]
    assert (status.peers, status.digest, status.line_open) == (peers, gateway.begin().digest, True)
    figures["look without a change"] = min(timed(engine.reconcile) for _ in range(ROUNDS))
    figures["bare: read peers by UAPI"] = min(timed(gateway.socket.get) for _ in range(ROUNDS))
    figures["bare: nft list table"] = min(
        timed(lambda: run("nft", "list", "table", "inet", "ferriage")) for _ in range(ROUNDS)
    )
    figures["digest and report"] = min(timed(engine.status) for _ in range(ROUNDS))
    singles = sorted(gateway.add(peers + n) for n in range(1, DELTAS + 1))
    figures["one device, median"] = statistics.median(singles)
    figures["one device, 95th of 100"] = singles[int(len(singles) * 0.95)]
    figures["memory (MB)"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures["bare: peers by UAPI"] = timed(lambda: gateway.write_bare(peers))
    return figures


def main() -> None:
    """Measure every size in a process and a namespace of its own, and print growth."""
    columns = []
    for peers in SIZES:
        space = Namespace("bench")
        with tempfile.TemporaryDirectory(prefix="ferriage-bench-") as home:
            try:
                printed = space.run(sys.executable, __file__, str(peers), home, within=300)
            finally:
                space.close()
        columns.append(json.loads(printed.splitlines()[-1]))
    print(f"{'':<26}" + "".join(f"{peers:>10,}" for peers in SIZES) + "    growth   aim at 10,000")
    for name, aim in AIMS.items():
        small, big = (column[name] for column in columns)
        print(f"{name:<26}{small:>10.4f}{big:>10.4f}{big / small:>9.1f}x   {aim}")
    last = columns[-1]
    print(f"cold start / bare UAPI write: {last['cold start'] / last['bare: peers by UAPI']:.1f}")
    bare = last["bare: read peers by UAPI"] + last["bare: nft list table"]
    print(f"look without a change / bare reads: {last['look without a change'] / bare:.1f}")


if len(sys.argv) > 1:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(json.dumps(measure(Path(sys.argv[2]), int(sys.argv[1]))))
else:
    main()
