"""A batch, and the report that follows it, cost the same however many devices a gateway has.

No data plane: its answers are stood in for, and all work of the agent's own is counted: lines that
Python ran, instructions that SQLite ran, and memory that was taken meanwhile.
"""

from __future__ import annotations

import sys
import tracemalloc
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

import feed
from ferriage import wire
from ferriage.agent import plane
from ferriage.agent.feed import Change
from ferriage.agent.holdfile import Writer
from ferriage.agent.nft import Nft
from ferriage.agent.quota import Quotas
from ferriage.agent.store import Store
from ferriage.agent.telling import Telling
from ferriage.agent.usage import Meter
from ferriage.config import AgentConfig, Config
from quiet_engine import NOW, QUOTA, SITE, quiet_engine, quota_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECOND = msgspec.structs.replace(
    feed.ASSIGNMENT, pool="pool_0000000000000002", interface=1, listen_port=51821
)


class Work(NamedTuple):
    lines: int
    instructions: int
    memory: int


class QuietNft(Nft):
    """Takes every change."""

    def apply(self, steps: Any, now: float) -> None:
        """Change nothing."""


def _head(pool: str, rev: int, total: int, kind: Any) -> wire.Begin:
    digest = f"{total % (1 << 256):064x}"
    return wire.Begin(
        format=wire.FEED_FORMAT,
        batch=kind,
        pool=pool,
        epoch="epoch-1",
        after=rev - 1,
        rev=rev,
        count=1,
        digest=digest,
        items_sha256="",
    )


class Gateway:
    """An agent with two pools of `count` devices each, and as many that left in the last weeks."""

    def __init__(self, home: Path, count: int) -> None:
        self.store = Store(home / "state.sqlite3")
        self.rev, self.totals = 1, {feed.POOL: 0, SECOND.pool: 0}
        self.store.save_assignments([feed.ASSIGNMENT, SECOND], SITE)
        self._fill(feed.POOL, range(count))
        self._fill(SECOND.pool, range(count, 2 * count))
        meter, self.quotas = Meter(self.store, "boot"), Quotas(self.store, "boot")
        self.telling = Telling(self.store, meter, self.quotas)
        agent = AgentConfig(run_dir=str(home), interface_prefix="fer")
        config = Config(path=home / "ferriage.toml", agent=agent)
        self.engine = quiet_engine(config, self.store, QuietNft(agent), meter, self.quotas)
        self.held = Writer(agent)
        self.held.write(self.engine.pools.values(), site_offset=0)
        self._run()

    def _fill(self, pool: str, numbers: range) -> None:
        puts = {device.id: device for device in map(quota_device, numbers)}
        self.totals[pool] = sum(map(wire.record_hash, puts.values()))
        gone = frozenset(f"dev_{number:016}" for number in range(10**6, 10**6 + len(numbers)))
        head = _head(pool, 1, self.totals[pool], "snapshot")
        change = Change(head, puts, gone, frozenset(), None, buried=gone)
        self.store.save_batch(change, leaving=(), stands_rev=0)
        self.store.save_elements({}, gone={n: _final(pool, n) for n in numbers})
        while self.store.finals(1, [pool]):
            self.store.acknowledge(1)

    def _run(self) -> None:
        """Let everything stand as a look would have found it, and the site know of all of it."""
        pools = self.engine.pools
        held = {d.slot: (code, d) for code, pool in pools.items() for d in pool.usable()}
        self.engine._elements.live = plane.empty() | self.engine._desired().whole(NOW)
        for pool in pools.values():
            present = {d.public_key: f"{d.ip4}/32 {d.ip6}/128" for d in pool.usable()}
            self.engine._peers._present[self.engine.interface(pool)] = present
        self.quotas.observe(dict.fromkeys(held, (QUOTA.bytes, 0)), held, now=NOW)
        for sequence in range(2, 2 + len(held) // 1000 + 1):
            self.telling.rows(pools, sequence)
            self.telling.taken(sequence)

    def batch(self, number: int) -> wire.Batch:
        """Return a delta with one more device."""
        device = quota_device(number)
        self.rev += 1
        self.totals[feed.POOL] += wire.record_hash(device)
        head = _head(feed.POOL, self.rev, self.totals[feed.POOL], "delta")
        return wire.Batch(begin=head, items=(wire.Put(rev=self.rev, device=device),))

    def take(self, batch: wire.Batch) -> None:
        """Do with a batch what the agent does, up to the answer to the report of it."""
        pools = self.engine.pools
        taken = self.engine.take(batch)
        self.held.change(pools.values(), *taken, site_offset=0)
        self.engine.status()
        rows = self.telling.rows(pools, 10_000 + self.rev)
        self.telling.taken(10_000 + self.rev)
        self.quotas.allow(map(_allowance, rows))
        self.quotas.used_up()


def _final(pool: str, number: int) -> wire.Usage:
    name, device = f"{pool}.{number}", f"dev_{number:016}"
    return wire.Usage(
        pool=pool, incarnation=name, device=device, bytes_down=1, bytes_up=1, final=True
    )


def _allowance(row: wire.Usage) -> wire.Allowance:
    return wire.Allowance(device=row.device, incarnation=row.incarnation, bytes=QUOTA.bytes)


def _work(gateway: Gateway, act: Callable[[], None]) -> Work:
    lines = instructions = 0

    def instruction() -> None:
        nonlocal instructions
        instructions += 1

    def line(frame: Any, event: str, _argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return None if frame.f_code is instruction.__code__ else line

    gateway.store._db.set_progress_handler(instruction, 1)
    tracer = sys.gettrace()
    tracemalloc.start()
    sys.settrace(line)
    try:
        act()
    finally:
        sys.settrace(tracer)
        _now, memory = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        gateway.store._db.set_progress_handler(None, 1)
    return Work(lines, instructions, memory)


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[dict[int, Gateway]]:
    made = {}
    for count in (50, 3000):
        (tmp_path / str(count)).mkdir()
        made[count] = Gateway(tmp_path / str(count), count)
    yield made
    for gateway in made.values():
        gateway.store.close()


def test_batch_and_its_report_cost_the_same_with_many_devices(
    gateways: dict[int, Gateway],
) -> None:
    found = []
    for gateway in gateways.values():
        gateway.take(gateway.batch(20_000))  # whatever is done once only
        batch = gateway.batch(20_001)
        found.append(_work(gateway, lambda gateway=gateway, batch=batch: gateway.take(batch)))

    few, many = found
    assert many.lines == few.lines
    assert many.instructions == pytest.approx(few.instructions, rel=0.05)
    assert many.memory - few.memory < 50_000  # a set of 3,000 names takes 130 kB
