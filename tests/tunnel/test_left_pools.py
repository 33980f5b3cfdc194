"""What was counted in a pool that the gateway leaves is told, once and to the byte.

alice ── UDP 51820 ── pool 1 ──┐ gateway ── internet
bob   ── UDP 51821 ── pool 2 ──┘    └── stand-in site, which takes pool 2 away
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from feed import POOL
from ferriage import wire
from support import eventually
from tunnel_world import INTERNET4

if TYPE_CHECKING:
    from tunnel_world import Client, World

pytestmark = pytest.mark.tunnel
OTHER = f"{POOL[:-1]}2"
SIZE = 28 + 1000
"""A ping's bytes each way."""


def _ping(client: Client, count: int) -> int:
    out = client.space.run(
        *("ping", "-n", "-c", str(count), "-i", "0.01", "-W", "1", "-s", "1000", INTERNET4),
        check=False,
    )
    return int(re.search(r"(\d+) received", out)[1])


def _told(world: World, *, pools: bool) -> dict[tuple[str, str], tuple[int, bool]]:
    """Return by pool or device, and incarnation, the bytes that were told and whether finally."""
    told: dict[tuple[str, str], tuple[int, bool]] = {}
    for report in world.site.reports:
        for row in report.usage:
            if pools is not bool(row.device):
                key = row.pool if pools else row.device, row.incarnation
                total, final = told.get(key, (0, False))
                told[key] = max(total, row.bytes_down + row.bytes_up), final or row.final
    return told


@pytest.mark.parametrize("world", ["siblings"], indirect=True)
def test_bytes_of_a_pool_that_is_left_are_told_once(world: World) -> None:
    quota = wire.Quota(bytes=10**9, resets_at=int(world.site.now() + 3600))
    world.permit(serial=1)
    world.permit(serial=1, pool=OTHER)
    world.start_agent()
    alice, bob = world.client(quota=quota), world.client(pool=OTHER, quota=quota)
    for client in (alice, bob):
        world.site.quotas[client.record.id] = quota.bytes
    world.site.put(alice.record, pool=OTHER)  # on another line of her plan, so to say
    world.applied()
    assert (_ping(alice, 10), _ping(bob, 7)) == (10, 7)
    eventually(
        lambda: sum(total for total, _ in _told(world, pools=True).values()) == 34 * SIZE,
        within=15,
    )

    world.site.feeds.pop(OTHER)
    eventually(lambda: bob.ping(INTERNET4, wait=0.1) == 0, within=15)
    assert _ping(alice, 5) == 5

    def all_is_told() -> bool:
        of_pools = _told(world, pools=True)
        left = [final for (pool, _), (_, final) in of_pools.items() if pool == OTHER]
        devices = {device: told for (device, _), told in _told(world, pools=False).items()}
        used, final = devices[bob.record.id]
        return (
            left == [True]
            and final
            and used >= 2 * 7 * SIZE
            and devices[alice.record.id] == (2 * 15 * SIZE, False)
            and sum(told for told, _ in of_pools.values()) == used + 2 * 15 * SIZE
        )

    eventually(all_is_told, within=30)
