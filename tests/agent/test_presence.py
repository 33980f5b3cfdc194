"""Sightings: who counts as there, who is forgotten when, what is kept where."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ferriage.agent.backend import Peer
from ferriage.agent.presence import Presence
from ferriage.agent.system import in_memory
from ferriage.config import AgentConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Recorded:
    """A back end that notes what it is asked for."""

    name = "recorded"

    def __init__(self) -> None:
        self.renewed: list[str] = []
        self.woken: dict[str, str] = {}
        self.calmed: list[str] = []

    def renew(self, _: str, peers: Mapping[str, frozenset[str]]) -> None:
        self.renewed += peers

    def wake(self, _: str, endpoints: Mapping[str, str]) -> None:
        self.woken |= endpoints

    def calm(self, _: str, keys: list[str]) -> None:
        self.calmed += keys


class World:
    def __init__(self, run_dir: Path) -> None:
        self.now = 1000.0
        self.backend = Recorded()
        self.config = AgentConfig(run_dir=str(run_dir))
        self.presence = self.fresh()

    def fresh(self) -> Presence:
        return Presence(self.config, self.backend, clock=lambda: self.now)  # type: ignore[arg-type]

    def look(self, *peers: Peer, after: float) -> None:
        self.now += after
        self.presence.look("fer0", {peer.public_key: peer for peer in peers})


def peer(key: str = "a", **changes: int) -> Peer:
    return Peer(key, frozenset(), endpoint="198.51.100.7:9", **{"handshake_at": 5, **changes})


@pytest.fixture
def memory() -> Iterator[Path]:
    path = Path("/dev/shm") / f"fer-{os.getpid()}-presence"  # noqa: S108 -- tmpfs is the point
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_peer_is_forgotten_only_after_it_was_silent_for_more_than_the_limit(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.look(peer(received_bytes=10), after=0)
    world.look(peer(received_bytes=10, sent_bytes=999), after=180)
    assert world.backend.renewed == []

    world.look(peer(received_bytes=10, sent_bytes=1999), after=1)

    assert world.backend.renewed == ["a"]


@pytest.mark.parametrize("sign", [{"received_bytes": 11}, {"handshake_at": 6}])
def test_any_sign_of_life_begins_the_time_anew(tmp_path: Path, sign: dict[str, int]) -> None:
    world = World(tmp_path)
    world.look(peer(received_bytes=10), after=0)
    world.look(peer(**{"received_bytes": 10, **sign}), after=170)

    world.look(peer(**{"received_bytes": 10, **sign}), after=170)

    assert world.backend.renewed == []


def test_many_silent_peers_are_forgotten_by_and_by(tmp_path: Path) -> None:
    world = World(tmp_path)
    peers = [peer(f"k{number}") for number in range(700)]
    world.look(*peers, after=0)

    world.look(*peers, after=181)
    first = list(world.backend.renewed)
    world.look(*[p for p in peers if p.public_key not in first], after=10)

    assert len(first) == 500
    assert sorted(world.backend.renewed) == sorted(p.public_key for p in peers)


def test_only_peers_that_were_there_lately_and_may_come_are_woken(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.look(peer("old"), after=0)
    world.look(peer("old"), peer("gone"), peer("here"), Peer("never", frozenset()), after=100)
    world.now += 100

    world.presence.wake("fer0", {"old", "here", "never"})

    assert world.backend.woken == {"here": "198.51.100.7:9"}


def test_peers_with_keepalives_are_calmed(tmp_path: Path) -> None:
    world = World(tmp_path)

    world.look(peer("a", keepalive=25), peer("b"), after=0)

    assert world.backend.calmed == ["a"]


def test_nothing_is_written_where_it_could_reach_a_disk(tmp_path: Path) -> None:
    assert not in_memory(tmp_path)
    world = World(tmp_path)

    world.look(peer(), after=0)

    assert list(tmp_path.iterdir()) == []


def test_restarted_agent_goes_on_counting_the_silence(memory: Path) -> None:
    world = World(memory)
    world.look(peer(), after=0)
    assert (memory / "endpoints.json").stat().st_mode & 0o777 == 0o600
    world.presence = world.fresh()

    world.look(peer(), after=181)

    assert world.backend.renewed == ["a"]
    assert "198.51.100.7" not in (memory / "endpoints.json").read_text()


def test_file_of_another_release_is_passed_over(memory: Path) -> None:
    memory.mkdir()
    (memory / "endpoints.json").write_text('["other"]')
    world = World(memory)

    world.presence.wake("fer0", {"a"})

    assert world.backend.woken == {}


def test_kind_of_memory_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "rootfs / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/vda /run/disk ext4 rw 0 0\n"
    )

    found = [in_memory(Path(p), mounts) for p in ("/run/ferriage", "/run/disk/x", "/runner", "/")]

    assert found == [True, False, False, False]
