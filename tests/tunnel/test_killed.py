"""The agent is killed before and after every single thing it writes, and started again.

Whatever step it died at, the next one ends with just what the feed asks for; a neighbour that the
change does not name loses no packet, and no byte of it is counted twice or never.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import pytest

import feed
from ferriage import wire
from sink import Flows, Sink
from support import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tunnel_world import World

pytestmark = [pytest.mark.tunnel, pytest.mark.long]

MOST_STEPS = 120

_MORTAL = """
import os, signal, sys
from pathlib import Path
from ferriage import config
from ferriage.agent import engine, flows, holdfile, host, nft, run, store, transaction
from ferriage.agent.backend import uapi
armed = Path(sys.argv[2])
count = 0

def step():
    global count
    if armed.exists():
        count += 1
        if count == int(armed.read_text()):
            os.kill(os.getpid(), signal.SIGKILL)

def mortal(place, name):
    work = getattr(place, name)
    def around(*given, **named):
        step()
        result = work(*given, **named)
        step()
        return result
    setattr(place, name, around)

for place, names in (
    (transaction.Transaction, ("__exit__",)),
    (store.Store, ("put", "save_counter")),
    (nft.Nft, ("apply", "fill", "install", "remove")),
    (uapi.Socket, ("set",)),
    (flows, ("forget",)),
    (host, ("forget_redirected", "route")),
    (holdfile.Writer, ("write", "change")),
):
    for name in names:
        mortal(place, name)
sys.exit(run.main(config.load(Path(sys.argv[1]), {})))
"""


@dataclass
class Victim:
    """The agent under test, and the file that says at which step it dies."""

    world: World
    incarnations: dict[str, int] = field(default_factory=dict)
    number: int = 100

    @property
    def armed(self) -> Path:
        return self.world.directory / "armed"

    def start(self) -> None:
        self.world.agent = self.world.gateway.start(
            *(sys.executable, "-c", _MORTAL, str(self.world.config_path), str(self.armed)),
            output=self.world.directory / "agent.log",
        )

    def dies(self) -> bool:
        """Wait until the agent died, or has done all that there was to do."""
        agent = self.world.agent
        assert agent is not None

        def over() -> bool:
            if agent.poll() is not None:
                return True
            shown = self.world.site.reports[-1].pools
            return bool(shown) and (shown[0].rev, shown[0].digest) == (
                self.world.site.rev,
                self.world.site.digest(),
            )

        eventually(over, within=60)
        self.armed.unlink()
        # It goes on writing: it may have come to its step before the file was gone.
        seen = len(self.world.site.reports)
        eventually(
            lambda: agent.poll() is not None or len(self.world.site.reports) > seen + 1, within=60
        )
        return agent.poll() is not None

    def change(self) -> None:
        """Write one batch: a removal, its address resold, a new device, an end moved, a permit."""
        site = self.world.site
        self.number += 1
        held = [d for d in site.devices.values() if d.generation == 7]
        gone, moved = held[0], held[1]
        resold = msgspec.structs.replace(
            gone,
            id=f"dev_resold{self.number:010d}",
            public_key=wire.new_private_key(),
        )
        fresh = feed.device(
            self.number, public_key=wire.new_private_key(), hold_at=site.now() + 3600, generation=7
        )
        longer = msgspec.structs.replace(moved, hold_at=moved.hold_at + 60)
        first = site.first
        first.devices.pop(gone.id)
        first.append(lambda rev: wire.Del(rev=rev, device=gone.id))
        for device in (resold, fresh, longer):
            first.devices[device.id] = device
            first.append(lambda rev, device=device: wire.Put(rev=rev, device=device))
        self.world.permit()  # rings, so all of it is one batch

    def is_as_asked(self) -> None:
        """Compare peers and elements with the feed: nothing is missing, nothing is left over."""
        world = self.world
        wanted = world.site.devices.values()
        out = world.gateway.run("wg", "show", world.interface, "allowed-ips")
        peers = {line.split("\t")[0]: set(line.split("\t")[1].split()) for line in out.splitlines()}
        assert peers == {d.public_key: {f"{d.ip4}/32", f"{d.ip6}/128"} for d in wanted}
        slots = {d.slot for d in wanted}
        for name in ("use_up", "use_dl", "cap_up", "cap_dl"):
            assert {_slot(element) for element in world.elements(name)} == slots
        assert {e["elem"]["val"]["concat"][1] for e in world.elements("open")} == slots  # type: ignore[index]
        assert len(world.elements("lines")) == 1

    def applied(self) -> None:
        self.world.applied()
        # What a slot counted is read once more before its elements go, and looks are paced.
        eventually(lambda: self.is_as_asked() is None, within=60)


def _slot(element: object) -> int:
    found = element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element
    return int(found)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def victim(world: World) -> Victim:
    found = Victim(world)
    world.permit()
    world.site.put(
        *(
            feed.device(
                number,
                public_key=wire.new_private_key(),
                hold_at=world.site.now() + 3600,
                generation=7,
            )
            for number in range(50, 60)
        )
    )
    found.start()
    return found


def test_killed_at_every_step_of_a_change_it_ends_as_asked_and_a_neighbour_loses_nothing(
    world: World, victim: Victim
) -> None:
    bob = world.client()
    victim.applied()
    sink = Sink(world.internet)
    flows = Flows(sink)
    flows.add(0, bob.space, bob.interface)
    with flows.flowing():
        before = flows.mark()
        for step in range(1, MOST_STEPS):
            victim.armed.write_text(str(step))
            victim.change()
            if not victim.dies():
                break
            victim.start()
            victim.applied()
        after = flows.mark()
    victim.applied()
    arrived = sink.bytes()
    sink.close()
    eventually(lambda: sum(_usage(world).values()) >= arrived, within=30)

    assert 8 < step < MOST_STEPS - 1
    assert flows.lost(0, before, after) == set()
    assert sum(_usage(world).values()) == arrived


def test_killed_at_every_step_of_its_start_it_ends_as_asked(world: World, victim: Victim) -> None:
    victim.applied()
    for step in range(1, MOST_STEPS):
        world.kill_agent()
        world.gateway.run("nft", "flush", "ruleset")
        world.gateway.run("wg", "set", world.interface, "peer", wire.new_private_key())
        victim.change()
        victim.armed.write_text(str(step))
        victim.start()
        if not victim.dies():
            break
        victim.start()
        victim.applied()

    victim.applied()
    assert 8 < step < MOST_STEPS - 1


def _usage(world: World) -> dict[str, int]:
    """Return what was told of bytes upwards, by incarnation: the greatest value counts."""
    found: dict[str, int] = {}
    for report in world.site.reports:
        for row in report.usage:
            found[row.incarnation] = max(found.get(row.incarnation, 0), row.bytes_up)
    return found
