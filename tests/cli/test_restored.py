"""`ferriage db restored`: another history begins before the shop is started on a backup."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from running_ferriage import ferriage

if TYPE_CHECKING:
    from pathlib import Path


def _epoch(shop: Path) -> tuple[str, int]:
    with closing(sqlite3.connect(shop / "data" / "ferriage.sqlite3")) as db:
        return db.execute("SELECT epoch, next_slot FROM core_sitestate").fetchone()


def test_restored_begins_another_history_and_says_what_gateways_will_do(shop: Path) -> None:
    before = _epoch(shop)

    done = ferriage(shop, "db", "restored", "--yes")

    after = _epoch(shop)
    assert done.returncode == 0
    assert after[0] != before[0]
    assert after[1] == before[1] + 10_000
    assert after[0] in done.stdout
    assert "Gateways keep who paid since the backup" in done.stdout + done.stderr


def test_typed_out_of_curiosity_it_says_what_it_would_do_and_does_nothing(shop: Path) -> None:
    before = _epoch(shop)

    done = ferriage(shop, "db", "restored")

    assert done.returncode == 1
    assert "It begins another history, which cannot be undone" in done.stderr
    assert "add --yes if a backup was put back; nothing was changed." in done.stderr
    assert _epoch(shop) == before
