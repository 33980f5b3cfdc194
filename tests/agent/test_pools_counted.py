"""Every byte is in one pool's sum and in one device's, whichever pools come and go meanwhile.

The engine judges, persists and applies; a stand-in for nft keeps elements and counts, and outlives
agents that are killed before any of its transactions.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import feed
from ferriage import wire
from ferriage.agent import plane
from ferriage.agent.feed import Change
from ferriage.agent.nft import Nft
from ferriage.agent.quota import Quotas
from ferriage.agent.store import Store
from ferriage.agent.telling import Telling
from ferriage.agent.usage import Meter
from ferriage.config import AgentConfig, Config
from quiet_engine import NOW, SITE, quiet_engine, quota_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

POOLS = {
    number: msgspec.structs.replace(
        feed.ASSIGNMENT,
        pool=f"{feed.POOL[:-1]}{number}",
        interface=number,
        listen_port=51820 + number,
    )
    for number in (1, 2, 3)
}
DEVICES = {number: quota_device(number) for number in (1, 2, 3)}
numbers = st.integers(1, 3)


class Killed(Exception):
    """The agent ends before a transaction."""


class Kernel(Nft):
    """Our tables, and what has passed."""

    def __init__(self, config: AgentConfig) -> None:
        super().__init__(config)
        self.plane = plane.empty()
        self.passed: dict[int, tuple[int, int]] = {}
        self.total: dict[int, int] = {}
        self.kill_in = 0

    def apply(self, steps: Iterable[plane.Step], now: float) -> None:
        """Take all steps, or be the agent's end."""
        del now
        if self.kill_in == 1:
            self.kill_in = 0
            raise Killed
        self.kill_in = max(self.kill_in - 1, 0)
        for slot in tuple(self.plane["cap_up"]):
            self.let_pass(slot, 1)  # somebody always does, between what is read and what is done
        steps = list(steps)
        plane.patch(self.plane, steps)
        for slot in self.passed.keys() - self.plane["use_dl"].keys():
            del self.passed[slot]  # type: ignore[arg-type]
        for slot in self.plane["use_dl"]:
            self.passed.setdefault(slot, (0, 0))  # type: ignore[arg-type]

    def counters(self) -> dict[str, dict[int, int]]:
        """Return what every element has counted."""
        return {
            name: {slot: both[way] for slot, both in self.passed.items()}
            for way, name in enumerate(("use_dl", "use_up"))
        }

    def let_pass(self, slot: Any, size: int) -> None:
        """Let bytes pass: none where no limit lets the slot pass."""
        if slot in self.plane["cap_up"]:
            down, up = self.passed[slot]
            self.passed[slot] = down + size, up
            self.total[slot] = self.total.get(slot, 0) + size


class Counting(RuleBasedStateMachine):
    """Devices come into pools and leave them, pools are left and served again."""

    @initialize()
    def begin(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        home = Path(self._directory.name)
        self.config = Config(
            path=home / "ferriage.toml",
            agent=AgentConfig(run_dir=str(home), interface_prefix="fer"),
        )
        self.kernel = Kernel(self.config.agent)
        self.store = Store(home / "state.sqlite3")
        self.told: dict[tuple[str, str, str], int] = {}
        self.rev = self.sequence = 0
        self.store.save_assignments(POOLS.values(), SITE)
        self.start()
        for number in POOLS:
            self.snapshot(number, set(DEVICES), 0)

    def start(self) -> None:
        meter = Meter(self.store, "boot")
        self.quotas = Quotas(self.store, "boot")
        self.telling = Telling(self.store, meter, self.quotas)
        self.engine = quiet_engine(self.config, self.store, self.kernel, meter, self.quotas)
        self.engine._elements.live = {n: dict(e) for n, e in self.kernel.plane.items()}
        for pool in self.engine.pools.values():
            self.engine._peers._present[self.engine.interface(pool)] = {}
        self.guarded(self.mend)

    def guarded(self, work: Callable[[], object]) -> None:
        """Work, and start anew where the agent is killed meanwhile."""
        try:
            work()
        except Killed:
            self.start()

    def mend(self) -> None:
        """Do what `reconcile` does with elements."""
        self.engine._elements.look(self.engine.pools, whole=False, refill=False)
        self.engine._elements.mend(self.engine._desired().whole(NOW), NOW, whole=True)

    def change(self, pool: str, kind: Any, held: dict[str, wire.Device]) -> wire.Begin:
        self.rev += 1
        total = sum(map(wire.record_hash, held.values()))
        return wire.Begin(
            format=wire.FEED_FORMAT,
            batch=kind,
            pool=pool,
            epoch="epoch-1",
            after=self.engine.pools[pool].rev,
            rev=self.rev,
            count=1,
            digest=f"{total % (1 << 256):064x}",
            items_sha256="",
        )

    @rule(pool=numbers, device=numbers, joins=st.booleans(), kill_in=st.integers(0, 3))
    def delta(self, pool: int, device: int, joins: bool, kill_in: int) -> None:  # noqa: FBT001 -- hypothesis passes by name
        code, record = POOLS[pool].pool, DEVICES[device]
        held = self.engine.pools.get(code)
        if held is None or not held.epoch:
            return
        after = {n: d for n, d in held.devices.items() if n != record.id}
        item: wire.Item = wire.Del(rev=self.rev + 1, device=record.id)
        if joins:
            after[record.id] = record
            item = wire.Put(rev=self.rev + 1, device=record)
        batch = wire.Batch(begin=self.change(code, "delta", after), items=(item,))
        self.kernel.kill_in = kill_in
        self.guarded(lambda: self.engine.take(batch))
        self.kernel.kill_in = 0

    @rule(pool=numbers, devices=st.sets(numbers), kill_in=st.integers(0, 2))
    def snapshot(self, pool: int, devices: set[int], kill_in: int) -> None:
        code = POOLS[pool].pool
        held = self.engine.pools.get(code)
        if held is None or held.epoch:
            return
        puts = {DEVICES[number].id: DEVICES[number] for number in devices}
        begin = self.change(code, "snapshot", puts)
        change = Change(begin, puts, frozenset(), frozenset(), None)
        leaving = list(self.engine._counted_elsewhere(held, change))
        self.store.save_batch(change, leaving=leaving, stands_rev=0)
        self.quotas.expect(code, puts.values())
        held.take(change)
        self.kernel.kill_in = kill_in
        self.guarded(self.mend)
        self.kernel.kill_in = 0

    @rule(pools=st.sets(numbers), kill_in=st.integers(0, 2))
    def assigned(self, pools: set[int], kill_in: int) -> None:
        self.store.save_assignments([POOLS[number] for number in pools], SITE)
        self.engine.load()
        for pool in self.engine.pools.values():
            self.engine._peers._present.setdefault(self.engine.interface(pool), {})
        self.kernel.kill_in = kill_in
        self.guarded(self.mend)
        self.kernel.kill_in = 0

    @rule(device=numbers, size=st.integers(1, 99))
    def passes(self, device: int, size: int) -> None:
        self.kernel.let_pass(DEVICES[device].slot, size)

    @rule(kill_in=st.integers(0, 1))
    def looks(self, kill_in: int) -> None:
        self.kernel.kill_in = kill_in
        self.guarded(self.engine.sample)
        self.kernel.kill_in = 0

    @rule()
    def restarts(self) -> None:
        self.start()

    @rule()
    def reports(self) -> None:
        self.sequence += 1
        for row in self.telling.rows(self.engine.pools, self.sequence):
            key = row.pool if not row.device else "", row.device, row.incarnation
            self.told[key] = max(self.told.get(key, 0), row.bytes_down)
        self.telling.taken(self.sequence)

    @invariant()
    def nothing_is_told_twice(self) -> None:
        of_pools = sum(value for (pool, *_), value in self.told.items() if pool)
        assert of_pools <= sum(self.kernel.total.values())

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        self.assigned(set(), 0)
        for _ in range(2):  # unmapped by the first look, swept by the second
            self.engine.sample()
        self.reports()
        self.store.close()
        self._directory.cleanup()
        of_pools = sum(value for (pool, *_), value in self.told.items() if pool)
        passed = {device.id: self.kernel.total.get(device.slot, 0) for device in DEVICES.values()}
        of_devices = {
            device: sum(value for (_, name, _), value in self.told.items() if name == device)
            for device in passed
        }
        assert (of_pools, of_devices) == (sum(passed.values()), passed)


Counting.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
test_every_byte_is_counted_once = Counting.TestCase
