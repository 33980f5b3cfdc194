"""A host that was off for a while comes up with the site dead and the hub alive."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from ferriage.agent.clock import boot_seconds
from ferriage.agent.store import CLOCK_SECONDS, Store
from support import eventually
from tunnel_world import INTERNET4

if TYPE_CHECKING:
    from tunnel_world import World

pytestmark = pytest.mark.tunnel

MINUTE = 60
REPORT, WATCH = "/gateway/v1/report", "/gateway/v1/watch"


def _turn_off(world: World, *, minutes: int) -> None:
    """Leave of the gateway what a host has that comes up so long after it went down.

    Its boot clock began anew, and of what was written down the last minute is missing at most.
    """
    world.kill_agent()
    world.gateway.run("ip", "link", "delete", "dev", world.interface)
    world.gateway.run("nft", "flush", "ruleset")
    went_down = time.time() - minutes * MINUTE
    store = Store(world.directory / "state" / "state.sqlite3")
    known = went_down - boot_seconds() - CLOCK_SECONDS
    store.put("clock", f"another-boot 12345.0 {known}")
    store.close()


def test_host_serves_from_its_cache_and_catches_up_by_itself_once_the_site_is_back(
    world: World,
) -> None:
    world.permit()
    world.start_agent()
    alice, bob = world.client(), world.client()
    past = world.client(hold_in=-21 * MINUTE)  # over before the host went down
    world.applied()
    assert [c.ping(INTERNET4, wait=0.3) for c in (alice, bob, past)] == [1, 1, 0]

    _turn_off(world, minutes=20)
    world.site.silent = {REPORT}
    world.site.delete(bob.record.id)
    world.site.calls.clear()
    world.start_agent()
    # The lease and all that was paid for hold: it serves, and frees nobody.
    assert eventually(lambda: alice.ping(INTERNET4, wait=0.3), within=20) == 1
    assert past.ping(INTERNET4, wait=0.3) == 0
    # The hub refuses a clock that is twenty minutes late, and teaches none.
    eventually(lambda: world.site.calls.count(WATCH) >= 2, within=20)
    assert {REPORT, WATCH} == set(world.site.calls)
    assert eventually(lambda: bob.ping(INTERNET4, wait=0.3), within=20) == 1

    world.site.silent = set()
    eventually(lambda: bob.ping(INTERNET4, wait=0.1) == 0, within=30)

    world.applied()
    assert [c.ping(INTERNET4, wait=0.3) for c in (alice, bob, past)] == [1, 0, 0]
    assert world.site.reports[-1].warnings == ()


def test_host_that_knows_its_permit_over_opens_no_line_until_it_gets_another(
    world: World,
) -> None:
    world.permit(seconds=30)
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.ping(INTERNET4) == 1

    _turn_off(world, minutes=-1)  # it knows that the permit is over
    world.site.silent = {REPORT}
    world.start_agent()
    eventually(lambda: REPORT in world.site.calls and "interface.ready" in world.log, within=20)
    assert alice.ping(INTERNET4, wait=0.3) == 0

    world.site.silent = set()
    world.permit(serial=2)
    assert eventually(lambda: alice.ping(INTERNET4, wait=0.3), within=30) == 1
