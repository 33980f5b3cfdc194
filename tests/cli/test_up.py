"""`ferriage up`: starts the processes, restarts what dies, and ends everything it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from running_ferriage import ferriage
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60
"""Starting takes Django a second or two on an idle machine; tests share theirs."""


class Up:
    """A running `ferriage up` of a shop of its own."""

    def __init__(self, directory: Path, port: int = 0) -> None:
        self.directory = directory
        self.port = port or _free_port()
        self._environment = {
            "FERRIAGE_SITE_URL": f"http://localhost:{self.port}",
            "FERRIAGE_SITE_LISTEN": f"127.0.0.1:{self.port}",
            "FERRIAGE_HUB_LISTEN": f"127.0.0.1:{_free_port()}",
        }
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        with (self.directory / "up.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "ferriage", "up"],
                cwd=self.directory,
                env={**os.environ, **self._environment, "FERRIAGE_CONFIG": "ferriage.toml"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return ferriage(self.directory, *arguments, **self._environment)

    @property
    def log(self) -> str:
        return (self.directory / "up.log").read_text()

    def started(self) -> dict[str, int]:
        """Return the process that each part was last started as."""
        found = {}
        for line in self.log.splitlines():
            if line.startswith("up: ") and " started, process " in line:
                name, number = line.removeprefix("up: ").split(" started, process ")
                found[name.split()[0]] = int(number)
        return found

    def answers(self) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2) as answer:
            return answer.status == 200


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _is_running(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture
def up(shop: Path) -> Iterator[Up]:
    made = Up(shop)
    try:
        eventually(made.answers, within=SECONDS)
        yield made
    finally:
        made.process.terminate()
        made.process.wait(30)


def test_up_restarts_a_killed_process_and_ends_all_with_itself(up: Up) -> None:
    first = up.started()

    os.kill(first["site"], signal.SIGKILL)

    eventually(lambda: up.started()["site"] != first["site"], within=SECONDS)
    eventually(up.answers, within=SECONDS)
    again = up.started()
    assert (again["hub"], again["worker"]) == (first["hub"], first["worker"])

    up.process.terminate()

    assert up.process.wait(30) == 0
    assert not [number for number in again.values() if _is_running(number)]


def test_second_up_of_the_same_shop_is_refused(up: Up) -> None:
    done = up.run("up")

    assert done.returncode == 75
    assert "runs already" in done.stderr
    assert up.answers()
    assert "cannot listen" not in up.run("check").stdout, "what is ours is not in our way"


def test_killed_supervisor_leaves_nothing_in_the_next_ones_way(up: Up) -> None:
    first = up.started()

    up.process.kill()
    up.process.wait()

    eventually(lambda: not [n for n in first.values() if _is_running(n)], within=SECONDS)
    up.process = up.start()
    eventually(up.answers, within=SECONDS)


def test_up_says_that_another_program_keeps_its_port_and_ends(shop: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = Up(shop, port)
        try:
            code = up.process.wait(SECONDS)
        finally:
            up.process.kill()

    assert code == 1
    assert (
        f"site 127.0.0.1:{port} cannot listen on 127.0.0.1:{port}: Address already in use."
    ) in up.log
    assert not [number for number in up.started().values() if _is_running(number)]
