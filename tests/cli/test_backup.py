"""`ferriage db backup`: one whole file of a shop that goes on writing."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

from running_ferriage import ferriage

if TYPE_CHECKING:
    from pathlib import Path


def _epoch(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        epoch: str = db.execute("SELECT epoch FROM core_sitestate").fetchone()[0]
    return epoch


def test_copy_holds_what_is_only_in_the_log_and_what_was_not_committed_is_not_in_it(
    shop: Path,
) -> None:
    database = shop / "data/ferriage.sqlite3"
    with closing(sqlite3.connect(database, isolation_level=None)) as busy:
        busy.execute("PRAGMA journal_mode = WAL")
        busy.execute("PRAGMA wal_autocheckpoint = 0")
        busy.execute("UPDATE core_sitestate SET epoch = 'committed'")
        busy.execute("BEGIN IMMEDIATE")
        busy.execute("UPDATE core_sitestate SET epoch = 'on its way'")
        shutil.copy(database, shop / "plain.sqlite3")

        done = ferriage(shop, "db", "backup", "copy.sqlite3")

        busy.execute("ROLLBACK")
    assert done.returncode == 0, done.stderr
    assert _epoch(shop / "plain.sqlite3") != "committed"
    assert _epoch(shop / "copy.sqlite3") == "committed"
    assert stat.S_IMODE((shop / "copy.sqlite3").stat().st_mode) == 0o600


def test_shop_is_whole_again_from_the_copy_and_what_was_named(shop: Path) -> None:
    (shop / "data/evidence").mkdir(exist_ok=True)
    done = ferriage(shop, "db", "backup", "copy.sqlite3")
    named = [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    anew = shop / "anew"
    (anew / "data").mkdir(parents=True)
    shutil.copy(shop / "copy.sqlite3", anew / "data/ferriage.sqlite3")
    for path in named:
        target = anew / path.removeprefix(f"{shop}/")
        (shutil.copytree if target.name == "evidence" else shutil.copy)(path, target)

    checked = ferriage(anew, "ledger", "check")
    restored = ferriage(anew, "db", "restored", "--yes")

    assert sorted(path.rpartition("/")[2] for path in named) == [
        *("evidence", "evidence.key", "feed.key"),
        *("ferriage.toml", "permit.key", "secret.key"),
    ]
    assert (checked.returncode, restored.returncode) == (0, 0), checked.stderr + restored.stderr


def test_file_that_is_there_is_not_touched(shop: Path) -> None:
    (shop / "copy.sqlite3").write_text("older")

    done = ferriage(shop, "db", "backup", "copy.sqlite3")

    assert (done.returncode, (shop / "copy.sqlite3").read_text()) == (1, "older")
    assert "already" in done.stderr


def test_link_that_leads_nowhere_is_not_followed(shop: Path) -> None:
    (shop / "copy.sqlite3").symlink_to(shop / "elsewhere.sqlite3")

    done = ferriage(shop, "db", "backup", "copy.sqlite3")

    assert (done.returncode, (shop / "elsewhere.sqlite3").exists()) == (1, False)
    assert done.stderr == (
        f"ferriage: There is a file {shop}/copy.sqlite3 already. Nothing was written.\n"
    )


def test_name_that_sqlite_reads_otherwise_is_a_file_like_any(shop: Path) -> None:
    done = ferriage(shop, "db", "backup", ":memory:")

    assert done.returncode == 0, done.stderr
    assert _epoch(shop / ":memory:") == _epoch(shop / "data/ferriage.sqlite3")


def test_broken_database_leaves_no_copy_behind(shop: Path) -> None:
    (shop / "data/ferriage.sqlite3").write_bytes(b"no database" * 1000)

    done = ferriage(shop, "db", "backup", "copy.sqlite3")

    assert (done.returncode, (shop / "copy.sqlite3").exists()) == (1, False)
    assert "could not be copied" in done.stderr


def test_shop_on_postgresql_is_sent_to_its_own_tool(shop: Path) -> None:
    done = ferriage(shop, "db", "backup", "copy", FERRIAGE_DATABASE_URL="postgresql://one/two")

    assert (done.returncode, (shop / "copy").exists()) == (1, False)
    assert "pg_dump" in done.stderr
