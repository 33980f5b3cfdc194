"""Devices with a quota: counted by the byte, held at its end by the gateway alone, let on again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest

import feed
from ferriage import wire
from ferriage.agent.store import Store
from support import eventually
from tunnel_world import INTERNET4, steady_ping

if TYPE_CHECKING:
    from tunnel_world import Client, World

pytestmark = pytest.mark.tunnel

SIZE = 28 + 1000
"""A ping's bytes each way."""


def _client(world: World, quota: int, *, resets_in: float = 3600) -> Client:
    until = int(world.site.now() + resets_in)
    client = world.client(quota=wire.Quota(bytes=quota, resets_at=until))
    world.site.quotas[client.record.id] = quota
    return client


def _ping(client: Client, count: int) -> int:
    out = client.space.run(
        *("ping", "-n", "-c", str(count), "-i", "0.01", "-W", "1", "-s", "1000", INTERNET4),
        check=False,
    )
    return int(re.search(r"(\d+) received", out)[1])


def _until_held(client: Client) -> int:
    """Ping one by one until the device is held; return how many passed."""
    passed: list[int] = []
    eventually(lambda: passed.append(_ping(client, 1)) or passed[-1] == 0, within=10)
    return sum(passed)


def _used(world: World, client: Client, expected: int, *, or_else: int = 0) -> None:
    known = {expected, or_else or expected}
    eventually(lambda: world.site.bytes_of(client.record.id) in known, within=10)


def test_used_up_device_is_held_told_why_and_its_neighbour_goes_on(world: World) -> None:
    world.permit()
    world.start_agent()
    alice, bob = _client(world, 20 * SIZE), world.client()
    world.program("hold")
    world.applied()

    with steady_ping(bob, INTERNET4, world.directory) as lines:
        assert _ping(alice, 10) == 10
        passed = 10 + _until_held(alice)
        eventually(lambda: "Your data is used up" in alice.get(INTERNET4).decode(), within=2)
        page = alice.get(INTERNET4).decode()
        # The last request may have gone out before the cut, and its answer not come in.
        _used(world, alice, 2 * passed * SIZE, or_else=(2 * passed + 1) * SIZE)

    assert "Data again from" in page
    assert re.search(r" 0% packet loss", "\n".join(lines))
    assert not [u for r in world.site.reports for u in r.usage if u.device == bob.record.id]
    world.applied()  # a device that is held by its quota is held as it should be


def test_more_data_opens_it_again_and_the_site_is_told_the_exact_sum(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = _client(world, 20 * SIZE)
    world.applied()
    assert _ping(alice, 10) == 10
    passed = 10 + _until_held(alice)

    world.site.quotas[alice.record.id] = 100 * SIZE
    more = wire.Quota(bytes=100 * SIZE, resets_at=alice.record.quota.resets_at)
    world.site.put(msgspec.structs.replace(alice.record, quota=more))

    eventually(lambda: _ping(alice, 1) == 1, within=5)
    _used(world, alice, 2 * (passed + 1) * SIZE, or_else=(2 * passed + 3) * SIZE)


def test_quota_comes_anew_by_itself_while_the_site_is_dead(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = _client(world, 20 * SIZE, resets_in=8)
    world.applied()
    world.site.stop()
    assert _ping(alice, 10) == 10
    _until_held(alice)

    eventually(lambda: _ping(alice, 1) == 1, within=15)


def test_bytes_are_exact_over_restart_removal_and_return(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = _client(world, 1000 * SIZE)
    world.applied()
    assert _ping(alice, 10) == 10
    world.kill_agent()
    assert _ping(alice, 10) == 10
    world.start_agent()
    world.applied()
    _used(world, alice, 40 * SIZE)

    assert _ping(alice, 5) == 5
    world.site.delete(alice.record.id)
    world.applied()
    _used(world, alice, 50 * SIZE)
    world.site.put(alice.record)
    world.applied()
    alice.reconnect()
    assert _ping(alice, 10) == 10

    _used(world, alice, 70 * SIZE)
    incarnations = world.site.used[alice.record.id]
    assert len(incarnations) == 2


def test_lost_table_ends_the_incarnation_and_nothing_is_counted_twice(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = _client(world, 1000 * SIZE)
    world.applied()
    assert _ping(alice, 10) == 10
    _used(world, alice, 20 * SIZE)

    world.gateway.run("nft", "delete", "table", "inet", "ferriage")
    eventually(lambda: _ping(alice, 1) == 1, within=10)
    assert _ping(alice, 10) == 10

    _used(world, alice, 42 * SIZE)


def test_used_up_device_stays_held_when_somebody_flushes_all_tables(world: World) -> None:
    world.permit()
    world.start_agent()
    alice, bob = _client(world, 20 * SIZE), world.client()
    world.applied()
    assert _ping(alice, 10) == 10
    _until_held(alice)
    world.site.stop()  # it could only say so after the fact

    with steady_ping(alice, INTERNET4, world.directory) as lines:
        world.gateway.run("nft", "flush", "ruleset")
        eventually(lambda: _ping(bob, 1) == 1, within=10)
        assert _ping(bob, 50) == 50

    assert "100% packet loss" in "\n".join(lines)


def test_what_one_report_has_no_room_for_follows_at_once(world: World) -> None:
    seldom = world.config_path.read_text().replace("report_seconds = 1", "report_seconds = 60")
    world.config_path.write_text(seldom)
    store = Store(world.directory / "state" / "state.sqlite3")
    store.save_elements({}, gone={number: _final(number) for number in range(15_000)})
    store.close()

    world.start_agent()

    eventually(lambda: sum(_finals(world)) == 15_000, within=20)
    assert [count for count in _finals(world) if count] == [2000] * 7 + [1000]


def _final(number: int) -> wire.Usage:
    return wire.Usage(
        pool=feed.POOL,
        incarnation=f"boot.e{number}",
        device=f"dev_{number:016d}",
        bytes_down=1,
        bytes_up=1,
        final=True,
    )


def _finals(world: World) -> list[int]:
    return [sum(row.final for row in report.usage) for report in world.site.reports]
