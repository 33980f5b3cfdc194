"""However appends, watches, snapshots and prunings interleave, a gateway ends with the pool."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferriage import wire
from ferriage.core import clock
from ferriage.core.db import writing
from ferriage.core.models import SiteState
from ferriage.fleet import feed, tasks
from ferriage.fleet.models import Pool, PoolChange, PoolCurrent
from ferriage.hub.batches import Batches
from ferriage.hub.errors import Refusal
from ferriage.hub.sql import Reader
from running_hub import Asker, Replica
from yard import Yard, device

if TYPE_CHECKING:
    from ferriage.config import Config

_NUMBERS = st.integers(1, 6)
_PUT = st.tuples(st.just("put"), _NUMBERS, st.integers(0, 3))
_DEL = st.tuples(st.just("del"), _NUMBERS, st.just(0))
_STEP = st.one_of(
    st.lists(_PUT | _DEL, min_size=1, max_size=4),
    st.sampled_from(["watch", "watch", "snapshot", "prune", "epoch"]),
)


def _item(kind: str, number: int, change: int) -> feed.FeedItem:
    if kind == "del":
        return feed.FeedDel(f"dev_{number}")
    return feed.FeedPut(device(number, hold_at=1_800_000_000 + change))


class World:
    """A pool, the hub's batches over it, a gateway's replica, and a plain model of the truth."""

    def __init__(self, pool: Pool, gateway: str, reader: Reader, keys: tuple[str, str]) -> None:
        self.pool, self.gateway, self.reader = pool, gateway, reader
        self.feed_key, self.key = keys
        self.now = clock.now()
        self.empty = Pool.objects.values("revision", "digest").get()
        # Nobody needs what a power cut would lose, and a schedule is mostly commits.
        with connection.cursor() as cursor:
            cursor.execute(
                "PRAGMA synchronous = OFF"
                if connection.vendor == "sqlite"
                else "SET synchronous_commit = off"
            )
        self.begin()

    def begin(self) -> None:
        """Forget the schedule before, so that one that fails fails alone and can be made small."""
        with writing():
            PoolChange.objects.all().delete()
            PoolCurrent.objects.filter(kind__in=["put", "del"]).delete()
            Pool.objects.update(**self.empty)
        self.batches = Batches(self.reader, self.feed_key)
        self.model: dict[str, wire.Device] = {}
        self.replica = Replica()

    def step(self, step: Any) -> None:
        match step:
            case "watch":
                self.watch()
            case "snapshot":
                self.snapshot()
            case "prune":
                self.now += timedelta(days=36)
                tasks.prune(self.now)
            case "epoch":
                SiteState.objects.update(epoch=wire.new_nonce())
            case changes:
                self.append([_item(*change) for change in changes])

    def append(self, items: list[feed.FeedItem]) -> None:
        feed.append(pool=self.pool, items=items, now=self.now)
        for item in items:
            if isinstance(item, feed.FeedPut):
                self.model[item.device.id] = item.device
            elif isinstance(item, feed.FeedDel):
                self.model.pop(item.device_code, None)

    def watch(self) -> bool:
        replica = self.replica
        try:
            delta = self.batches.delta(
                self.gateway, self.pool.code, epoch=replica.epoch, after=replica.rev
            )
        except Refusal:
            self.snapshot()
            return True
        if delta is not None:
            replica.apply(wire.open_batch(self.key, delta))
        return delta is not None

    def snapshot(self) -> None:
        batch, _tag = self.batches.snapshot(self.gateway, self.pool.code)
        self.replica.apply(wire.open_batch(self.key, batch))


@pytest.mark.parametrize("schedules", [1000, pytest.param(10_000, marks=pytest.mark.long)])
def test_interleavings_end_in_equal_digests(
    own_database: Config, yard: Yard, pool: Pool, feed_key: str, schedules: int
) -> None:
    gateway = yard.gateway(pool.line).row.code
    reader = Reader(own_database)
    keys = (own_database.read_secret(own_database.feed_key_path), feed_key)
    world = World(pool, gateway, reader, keys)

    @settings(max_examples=schedules, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(_STEP, max_size=12))
    def interleave(steps: list[Any]) -> None:
        world.begin()
        for step in steps:
            world.step(step)
        while world.watch():
            pass
        assert world.replica.devices == world.model
        assert world.replica.digest() == Pool.objects.get(pk=pool.pk).digest

    interleave()
    reader.close()


def test_gateway_that_watches_while_the_site_writes_misses_nothing(
    asker: Asker, yard: Yard, pool: Pool
) -> None:
    asker.replica.apply(asker.snapshot(pool.code))
    last = device(999)

    def follow() -> None:
        while last.id not in asker.replica.devices:
            answer = asker.watch(pool.code, after=asker.replica.rev, wait=20)
            assert answer.status == 200
            asker.replica.apply(wire.open_batch(asker.feed_key, answer.body))

    thread = threading.Thread(target=follow)
    thread.start()
    for number in range(60):
        renewed = msgspec.structs.replace(device(number % 7), hold_at=1_800_000_000 + number)
        feed.append(pool=pool, items=[feed.FeedPut(renewed)], now=yard.now)
        feed.append(pool=pool, items=[feed.FeedDel(f"dev_{number % 5}")], now=yard.now)
    feed.append(pool=pool, items=[feed.FeedPut(last)], now=yard.now)
    thread.join(30)

    assert asker.replica.digest() == Pool.objects.get().digest
