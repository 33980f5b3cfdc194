"""What a snapshot does not name may go only when that is likely; else it waits for staff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import feed
from ferriage import wire
from ferriage.agent import breaker
from ferriage.agent import feed as rules
from ferriage.agent.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

DEVICES = [
    feed.device(number, public_key=wire.new_private_key(), hold_at=2_000_000_000)
    for number in range(1, 41)
]


def digest_of(devices: Iterable[wire.Device]) -> str:
    digest = wire.DIGEST_ZERO
    for device in devices:
        digest = wire.digest_add(digest, device)
    return digest


def batch(
    kind: Literal["snapshot", "delta"],
    *items: wire.Item,
    leads_to: Iterable[wire.Device],
    rev: int,
    epoch: str = "e1",
) -> wire.Batch:
    begin = wire.Begin(
        format=wire.FEED_FORMAT,
        batch=kind,
        pool=feed.POOL,
        epoch=epoch,
        after=0 if kind == "snapshot" else rev - 1,
        rev=rev,
        count=len(items),
        digest=digest_of(leads_to),
        items_sha256="",
    )
    return wire.Batch(begin=begin, items=items)


def take(pool: rules.Pool, taken: wire.Batch) -> rules.Change:
    change = rules.judge(pool, taken, permit_key="", now=0)
    pool.take(change)
    return change


def snapshot(
    pool: rules.Pool, devices: list[wire.Device], *, rev: int, gone: Iterable[wire.Device] = ()
) -> rules.Change:
    items = [wire.Put(rev=rev, device=device) for device in devices]
    tombs = [wire.Del(rev=rev, device=device.id) for device in gone]
    return take(pool, batch("snapshot", *tombs, *items, leads_to=devices, rev=rev))


def pool_of(devices: list[wire.Device]) -> rules.Pool:
    pool = rules.Pool(feed.ASSIGNMENT)
    snapshot(pool, devices, rev=1)
    return pool


def names(devices: Iterable[wire.Device]) -> set[str]:
    return {device.id for device in devices}


def allow(pool: rules.Pool, *, rev: int, **changes: object) -> wire.Allow:
    kept = pool.kept_back()
    assert kept is not None
    said = wire.Allow(rev=rev, epoch=pool.epoch, snapshot_rev=kept.snapshot_rev, digest=kept.digest)
    return msgspec.structs.replace(said, **changes)


@pytest.mark.parametrize(
    ("missing", "held", "goes"),
    [
        (0, 1, True),
        (1, 1, False),
        (1, 3, False),
        (3, 3, False),
        (1, 4, True),
        (3, 4, True),
        (4, 4, False),
        (4, 39, False),
        (4, 40, True),
        (100, 1000, True),
        (101, 1000, False),
        (1000, 1000, False),
    ],
)
def test_how_many_may_be_missing(missing: int, held: int, *, goes: bool) -> None:
    assert breaker.plausible(missing, held) is goes


def test_an_empty_snapshot_removes_nobody_and_says_so() -> None:
    pool = pool_of(DEVICES)

    change = snapshot(pool, [], rev=2)

    assert change.gone == frozenset()
    assert list(pool.usable()) == DEVICES
    assert pool.kept_back() == wire.Deferred(snapshot_rev=2, count=40, digest=digest_of(DEVICES))


def test_new_devices_come_while_removals_wait() -> None:
    pool = pool_of(DEVICES[:5])

    snapshot(pool, DEVICES[10:12], rev=2)

    assert set(pool.devices) == names(DEVICES[:5] + DEVICES[10:12])
    assert pool.deferred == names(DEVICES[:5])


def test_explicit_deletes_of_a_snapshot_are_obeyed_however_many() -> None:
    pool = pool_of(DEVICES)

    snapshot(pool, DEVICES[:1], rev=2, gone=DEVICES[1:])

    assert (list(pool.devices.values()), pool.deferred) == (DEVICES[:1], set())


def test_repeating_a_short_snapshot_does_not_wear_the_breaker_down() -> None:
    pool = pool_of(DEVICES)

    for rev in range(2, 9):
        snapshot(pool, DEVICES[:20], rev=rev)

    assert pool.deferred == names(DEVICES[20:])


def test_a_delete_and_a_put_end_the_wait_of_their_device() -> None:
    pool = pool_of(DEVICES[:4])
    snapshot(pool, [], rev=2)

    gone = wire.Del(rev=3, device=DEVICES[0].id)
    take(pool, batch("delta", gone, leads_to=[], rev=3))
    back = wire.Put(rev=4, device=DEVICES[1])
    take(pool, batch("delta", back, leads_to=[DEVICES[1]], rev=4))

    assert set(pool.devices) == names(DEVICES[1:4])
    assert pool.deferred == names(DEVICES[2:4])


@pytest.mark.parametrize("fields", [("slot", "ip4", "ip6"), ("public_key",)])
@pytest.mark.parametrize("kind", ["snapshot", "delta"])
def test_who_was_named_gets_what_a_deferred_device_holds(
    fields: tuple[str, ...], kind: Literal["snapshot", "delta"]
) -> None:
    pool = pool_of(DEVICES[:3])
    taken = {field: getattr(DEVICES[0], field) for field in fields}
    heir = msgspec.structs.replace(DEVICES[9], **taken)

    if kind == "delta":
        snapshot(pool, [], rev=2)
    put = wire.Put(rev=3, device=heir)
    change = take(pool, batch(kind, put, leads_to=[heir], rev=3))

    assert change.gone == {DEVICES[0].id}
    assert (pool.deferred, pool.refused) == (names(DEVICES[1:3]), {})


def test_staff_allow_exactly_what_a_gateway_reported() -> None:
    pool = pool_of(DEVICES[:5])
    snapshot(pool, [], rev=2)

    change = take(pool, batch("delta", allow(pool, rev=3), leads_to=[], rev=3))

    assert change.gone == names(DEVICES[:5])
    assert (pool.devices, pool.kept_back()) == ({}, None)


@pytest.mark.parametrize(
    "other", [{"epoch": "e0"}, {"snapshot_rev": 1}, {"digest": wire.DIGEST_ZERO}]
)
def test_an_allowance_of_anything_else_removes_nobody(other: dict[str, object]) -> None:
    pool = pool_of(DEVICES[:5])
    snapshot(pool, [], rev=2)

    take(pool, batch("delta", allow(pool, rev=3, **other), leads_to=[], rev=3))

    assert set(pool.devices) == names(DEVICES[:5])


def test_an_allowance_does_not_hold_for_what_came_to_wait_since() -> None:
    pool = pool_of(DEVICES[:20])
    snapshot(pool, DEVICES[10:20], rev=2)
    said = allow(pool, rev=4)
    snapshot(pool, DEVICES[15:20], rev=3)

    take(pool, batch("delta", said, leads_to=DEVICES[15:20], rev=4))

    assert pool.deferred == names(DEVICES[:15])


def test_what_is_deferred_is_remembered_over_a_restart(store: Store) -> None:
    pool = pool_of(DEVICES[:5])
    save(store, rules.judge(pool_of([]), batch_of(DEVICES[:5], rev=1), permit_key="", now=0))
    save(store, snapshot(pool, [], rev=2))

    again = restarted(store)
    assert (again.devices, again.kept_back()) == (pool.devices, pool.kept_back())
    assert (again.digest, again.rev) == (0, 2)
    save(store, take(again, batch("delta", allow(again, rev=3), leads_to=[], rev=3)))

    assert (restarted(store).devices, restarted(store).deferred) == ({}, set())


def test_an_epoch_that_was_left_is_remembered_over_a_restart(store: Store) -> None:
    pool = pool_of(DEVICES[:1])
    save(store, take(pool, batch_of(DEVICES[:1], rev=2)))
    save(store, take(pool, batch_of(DEVICES[:1], rev=9, epoch="e2")))

    assert restarted(store).past == {"e1"}


@given(
    rounds=st.lists(
        st.tuples(st.sets(st.integers(0, 15)), st.sets(st.integers(0, 15)), st.sampled_from("sda")),
        max_size=12,
    )
)
def test_the_feed_is_followed_whatever_is_deferred(
    rounds: list[tuple[set[int], set[int], str]],
) -> None:
    """The digest stays the feed's, what the feed has is served, and only words remove."""
    pool = pool_of([])
    held: set[int] = set()
    for rev, (come, go, kind) in enumerate(rounds, start=2):
        before, told = set(pool.devices), names(DEVICES[n] for n in go)
        if kind == "s":
            held = come
            change = snapshot(pool, [DEVICES[n] for n in sorted(come)], rev=rev)
            unsaid = change.gone
            assert not unsaid or breaker.plausible(len(unsaid), len(before))
        else:
            held = (held - go) | come
            items: list[wire.Item] = [wire.Del(rev=rev, device=name) for name in sorted(told)]
            items += [wire.Put(rev=rev, device=DEVICES[n]) for n in sorted(come)]
            if kind == "a" and pool.deferred:
                items.append(allow(pool, rev=rev))
            leads_to = [DEVICES[n] for n in held]
            take(pool, batch("delta", *items, leads_to=leads_to, rev=rev))
        wanted = names(DEVICES[n] for n in held)
        assert set(pool.devices) - pool.deferred == wanted
        assert f"{pool.digest % (1 << 256):064x}" == digest_of(DEVICES[n] for n in held)
        if kind == "a":
            assert pool.deferred == set()


# --- the store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state.sqlite3")
    made.save_assignments([feed.ASSIGNMENT], "http://hub.example")
    yield made
    made.close()


def batch_of(devices: list[wire.Device], *, rev: int, epoch: str = "e1") -> wire.Batch:
    items = [wire.Put(rev=rev, device=device) for device in devices]
    return batch("snapshot", *items, leads_to=devices, rev=rev, epoch=epoch)


def save(store: Store, change: rules.Change) -> None:
    store.save_batch(change, leaving=(), stands_rev=0)


def restarted(store: Store) -> rules.Pool:
    (stored,) = store.pools()
    return rules.Pool.of(stored)
