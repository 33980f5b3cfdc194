"""Who may change what runs: the site's fence, and whose a state directory was last."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ferriage import wire
from ferriage.agent.lease import FenceBehind, Lease, is_locked, lock_state
from ferriage.agent.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "state.sqlite3")
    yield opened
    opened.close()


def answer(fence: int) -> wire.ReportAnswer:
    return wire.ReportAnswer(
        fence=fence, lease_seconds=60, acknowledged=1, pools=(), hub_url="http://hub.test"
    )


def settled(store: Store, instance: str, fence: int) -> Lease:
    lease = Lease(store, instance)
    lease.granted(answer(fence))
    lease.settled()
    return lease


def test_fence_and_owner_outlive_the_agent(store: Store) -> None:
    settled(store, "first", 3)

    again = Lease(store, "first")

    assert (again.fence, again.frozen, again.borrowed) == (3, False, False)


def test_directory_of_another_instance_is_frozen_until_the_site_grants_it(store: Store) -> None:
    settled(store, "first", 3)
    copy = Lease(store, "second")
    assert (copy.frozen, copy.borrowed) == (True, True)

    copy.granted(answer(4))
    assert (copy.frozen, copy.borrowed) == (False, True)
    copy.settled()

    assert (Lease(store, "second").borrowed, Lease(store, "first").borrowed) == (False, True)


def test_lower_fence_freezes_and_a_higher_one_lets_on(store: Store) -> None:
    lease = settled(store, "first", 3)

    with pytest.raises(FenceBehind):
        lease.granted(answer(2))
    assert (lease.frozen, lease.fence) == (True, 3)
    lease.granted(answer(5))

    assert (lease.frozen, Lease(store, "first").fence) == (False, 5)


def test_refused_agent_stands_still(store: Store) -> None:
    lease = settled(store, "first", 3)

    lease.refused()

    assert lease.frozen


def test_state_directory_tells_whether_an_agent_runs(tmp_path: Path) -> None:
    never = is_locked(tmp_path)
    descriptor = lock_state(tmp_path)
    running = is_locked(tmp_path), is_locked(tmp_path)
    os.close(descriptor)

    assert (never, running, is_locked(tmp_path)) == (False, (True, True), False)
    os.close(lock_state(tmp_path))
