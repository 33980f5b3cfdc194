"""Bad records, full sets, a full disk: one device is affected or nothing is, and staff are told."""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

import feed
from ferriage import wire
from support import eventually
from tunnel_world import INTERNET4, steady_ping

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunnel_world import World

pytestmark = pytest.mark.tunnel


def _refused(world: World) -> dict[str, str]:
    return {row.device: row.reason for row in world.site.reports[-1].pools[0].refused}


def _reported(world: World) -> None:
    """Wait for a report that was begun after this call."""
    seen = len(world.site.reports)
    eventually(lambda: len(world.site.reports) > seen + 1, within=20)


def _ready(world: World, number: int, **changes: object) -> wire.Device:
    made = feed.device(number, public_key=wire.new_private_key(), hold_at=world.site.now() + 3600)
    return msgspec.structs.replace(made, **changes)


def test_poison_is_set_aside_and_all_others_are_served(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    poison = [
        _ready(world, 60, rate_down_bps=5),  # less than a byte a second
        _ready(world, 61, rate_up_bps=200_000_000_000),  # more than the kernel's limits count
        _ready(world, 62, burst_bytes=1 << 33),
        _ready(world, 63, ip6="fd64::63%wan"),
        _ready(world, 64, ip4="10.64.0.999"),
        _ready(world, 65, ip4=alice.record.ip4),
        _ready(world, 70, public_key=alice.record.public_key),
        _ready(world, 66, slot=0),
        _ready(world, 67, public_key="AAAA"),
        _ready(world, 68, routes=("0.0.0.0/0",)),
        _ready(world, 69, hold_at=-5),
        _ready(world, 71, ip6="fd64::999"),  # not the number of its slot
        _ready(world, 72, slot=1),  # the gateway's own
    ]

    with steady_ping(alice, INTERNET4, world.directory) as lines:
        world.site.put(*poison[:5])
        bob = world.client()
        world.site.put(*poison[5:])
        eventually(lambda: len(_refused(world)) == len(poison), within=30)
        bob.reconnect()
        assert bob.ping(INTERNET4) == 1
        world.kill_agent()  # what it persisted does not keep it from starting
        world.start_agent()
        _reported(world)
    assert re.search(r" 0% packet loss", "\n".join(lines))

    assert _refused(world).keys() == {device.id for device in poison}
    assert all(_refused(world).values())
    assert world.site.reports[-1].pools[0].peers == 2
    with steady_ping(alice, INTERNET4, world.directory) as lines:
        world.site.delete(*(device.id for device in poison))
        world.applied()
        assert alice.connect(INTERNET4, 80).close() is None
    assert re.search(r" 0% packet loss", "\n".join(lines))
    assert _refused(world) == {}


def test_full_set_turns_away_who_has_no_room_and_takes_him_when_there_is(world: World) -> None:
    """Our sets have no size of their own; the kernel's memory stands for one here."""
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    _shrink(world, "cap_up", 3)
    devices = [_ready(world, number) for number in range(60, 65)]

    with steady_ping(alice, INTERNET4, world.directory) as lines:
        world.site.put(*devices)
        eventually(lambda: len(_refused(world)) == 3, within=30)
        _reported(world)
    assert re.search(r" 0% packet loss", "\n".join(lines))
    turned_away = _refused(world).keys()
    assert turned_away < {device.id for device in devices}
    assert world.site.reports[-1].pools[0].peers == 3

    served = [device.id for device in devices if device.id not in turned_away]
    world.site.delete(*served)
    eventually(lambda: len(_refused(world)) == 1, within=30)
    assert world.site.reports[-1].pools[0].peers == 3


def _shrink(world: World, name: str, size: int) -> None:
    """Give one of the agent's sets a size, keeping its elements and all rules."""
    listed = world.gateway.run("nft", "list", "ruleset")
    head = f"set {name} {{\n\t\ttype mark\n"
    tables = listed.replace(head, f"{head}\t\tsize {size}\n")
    assert tables != listed
    file = world.directory / "small.nft"
    file.write_text(f"flush ruleset\n{tables}")
    world.gateway.run("nft", "-f", str(file))


@pytest.fixture
def small_disk(world: World) -> Iterator[Path]:
    """Move the state directory to a disk of two megabytes."""
    with _disk(world, world.directory / "small") as place:
        _mount("cp", "-a", str(world.directory / "state"), str(place / "state"))
        text = world.config_path.read_text()
        world.config_path.write_text(text.replace('"state"', f'"{place}/state"'))
        yield place


@pytest.fixture
def small_run(world: World) -> Iterator[Path]:
    """Let what lives until a reboot lie on a disk of its own."""
    with _disk(world, world.directory / "run") as place:
        yield place


@contextmanager
def _disk(world: World, place: Path) -> Iterator[Path]:
    place.mkdir(exist_ok=True)
    _mount("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place))
    try:
        yield place
    finally:
        if world.agent is not None and world.agent.poll() is None:
            world.kill_agent()
        _mount("umount", str(place))


def _mount(*command: str) -> None:
    subprocess.run(command, check=True, timeout=30)


def test_full_disk_applies_nothing_says_so_and_goes_on_when_there_is_room(
    world: World, small_disk: Path
) -> None:
    world.permit()
    world.start_agent()
    alice, bob = world.client(), world.client()
    world.applied()
    assert (alice.ping(INTERNET4), bob.ping(INTERNET4)) == (1, 1)
    rev = world.site.reports[-1].pools[0].rev

    with steady_ping(alice, INTERNET4, world.directory) as lines:
        _fill(small_disk)
        world.site.delete(bob.record.id)
        world.site.put(*(_ready(world, number, language="x" * 400) for number in range(100, 160)))
        eventually(lambda: _warned(world, "full"), within=30)
        _reported(world)
        assert world.site.reports[-1].pools[0].rev == rev
        assert bob.ping(INTERNET4) == 1
        assert world.agent is not None
        assert world.agent.poll() is None

        (small_disk / "ballast").unlink()
        eventually(lambda: world.site.reports[-1].pools[0].rev == world.site.rev, within=60)
        assert bob.ping(INTERNET4, wait=0.3) == 0
    assert re.search(r" 0% packet loss", "\n".join(lines))
    eventually(lambda: not _warned(world, "full"), within=30)


def test_start_on_a_full_disk_says_so_and_serves_when_there_is_room(
    world: World, small_disk: Path
) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    world.kill_agent(signal.SIGTERM)
    _fill(small_disk)
    _lose_everything(world)

    world.start_agent()
    eventually(lambda: _warned(world, "could not be written when the agent started"), within=30)
    (small_disk / "ballast").unlink()

    eventually(lambda: alice.ping(INTERNET4, wait=0.3) == 1, within=30)


def test_full_run_directory_keeps_nobody_on_who_was_removed(world: World, small_run: Path) -> None:
    world.permit()
    world.start_agent()
    alice, bob, eve = world.client(), world.client(), world.client()
    world.applied()
    assert bob.ping(INTERNET4) == 1

    _fill(small_run)
    world.site.delete(bob.record.id)
    world.site.put(*(_ready(world, number) for number in range(100, 160)))

    eventually(lambda: bob.ping(INTERNET4, wait=0.3) == 0, within=30)
    eventually(lambda: _warned(world, "No space left"), within=30)
    world.kill_agent()
    world.start_agent()
    world.site.delete(eve.record.id)
    eventually(lambda: eve.ping(INTERNET4, wait=0.3) == 0, within=30)
    (small_run / "ballast").unlink()
    eventually(lambda: not _warned(world, "No space left"), within=30)
    assert alice.ping(INTERNET4) == 1


def test_damaged_cache_is_told_and_asked_of_the_site_again(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    world.kill_agent(signal.SIGTERM)
    (world.directory / "state" / "state.sqlite3").write_bytes(b"no cache at all" * 500)
    _lose_everything(world)

    world.start_agent()

    eventually(lambda: alice.ping(INTERNET4, wait=0.3) == 1, within=30)
    assert _warned(world, "The cache was damaged")


def _lose_everything(world: World) -> None:
    """Leave of interface and rules what a reboot leaves."""
    world.gateway.run("ip", "link", "delete", "dev", world.interface)
    world.gateway.run("nft", "flush", "ruleset")


def _fill(place: Path) -> None:
    with (place / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def _warned(world: World, word: str) -> bool:
    return any(word in text for text in world.site.reports[-1].warnings)
