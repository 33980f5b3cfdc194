"""A snapshot of a restored backup: who paid stays on, who was removed or held stays off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

import feed
from ferriage import wire
from ferriage.agent import feed as rules
from ferriage.agent import status
from ferriage.agent.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

NOW = 1_900_000_000
END = NOW + 86400
OLD, BACKUP = "e1", "e2"
ONE, TWO, THREE, *MANY = (
    feed.device(number, public_key=wire.new_private_key(), hold_at=END) for number in range(1, 61)
)


def change(device: wire.Device, **values: object) -> wire.Device:
    return msgspec.structs.replace(device, generation=device.generation + 1, **values)


def digest_of(devices: Iterable[wire.Device]) -> str:
    digest = wire.DIGEST_ZERO
    for device in devices:
        digest = wire.digest_add(digest, device)
    return digest


class Gateway:
    """A pool as a gateway holds it, and its persisted copy."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.pool = rules.Pool(feed.ASSIGNMENT)
        self.feed: dict[str, wire.Device] = {}

    def snapshot(self, *devices: wire.Device, epoch: str = OLD, gone: Iterable[str] = ()) -> None:
        rev = self.pool.rev + 1
        self.feed = {device.id: device for device in devices}
        items: list[wire.Item] = [wire.Del(rev=rev, device=name) for name in gone]
        items += [wire.Put(rev=rev, device=device) for device in devices]
        self._take("snapshot", epoch, rev, items)

    def delta(self, *items: wire.Device | str | wire.Allow) -> None:
        rev, lines = self.pool.rev + 1, list[wire.Item]()
        for item in items:
            if isinstance(item, wire.Device):
                self.feed[item.id] = item
                lines.append(wire.Put(rev=rev, device=item))
            elif isinstance(item, str):
                self.feed.pop(item, None)
                lines.append(wire.Del(rev=rev, device=item))
            else:
                lines.append(item)
        self._take("delta", self.pool.epoch, rev, lines)

    def _take(self, kind: object, epoch: str, rev: int, items: list[wire.Item]) -> None:
        begin = wire.Begin(
            format=wire.FEED_FORMAT,
            batch=kind,  # type: ignore[arg-type]
            pool=feed.POOL,
            epoch=epoch,
            after=0 if kind == "snapshot" else self.pool.rev,
            rev=rev,
            count=len(items),
            digest=digest_of(self.feed.values()),
            items_sha256="",
        )
        batch = wire.Batch(begin=begin, items=tuple(items))
        judged = rules.judge(self.pool, batch, permit_key="", now=NOW)
        self.store.save_batch(judged, leaving=(), stands_rev=self.pool.stands_since(judged))
        self.pool.take(judged)
        (stored,) = self.store.pools()
        again = rules.Pool.of(stored)
        assert (again.devices, again.stands, again.kept_off(), again.buried, again.deferred) == (
            self.pool.devices,
            self.pool.stands,
            self.pool.kept_off(),
            self.pool.buried,
            self.pool.deferred,
        )
        assert again.digest % (1 << 256) == self.pool.digest % (1 << 256)
        assert f"{self.pool.digest % (1 << 256):064x}" == begin.digest

    def until(self, device: wire.Device) -> int:
        return self.pool.devices[device.id].hold_at

    def since(self) -> dict[str, tuple[str, int]]:
        return {row.device: (row.what, row.until) for row in status.since(self.pool)}

    def let_on(self) -> wire.Allow:
        waits = self.pool.kept_off()
        assert waits is not None
        return wire.Allow(
            rev=self.pool.rev + 1,
            epoch=self.pool.epoch,
            snapshot_rev=waits.snapshot_rev,
            digest=waits.digest,
        )


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    store = Store(tmp_path / "state.sqlite3")
    store.save_assignments([feed.ASSIGNMENT], "http://hub.example")
    yield Gateway(store)
    store.close()


def test_who_was_sold_or_renewed_since_stays_on_to_the_paid_end(gateway: Gateway) -> None:
    gateway.snapshot(ONE, TWO, *MANY)
    renewed = change(ONE, hold_at=END + 99)
    gateway.delta(renewed, THREE)

    gateway.snapshot(ONE, TWO, *MANY, epoch=BACKUP)

    assert (gateway.until(ONE), gateway.until(TWO), gateway.until(THREE)) == (END + 99, END, END)
    assert gateway.since() == {ONE.id: ("renewed", END + 99), THREE.id: ("unnamed", END)}


def test_few_that_another_history_does_not_name_wait_all_the_same(gateway: Gateway) -> None:
    gateway.snapshot(ONE, *MANY)

    gateway.snapshot(*MANY, epoch=BACKUP)

    assert gateway.pool.deferred == {ONE.id}


def test_who_was_removed_since_stays_off_until_staff_let_it_on(gateway: Gateway) -> None:
    gateway.snapshot(ONE, TWO)
    gateway.delta(ONE.id)

    gateway.snapshot(ONE, TWO, epoch=BACKUP)
    assert (gateway.until(ONE), gateway.until(TWO)) == (0, END)
    assert gateway.since() == {ONE.id: ("off", 0)}
    assert gateway.pool.kept_off() == wire.Deferred(
        snapshot_rev=gateway.pool.rev, count=1, digest=digest_of([ONE])
    )
    gateway.delta(change(ONE, hold_at=END + 5))  # whatever the worker writes meanwhile
    assert gateway.until(ONE) == 0
    gateway.delta(gateway.let_on())

    assert gateway.until(ONE) == END + 5
    assert (gateway.since(), gateway.pool.kept_off()) == ({}, None)


def test_word_of_staff_for_others_lets_nobody_on(gateway: Gateway) -> None:
    gateway.snapshot(ONE, TWO)
    gateway.delta(ONE.id)
    gateway.snapshot(ONE, TWO, epoch=BACKUP)
    seen = gateway.let_on()

    gateway.delta(msgspec.structs.replace(seen, digest=digest_of([TWO])))
    gateway.delta(change(ONE, rate_up_bps=7))
    gateway.delta(seen)

    assert gateway.until(ONE) == 0


def test_who_was_held_by_staff_since_stays_off(gateway: Gateway) -> None:
    gateway.snapshot(ONE, TWO)
    gateway.delta(change(ONE, hold_at=NOW - 5, hold_reason="staff"))

    gateway.snapshot(ONE, TWO, epoch=BACKUP)

    assert (gateway.until(ONE), gateway.since()) == (0, {ONE.id: ("off", 0)})


def test_who_came_back_before_the_backup_is_no_removed_one(gateway: Gateway) -> None:
    gateway.snapshot(ONE, TWO)
    gateway.delta(ONE.id)
    gateway.delta(ONE)

    gateway.snapshot(ONE, TWO, epoch=BACKUP)

    assert (gateway.until(ONE), gateway.since()) == (END, {})


def test_new_history_has_its_own_word_about_who_was_renewed(gateway: Gateway) -> None:
    gateway.snapshot(ONE, TWO, THREE)
    gateway.delta(*(change(d, hold_at=END + 99) for d in (ONE, TWO, THREE)))
    gateway.snapshot(ONE, TWO, THREE, epoch=BACKUP)

    gateway.delta(change(ONE, hold_at=NOW, hold_reason="staff"))
    gateway.delta(change(TWO, hold_at=END + 999))
    gateway.delta(THREE.id)

    assert (gateway.until(ONE), gateway.until(TWO)) == (NOW, END + 999)
    assert THREE.id not in gateway.pool.devices
    assert gateway.since() == {ONE.id: ("renewed", END + 99)}
    held = gateway.feed[ONE.id]
    gateway.delta(change(held, hold_at=END, hold_reason="term"))  # staff end their hold
    assert gateway.until(ONE) == END + 99


def test_second_restore_keeps_what_stood_since_the_first(gateway: Gateway) -> None:
    gateway.snapshot(ONE, TWO, THREE)
    gateway.delta(ONE.id, change(TWO, hold_at=END + 99))
    gateway.snapshot(ONE, TWO, THREE, epoch=BACKUP)

    gateway.snapshot(ONE, TWO, epoch="e3")

    assert (gateway.until(ONE), gateway.until(TWO), gateway.until(THREE)) == (0, END + 99, END)
    gateway.snapshot(TWO, epoch="e4")
    assert gateway.until(ONE) == 0


def usage(number: int) -> wire.Usage:
    return wire.Usage(
        pool=feed.POOL,
        incarnation=f"boot.{number}",
        device="",
        bytes_down=number,
        bytes_up=number,
        final=True,
    )


def test_finals_that_a_restored_site_forgot_are_told_again(gateway: Gateway) -> None:
    store = gateway.store
    gateway.snapshot(ONE, TWO)
    store.save_elements({}, gone={number: usage(number) for number in range(3)})
    assert store.finals(1, [feed.POOL]) == [usage(number) for number in range(3)]
    store.acknowledge(1)
    assert store.finals(2, [feed.POOL]) == []

    gateway.snapshot(ONE, TWO, epoch=BACKUP)

    assert store.finals(3, [feed.POOL]) == [usage(number) for number in range(3)]
    store.acknowledge(3)
    assert store.finals(4, [feed.POOL]) == []


def test_finals_are_told_in_parts_that_one_report_has_room_for(gateway: Gateway) -> None:
    store = gateway.store
    store.save_elements({}, gone={number: usage(number) for number in range(2500)})

    first = store.finals(1, [feed.POOL])
    assert store.finals(2, [feed.POOL]) == first  # not acknowledged
    store.acknowledge(2)
    rest = store.finals(3, [feed.POOL])

    assert (len(first), len(rest)) == (2000, 500)
