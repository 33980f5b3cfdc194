from __future__ import annotations

from datetime import datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING

import msgspec
import pytest

from ferriage import wire
from ferriage.fleet import feed, tasks
from ferriage.fleet.models import Pool, PoolChange, PoolCurrent
from yard import Yard, device

if TYPE_CHECKING:
    from collections.abc import Iterable


@pytest.fixture
def pool(yard: Yard) -> Pool:
    yard.plan()
    return Pool.objects.get()


def _digest(devices: Iterable[wire.Device]) -> str:
    return reduce(wire.digest_add, devices, wire.DIGEST_ZERO)


def _puts(*numbers: int) -> list[feed.FeedPut]:
    return [feed.FeedPut(device(number)) for number in numbers]


def test_revision_rises_by_one_an_item(pool: Pool, now: datetime) -> None:
    before = pool.revision

    assert feed.append(pool=pool, items=_puts(1, 2, 3), now=now) == before + 3
    assert feed.append(pool=pool, items=[feed.FeedDel("dev_2")], now=now) == before + 4

    revisions = PoolChange.objects.order_by("rev").values_list("rev", flat=True)
    assert list(revisions) == list(range(1, before + 5))


def test_digest_follows_puts_changes_and_deletes(pool: Pool, now: datetime) -> None:
    renewed = msgspec.structs.replace(device(1), hold_at=1_800_500_000)

    feed.append(pool=pool, items=_puts(1, 2), now=now)
    feed.append(pool=pool, items=[feed.FeedPut(renewed), feed.FeedDel("dev_2")], now=now)

    assert Pool.objects.get().digest == _digest([renewed])


def test_one_batch_may_touch_a_device_twice(pool: Pool, now: datetime) -> None:
    items = [*_puts(1), feed.FeedDel("dev_1"), *_puts(1, 2), feed.FeedDel("dev_2")]

    feed.append(pool=pool, items=items, now=now)

    assert Pool.objects.get().digest == _digest([device(1)])
    current = PoolCurrent.objects.exclude(kind="permit").order_by("subject")
    assert list(current.values_list("subject", "kind")) == [("dev_1", "put"), ("dev_2", "del")]


def test_each_change_knows_the_digest_after_it(pool: Pool, now: datetime) -> None:
    feed.append(pool=pool, items=_puts(1, 2), now=now)

    digests = PoolChange.objects.filter(kind="put").order_by("rev").values_list("digest", flat=True)

    assert list(digests) == [_digest([device(1)]), _digest([device(1), device(2)])]


def test_delete_of_an_unknown_device_is_a_tombstone_and_changes_no_digest(
    pool: Pool, now: datetime
) -> None:
    feed.append(pool=pool, items=[feed.FeedDel("dev_9")], now=now)

    assert PoolCurrent.objects.get(subject="dev_9").kind == "del"
    assert Pool.objects.get().digest == wire.DIGEST_ZERO


def test_record_that_no_gateway_could_apply_is_refused(pool: Pool, now: datetime) -> None:
    before = Pool.objects.values().get()
    items = [*_puts(1), feed.FeedPut(device(2, public_key="no key"))]

    with pytest.raises(wire.WireError, match="public_key"):
        feed.append(pool=pool, items=items, now=now)

    assert Pool.objects.values().get() == before
    assert not PoolCurrent.objects.filter(kind="put").exists()


def test_nothing_to_append_changes_nothing(pool: Pool, now: datetime) -> None:
    before = Pool.objects.values().get()

    assert feed.append(pool=pool, items=[], now=now) == before["revision"]
    assert Pool.objects.values().get() == before


def test_number_of_queries_does_not_grow_with_the_batch(
    pool: Pool, now: datetime, django_assert_max_num_queries: object
) -> None:
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        feed.append(pool=pool, items=_puts(*range(400)), now=now)


def test_worker_forgets_old_changes_and_tombstones(pool: Pool, now: datetime) -> None:
    feed.append(pool=pool, items=[*_puts(1, 2), feed.FeedDel("dev_2")], now=now)
    later = now + timedelta(days=36)
    feed.append(pool=pool, items=_puts(3), now=later)

    assert tasks.prune(now + timedelta(days=7)) == 0
    tasks.prune(later)

    assert list(PoolChange.objects.values_list("subject", flat=True)) == ["dev_3"]
    current = PoolCurrent.objects.exclude(kind="permit").order_by("subject")
    assert list(current.values_list("subject", flat=True)) == ["dev_1", "dev_3"]
