"""An incarnation of a device's counter never holds bytes of two months of its quota."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from feed import device
from ferriage import wire
from ferriage.agent.quota import Quotas
from ferriage.agent.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POOL = "pool_1"
RECORD = device(1, public_key="k", hold_at=9000, quota=wire.Quota(bytes=1000, resets_at=100))
SLOT = RECORD.slot


def _of(month_ends_at: int, quota: int = 1000) -> wire.Device:
    return msgspec.structs.replace(RECORD, quota=wire.Quota(bytes=quota, resets_at=month_ends_at))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "state.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def quotas(store: Store) -> Quotas:
    found = Quotas(store, "boot")
    found.expect(POOL, [RECORD])
    found.creating([SLOT], 0)
    return found


def _look(quotas: Quotas, down: int, at: float, record: wire.Device = RECORD) -> None:
    quotas.observe({SLOT: (down, 0)}, {SLOT: (POOL, record)}, now=at)


def _told(quotas: Quotas, store: Store) -> list[tuple[str, int, bool, int]]:
    rows = [*store.finals(1, [POOL]), *quotas.usage([POOL], 1, most=10)[0]]
    return [(row.incarnation, row.bytes_down, row.final, row.resets_at) for row in rows]


def test_month_that_ends_ends_the_incarnation_and_gives_the_bytes_anew(
    quotas: Quotas, store: Store
) -> None:
    _look(quotas, 1000, 50)
    assert quotas.used_up() == {SLOT}

    _look(quotas, 1010, 100)

    assert quotas.used_up() == set()
    assert _told(quotas, store) == [("boot.e1", 1010, True, 100), ("boot.e2", 0, False, 0)]


def test_bytes_come_anew_once_until_the_site_tells_the_next_month(
    quotas: Quotas, store: Store
) -> None:
    _look(quotas, 1000, 50)
    _look(quotas, 1000, 100)
    _look(quotas, 2000, 5000)
    assert quotas.used_up() == {SLOT}

    _look(quotas, 2000, 5001, _of(6000))

    assert quotas.used_up() == {SLOT}  # the month's end alone gives nothing
    assert _told(quotas, store)[-1] == ("boot.e2", 1000, False, 6000)


def test_word_of_the_site_on_the_last_month_changes_nothing_in_the_next(quotas: Quotas) -> None:
    _look(quotas, 600, 50)
    _look(quotas, 600, 100)

    late = wire.Allowance(device=RECORD.id, incarnation="boot.e1", bytes=600)
    quotas.allow([late])
    _look(quotas, 1599, 101)

    assert quotas.used_up() == set()
    _look(quotas, 1600, 102)
    assert quotas.used_up() == {SLOT}


def test_site_that_tells_the_next_month_first_gives_the_bytes_once(
    quotas: Quotas, store: Store
) -> None:
    _look(quotas, 600, 98)
    _look(quotas, 700, 99, _of(200))

    _look(quotas, 1699, 101, _of(200))
    assert quotas.used_up() == set()
    _look(quotas, 1700, 102, _of(200))

    assert quotas.used_up() == {SLOT}
    assert _told(quotas, store) == [("boot.e1", 700, True, 100), ("boot.e2", 1000, False, 200)]


def test_more_bytes_in_the_same_month_go_on_in_the_incarnation(
    quotas: Quotas, store: Store
) -> None:
    _look(quotas, 600, 50)

    _look(quotas, 700, 51, _of(100, quota=5000))

    assert _told(quotas, store) == [("boot.e1", 700, False, 100)]
