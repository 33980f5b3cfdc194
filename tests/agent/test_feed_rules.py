from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import pytest

import feed
from ferriage import wire
from ferriage.agent import feed as rules
from ferriage.agent.errors import BatchRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

PERMIT_KEY, FEED_KEY = wire.new_private_key(), wire.new_private_key()
ALICE = feed.device(1, public_key=wire.new_private_key(), hold_at=2_000_000_000)
BOB = feed.device(2, public_key=wire.new_private_key(), hold_at=2_000_000_000)


def _digest(devices: Iterable[wire.Device]) -> str:
    digest = wire.DIGEST_ZERO
    for device in devices:
        digest = wire.digest_add(digest, device)
    return digest


def _batch(
    *items: wire.Item,
    digest: str,
    batch: Literal["snapshot", "delta"] = "snapshot",
    after: int = 0,
    rev: int = 1,
    epoch: str = "e1",
    pool: str = feed.POOL,
) -> wire.Batch:
    begin = wire.Begin(
        format=wire.FEED_FORMAT,
        batch=batch,
        pool=pool,
        epoch=epoch,
        after=after,
        rev=rev,
        count=0,
        digest=digest,
        items_sha256="",
    )
    data = wire.frame_batch(FEED_KEY, begin, [wire.encode(item) for item in items])
    return wire.open_batch(wire.public_key(FEED_KEY), data)


def _judge(pool: rules.Pool, batch: wire.Batch) -> rules.Change:
    return rules.judge(pool, batch, permit_key=wire.public_key(PERMIT_KEY), now=0)


def _pool(*devices: wire.Device) -> rules.Pool:
    pool = rules.Pool(feed.ASSIGNMENT)
    items = [wire.Put(rev=1, device=device) for device in devices]
    pool.take(_judge(pool, _batch(*items, digest=_digest(devices))))
    return pool


def _permit(
    serial: int,
    *,
    key: str = PERMIT_KEY,
    line: str = feed.LINE,
    state: wire.PermitState = "open",
) -> wire.PermitItem:
    permit = wire.Permit(
        line=line,
        serial=serial,
        state=state,
        open_until=2_000_000_000,
        decision=1,
        reason={},
        shop=feed.SHOP,
    )
    return wire.PermitItem(rev=1, permit=wire.sign_permit(key, permit))


def test_snapshot_replaces_what_was_held() -> None:
    pool = _pool(ALICE)

    items = (wire.Del(rev=2, device=ALICE.id), wire.Put(rev=2, device=BOB))
    pool.take(_judge(pool, _batch(*items, digest=_digest([BOB]), rev=2)))

    assert (pool.devices, pool.epoch, pool.rev) == ({BOB.id: BOB}, "e1", 2)


def test_delta_adds_and_removes() -> None:
    pool = _pool(ALICE)
    items = (wire.Put(rev=2, device=BOB), wire.Del(rev=3, device=ALICE.id))

    pool.take(_judge(pool, _batch(*items, digest=_digest([BOB]), batch="delta", after=1, rev=3)))

    assert pool.devices == {BOB.id: BOB}


@pytest.mark.parametrize(
    "changes",
    [
        {"after": 0},
        {"after": 2},
        {"epoch": "e2"},
        {"pool": "pool_x"},
        {"digest": _digest([ALICE])},
        {"digest": wire.DIGEST_ZERO},
    ],
)
def test_delta_that_does_not_follow_changes_nothing(changes: dict[str, object]) -> None:
    pool = _pool(ALICE)
    told = {"digest": _digest([ALICE, BOB]), "batch": "delta", "after": 1, "rev": 2} | changes

    with pytest.raises(BatchRefused):
        _judge(pool, _batch(wire.Put(rev=2, device=BOB), **told))

    assert pool.devices == {ALICE.id: ALICE}


def test_older_snapshot_of_the_same_epoch_is_refused() -> None:
    pool = _pool(ALICE)
    pool.rev = 9

    with pytest.raises(BatchRefused, match="older"):
        _judge(pool, _batch(digest=wire.DIGEST_ZERO, rev=8))


def test_snapshot_of_an_epoch_that_was_left_is_refused() -> None:
    pool = _pool(ALICE)
    item = wire.Put(rev=9, device=ALICE)
    pool.take(_judge(pool, _batch(item, digest=_digest([ALICE]), rev=9, epoch="e2")))

    with pytest.raises(BatchRefused, match="ended"):
        _judge(pool, _batch(item, digest=_digest([ALICE]), rev=99, epoch="e1"))


def test_permit_is_taken_over_only_with_the_permit_key_and_for_this_line() -> None:
    pool = _pool()

    for bad in (_permit(1, key=FEED_KEY), _permit(1, line="ln_other")):
        with pytest.raises(BatchRefused):
            _judge(pool, _batch(bad, digest=wire.DIGEST_ZERO, rev=2))
    pool.take(_judge(pool, _batch(_permit(1), digest=wire.DIGEST_ZERO, rev=2)))

    assert pool.open_until() == 2_000_000_000


def test_permit_with_a_lower_serial_is_passed_over() -> None:
    pool = _pool()
    pool.take(_judge(pool, _batch(_permit(7), digest=wire.DIGEST_ZERO, rev=2)))

    pool.take(_judge(pool, _batch(_permit(6), digest=wire.DIGEST_ZERO, rev=3)))

    assert pool.permit is not None
    assert (pool.permit.serial, pool.rev) == (7, 3)


def test_another_permit_with_the_same_serial_is_passed_over() -> None:
    """A database restored from before a revocation writes the serial of the revocation again."""
    pool = _pool()
    closed = _permit(7, state="closed")
    pool.take(_judge(pool, _batch(closed, digest=wire.DIGEST_ZERO, rev=2)))

    pool.take(_judge(pool, _batch(_permit(7), digest=wire.DIGEST_ZERO, rev=3)))

    assert (pool.open_until(), pool.rev) == (0, 3)


def test_bad_record_is_refused_alone_and_counts_in_the_feed_digest_only() -> None:
    bad = msgspec.structs.replace(BOB, public_key="short")

    pool = _pool(ALICE, bad)

    assert list(pool.usable()) == [ALICE]
    assert list(pool.refused) == [BOB.id]


def test_address_of_a_removed_device_can_be_given_to_the_next_in_one_batch() -> None:
    pool = _pool(ALICE)
    heir = msgspec.structs.replace(BOB, slot=ALICE.slot, ip4=ALICE.ip4, ip6=ALICE.ip6)
    items = (wire.Del(rev=2, device=ALICE.id), wire.Put(rev=3, device=heir))

    pool.take(_judge(pool, _batch(*items, digest=_digest([heir]), batch="delta", after=1, rev=3)))

    assert (list(pool.usable()), pool.refused) == ([heir], {})
