"""Site and hub as processes of their own, and what a process costs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ferriage.cli.up import end_with_supervisor
from ferriage.cli.words import CommandError

if TYPE_CHECKING:
    from ferriage.config import Config

_PATIENCE_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.05
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_KIB: Final = 1024


class Cost(NamedTuple):
    """Seconds of CPU and bytes of memory."""

    seconds: float = 0.0
    bytes: int = 0


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cost_of(pid: int) -> Cost:
    """Return what a process and all that it started have cost so far; nothing once it is gone."""
    total = Cost()
    for one in (pid, *_children(pid)):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # After the name, which may hold anything, in brackets.
            fields = (
                Path(f"/proc/{one}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            )
            used = sum(map(int, fields[11:15])) / _TICKS
            total = Cost(total.seconds + used, total.bytes + _resident(one))
    return total


def own_cost() -> Cost:
    """Return what this process alone has cost so far, without those that it started."""
    return Cost(time.process_time(), _resident(os.getpid()))


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in thread.read_text(encoding="ascii").split():
                found += [int(child), *_children(int(child))]
    return found


def _resident(pid: int) -> int:
    """Return a process's own part of the memory that it uses."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(line.split()[1]) * _KIB for line in text.splitlines() if line[:4] == "Pss:")


@dataclass
class Server:
    """`ferriage site` or `ferriage hub`, which may be ended and started again."""

    name: str
    config: Config
    url: str
    process: subprocess.Popen[bytes] | None = None
    before: float = 0.0
    """Seconds of CPU of processes that have ended."""
    log: Path = field(default=Path("/dev/null"))

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            CommandError: It ended, or does not answer; its log says why.
        """
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ferriage", self.name],
                env={**os.environ, "FERRIAGE_CONFIG": str(self.config.path)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                process_group=0,
                preexec_fn=end_with_supervisor,  # noqa: PLW1509 -- no threads run here
            )
        ends = time.monotonic() + _PATIENCE_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > ends:
                words = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise CommandError(f"The simulation's {self.name} does not start.\n{words}")
            time.sleep(_LOOK_SECONDS)

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it, by a signal to its group, and wait."""
        if self.process is None:
            return
        self.before += cost_of(self.process.pid).seconds
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        self.process.wait(_PATIENCE_SECONDS)
        self.process = None

    def cost(self) -> Cost:
        """Return what it has cost so far, all its processes together."""
        now = cost_of(self.process.pid) if self.process else Cost()
        return Cost(self.before + now.seconds, now.bytes)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:  # noqa: S310 -- loopback
                return bool(answer.status == 200)  # noqa: PLR2004 -- OK
        except (urllib.error.URLError, OSError):
            return False


def database_cost() -> Cost:
    """Return what the database server has cost, if it is PostgreSQL and runs on this machine."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return Cost()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), inet_server_addr() IS NULL")
        backend, is_here = cursor.fetchone()
    status = Path(f"/proc/{backend}/status")
    if not is_here or not status.exists() or "postgres" not in status.read_text(encoding="utf-8"):
        return Cost()
    fields = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
    return cost_of(int(fields["PPid"]))
