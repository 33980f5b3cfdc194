"""An incarnation holds bytes of one month only, and is kept before it is counted on."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest

from feed import device
from ferriage import wire
from ferriage.agent.quota import Quotas
from ferriage.agent.store import Store
from wal import commits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POOL = "pool_1"
RECORD = device(1, public_key="k", hold_at=9000, quota=wire.Quota(bytes=1000, resets_at=100))
SLOT = RECORD.slot

type _Row = tuple[str, int, bool, int]


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


def _told(quotas: Quotas, store: Store) -> list[_Row]:
    return [*map(_row, store.finals(1, [POOL])), *_rows(quotas)]


def _rows(quotas: Quotas) -> list[_Row]:
    return [_row(row) for row in quotas.usage([POOL], 1, most=10)[0]]


def _row(row: wire.Usage) -> _Row:
    return row.incarnation, row.bytes_down, row.final, row.resets_at


def _numbered(number: int) -> wire.Device:
    return device(number, public_key=f"k{number}", hold_at=9000, quota=RECORD.quota)


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


def test_however_many_devices_begin_they_are_kept_by_one_commit(
    store: Store, tmp_path: Path
) -> None:
    costs, first = [], 1
    for count in (2, 500):
        for way in ("made", "found"):
            records = [_numbered(number) for number in range(first, first + count)]
            first += count
            quotas = Quotas(store, f"boot-{way}")
            before = commits(tmp_path / "state.sqlite3")
            if way == "made":
                quotas.expect(POOL, records)
                quotas.creating([record.slot for record in records], 0)
            else:
                held = {record.slot: (POOL, record) for record in records}
                quotas.observe(dict.fromkeys(held, (7, 0)), held, now=0)
            costs.append(commits(tmp_path / "state.sqlite3") - before)

    assert costs == [1, 1, 1, 1]


def test_number_of_an_incarnation_is_never_given_again_after_a_restart(
    store: Store, quotas: Quotas
) -> None:
    quotas.emptied()
    again = Quotas(store, "boot")

    again.expect(POOL, [RECORD])
    again.creating([SLOT], 0)

    assert [row[0] for row in _told(again, store)] == ["boot.e1", "boot.e2"]


def test_what_cannot_be_kept_is_looked_at_again_and_loses_no_byte(
    store: Store, quotas: Quotas
) -> None:
    _look(quotas, 600, 50)
    store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError):
        quotas.observe({SLOT: (700, 0)}, {}, now=51)  # its device has left: this is the last of it
    assert [row[1:3] for row in _rows(quotas)] == [(600, False)]

    store._db.execute("PRAGMA query_only = OFF")
    quotas.observe({SLOT: (700, 0)}, {}, now=52)

    assert _told(quotas, store) == [("boot.e1", 700, True, 100)]


# --- an element that is lost ------------------------------------------------------------------


def test_what_was_left_goes_on_when_all_elements_are_made_anew(
    quotas: Quotas, store: Store
) -> None:
    _look(quotas, 600, 50)

    quotas.emptied()
    quotas.observe({}, {SLOT: (POOL, RECORD)}, now=51)
    assert quotas.used_up() == set()
    quotas.creating([SLOT], 51)

    _look(quotas, 399, 52)
    assert quotas.used_up() == set()
    _look(quotas, 400, 53)
    assert quotas.used_up() == {SLOT}
    assert _told(quotas, store) == [("boot.e1", 600, True, 100), ("boot.e2", 400, False, 100)]


def test_whoever_had_used_up_all_is_held_before_the_new_element_is_made(quotas: Quotas) -> None:
    _look(quotas, 1000, 50)

    quotas.emptied()
    quotas.observe({}, {SLOT: (POOL, RECORD)}, now=51)
    before = quotas.used_up()
    quotas.creating([SLOT], 51)

    assert (before, quotas.used_up()) == ({SLOT}, {SLOT})


def test_word_of_the_site_lets_go_on_whoever_was_held_without_an_element(quotas: Quotas) -> None:
    _look(quotas, 1000, 50)
    quotas.emptied()
    quotas.observe({}, {SLOT: (POOL, RECORD)}, now=51)
    quotas.creating([SLOT], 51)

    quotas.allow([wire.Allowance(device=RECORD.id, incarnation="boot.e2", bytes=500)])

    assert quotas.used_up() == set()


@pytest.mark.parametrize(
    ("record", "at"),
    [
        (RECORD, 100),  # its month has ended
        (_of(6000), 51),  # the site has told the next month
        (msgspec.structs.replace(RECORD, id="dev_other"), 51),
    ],
)
def test_lost_element_holds_nobody_whom_it_does_not_concern(
    quotas: Quotas, record: wire.Device, at: float
) -> None:
    _look(quotas, 1000, 50)

    quotas.emptied()
    quotas.observe({}, {SLOT: (POOL, record)}, now=at)

    assert quotas.used_up() == set()
    quotas.creating([SLOT], at)
    _look(quotas, 999, at, record)
    assert quotas.used_up() == set()


def test_agent_killed_before_lost_elements_are_begun_again_gives_nothing_anew(
    quotas: Quotas, store: Store
) -> None:
    _look(quotas, 990, 50)
    quotas.emptied()

    after = Quotas(store, "boot")
    after.observe({}, {SLOT: (POOL, RECORD)}, now=51)
    after.creating([SLOT], 51)

    assert [element.limit for element in store.elements().values()] == [10]
    assert store.lost() == {}


def test_counter_that_somebody_emptied_gives_nothing_anew(quotas: Quotas) -> None:
    _look(quotas, 1000, 50)

    _look(quotas, 10, 51)

    assert quotas.used_up() == {SLOT}
