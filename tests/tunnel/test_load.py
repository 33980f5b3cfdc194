"""A gateway with a thousand peers and fifty flows: changes meet whom they name, and nobody else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import pytest

import feed
from crowd import changed, crowd_of
from ferriage import wire
from ferriage.agent import identity
from sink import Flows, Sink
from support import eventually
from tunnel_world import private_key

if TYPE_CHECKING:
    from tunnel_world import World

pytestmark = pytest.mark.tunnel

PEERS, FLOWS, EACH = 1000, 50, 10
TICK = 5.1
"""A client that sends asks anew for a handshake every five seconds."""


def test_revoking_under_load_meets_only_whom_it_names(world: World) -> None:
    crowd = crowd_of(world, FLOWS)
    world.permit()
    others = [
        feed.device(number, public_key=wire.new_private_key(), hold_at=world.site.now() + 3600)
        for number in range(FLOWS + 1, PEERS + 1)
    ]
    world.site.put(*(tunnel.record for tunnel in crowd.tunnels), *others)
    world.start_agent()
    eventually(lambda: world.applied() is None, within=90)
    sink = Sink(world.internet)
    flows = Flows(sink, pause=0.1)
    for number, tunnel in enumerate(crowd.tunnels):
        flows.add(number, crowd.space, tunnel.interface)
    deleted, renamed, rotated, resold, rest = (
        range(start, start + EACH) for start in range(0, FLOWS, EACH)
    )
    try:
        with flows.flowing(within=120):
            begun = flows.mark()
            committed = time.time()
            world.site.delete(*(crowd.tunnels[n].record.id for n in (*deleted, *resold)))
            fresh = {n: private_key() for n in (*rotated, *resold)}
            world.site.put(
                *(changed(crowd.tunnels[n].record, language="zh-hans") for n in renamed),
                *(
                    changed(crowd.tunnels[n].record, public_key=identity.wireguard_public(fresh[n]))
                    for n in rotated
                ),
                *(
                    msgspec.structs.replace(
                        crowd.tunnels[n].record,
                        id=f"dev_again{n:011d}",
                        public_key=identity.wireguard_public(fresh[n]),
                    )
                    for n in resold
                ),
            )
            world.applied()
            eventually(lambda: time.time() > committed + 4, within=10)
            last = dict(sink.last)
            stopped = flows.mark()
            for n in (*rotated, *resold):
                crowd.rekey(crowd.tunnels[n], fresh[n])
            returned = time.time()
            for n in (*rotated, *resold):
                eventually(lambda n=n: sink.last[n] > returned, within=30)
            eventually(lambda: time.time() > returned + TICK, within=20)
            ended = flows.mark()
        eventually(lambda: time.time() > returned + TICK + 1, within=10)
    finally:
        crowd.close()
        sink.close()

    cut = (*deleted, *rotated, *resold)
    assert [n for n in cut if last[n] > committed + 2] == []
    assert [n for n in deleted if sink.last[n] > committed + 2] == []
    lost = {n: flows.lost(n, begun, ended) for n in (*renamed, *rest)}
    assert {n: found for n, found in lost.items() if found} == {}
    assert min(stopped[n] - begun[n] for n in rest) > 20


def test_every_byte_is_told_once_over_five_hundred_removals(world: World) -> None:
    crowd = crowd_of(world, 10)
    world.permit()
    records = [tunnel.record for tunnel in crowd.tunnels]
    quota = wire.Quota(bytes=1 << 50, resets_at=int(world.site.now()) + 86400)
    counted = [msgspec.structs.replace(r, quota=quota) for r in records[:5]]
    world.site.quotas |= {record.id: 1 << 50 for record in counted}
    records[:5] = counted
    world.site.put(*records)
    world.start_agent()
    world.applied()
    sink = Sink(world.internet)
    flows = Flows(sink, pause=0.02)
    for number, tunnel in enumerate(crowd.tunnels):
        flows.add(number, crowd.space, tunnel.interface)

    def peers(count: int) -> None:
        def check() -> bool:
            out = world.gateway.run("wg", "show", world.interface, "peers")
            return len(out.split()) == count

        eventually(check, within=30)

    try:
        with flows.flowing(within=60):
            for _ in range(50):
                world.site.delete(*(record.id for record in records))
                peers(0)
                world.site.put(*records)
                peers(10)
                crowd.reconnect()
                before = {n: len(sink.seen[n]) for n in range(10)}
                for n, count in before.items():
                    eventually(lambda n=n, count=count: len(sink.seen[n]) > count, within=20)
        world.applied()
        seen = len(world.site.reports)
        eventually(lambda: len(world.site.reports) > seen + 2, within=20)
        arrived = sink.bytes()
    finally:
        crowd.close()
        sink.close()

    assert arrived > 0
    told: dict[tuple[str, str], int] = {}
    for report in world.site.reports:
        for row in report.usage:
            key = (row.device, row.incarnation)
            told[key] = max(told.get(key, 0), row.bytes_up)
    assert sum(value for (device, _), value in told.items() if not device) == arrived
    by_device = {
        record.id: sum(v for (device, _), v in told.items() if device == record.id)
        for record in counted
    }
    headers = 28 + 1000
    assert by_device == {
        record.id: len(sink.seen[number]) * headers for number, record in enumerate(counted)
    }
