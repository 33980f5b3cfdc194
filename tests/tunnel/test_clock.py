"""Without the site for days, with every clock lying: ends come when they were paid to, no sooner.

Days are simulated by a time namespace: the agent is started again and again in one whose boot
clock is further on. The kernel's own time-outs cannot be moved like that, so what they do with
agent and site dead is shown with ends a few seconds away. The machine's calendar clock is shared
with everybody here, so a wild one is given to the agent's process alone.
"""

from __future__ import annotations

import math
import os
import re
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from ferriage.agent.errors import AlreadyRunning
from ferriage.agent.lease import lock_state
from sink import Flows, Sink
from support import eventually
from tunnel_world import INTERNET4, steady_ping

if TYPE_CHECKING:
    from tunnel_world import Client, World

pytestmark = pytest.mark.tunnel

HOUR = 3600
YEAR = 365 * 86400

_LYING = """
import sys, time
from pathlib import Path
calendar = time.time
time.time = lambda: calendar() + float(sys.argv[2])
from ferriage import config
from ferriage.agent import run
sys.exit(run.main(config.load(Path(sys.argv[1]), {})))
"""


def end_agent(world: World) -> None:
    world.kill_agent()

    def free() -> bool:
        try:
            os.close(lock_state(world.directory / "state"))
        except AlreadyRunning:
            return False
        return True

    eventually(free, within=10)


def start_agent_later(world: World, hours: float, *, calendar: float) -> None:
    """Start the agent so many hours after this machine's time, its calendar off by seconds."""
    world.agent = world.gateway.start(
        *("unshare", "--time", "--boottime", str(int(hours * HOUR)), "--fork", "--kill-child"),
        *(sys.executable, "-c", _LYING, str(world.config_path), str(calendar)),
        output=world.directory / "agent.log",
    )


def is_open(world: World, client: Client) -> bool:
    return client.record.slot in ends(world)


def ends(world: World) -> dict[int, float]:
    """Return in how many seconds the kernel ends each open slot."""
    found = {}
    for element in world.elements("open"):
        held = element["elem"]  # type: ignore[index]
        found[int(held["val"]["concat"][1])] = float(held["expires"])
    return found


def test_ends_come_by_the_kernel_alone_with_site_and_agent_dead(world: World) -> None:
    began = time.time()
    world.permit(seconds=24)
    world.start_agent()
    alice, bob = world.client(hold_in=16), world.client()
    line_ends = math.floor(began + 24)
    world.applied()
    sink = Sink(world.internet)
    flows = Flows(sink, pause=0.02)
    for flow, client in enumerate((alice, bob)):
        flows.add(flow, client.space, client.interface)
    with flows.flowing():
        world.site.stop()
        world.kill_agent()
        before = flows.mark()
        eventually(lambda: time.time() > alice.record.hold_at - 0.5, within=30)
        at_end = flows.mark()
        eventually(lambda: time.time() > line_ends + 2, within=40)
    sink.close()

    assert flows.lost(0, before, at_end) == set()
    assert alice.record.hold_at - 1 < sink.last[0] < alice.record.hold_at + 0.5
    assert line_ends - 1 < sink.last[1] < line_ends + 0.5


def test_eighty_hours_without_the_site_free_nobody_and_cut_nobody_early(world: World) -> None:
    world.permit(seconds=100 * HOUR)
    world.start_agent()
    alice = world.client(hold_in=79 * HOUR)
    bob = world.client(hold_in=81 * HOUR)
    carol = world.client(hold_in=1000 * HOUR)
    world.applied()
    assert [c.ping(INTERNET4) for c in (alice, bob, carol)] == [1, 1, 1]
    eventually(lambda: world.site.reports[-1].usage[-1].bytes_up > 0, within=10)
    counted = world.site.reports[-1].usage[-1]
    world.site.stop()

    with steady_ping(bob, INTERNET4, world.directory) as lines:
        end_agent(world)
        start_agent_later(world, 80, calendar=-10 * YEAR)
        eventually(lambda: not is_open(world, alice), within=30)
        assert alice.ping(INTERNET4, wait=0.3) == 0
        assert carol.ping(INTERNET4) == 1
    assert re.search(r" 0% packet loss", "\n".join(lines))
    assert HOUR - 90 < ends(world)[bob.record.slot] <= HOUR

    end_agent(world)
    start_agent_later(world, 82, calendar=10 * YEAR)
    eventually(lambda: not is_open(world, bob), within=30)
    assert (bob.ping(INTERNET4, wait=0.3), carol.ping(INTERNET4)) == (0, 1)

    end_agent(world)
    start_agent_later(world, 101, calendar=0)
    eventually(lambda: world.elements("lines") == [], within=30)
    assert carol.ping(INTERNET4, wait=0.3) == 0

    world.site.clock_offset = 101 * HOUR
    world.start_site()
    world.permit(seconds=HOUR)
    world.site.put(
        msgspec.structs.replace(alice.record, generation=2, hold_at=int(world.site.now()) + HOUR)
    )
    world.applied()
    assert [c.ping(INTERNET4, wait=0.5) for c in (alice, bob, carol)] == [1, 0, 1]
    told = world.site.reports[-1].usage[-1]
    assert told.incarnation == counted.incarnation
    assert told.bytes_up > counted.bytes_up


@pytest.mark.parametrize("calendar", [-40 * YEAR, -HOUR, HOUR, 40 * YEAR])
def test_wild_calendar_of_the_host_frees_nobody_and_cuts_nobody(
    world: World, calendar: float
) -> None:
    world.permit()
    world.start_agent()
    alice, bob = world.client(), world.client(hold_in=-60)
    world.applied()
    assert (alice.ping(INTERNET4), bob.ping(INTERNET4, wait=0.3)) == (1, 0)
    before = ends(world)[alice.record.slot]

    with steady_ping(alice, INTERNET4, world.directory) as lines:
        end_agent(world)
        start_agent_later(world, 0, calendar=calendar)
        seen = len(world.site.reports)
        eventually(lambda: len(world.site.reports) > seen + 1, within=30)

    assert re.search(r" 0% packet loss", "\n".join(lines))
    assert bob.ping(INTERNET4, wait=0.3) == 0
    assert ends(world).keys() == {alice.record.slot}
    assert before - 60 < ends(world)[alice.record.slot] <= before
