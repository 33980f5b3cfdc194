"""The whole demo, as `make demo` runs it: it shows every step, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.tunnel

PORT = 18_900
STEPS = 13


@contextlib.contextmanager
def _running(directory: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a demo; one that the test left running is ended as by Ctrl-C."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    command = (sys.executable, "-m", "ferriage", "demo", *arguments)
    with (directory / "said").open("wb") as said:
        demo = subprocess.Popen(
            [*command, "--dir", str(directory / "demo"), "--port", str(PORT)],
            env={**os.environ, "FERRIAGE_CONFIG": str(directory / "none.toml")},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        yield demo
    finally:
        if demo.poll() is None:
            demo.send_signal(signal.SIGINT)
        demo.wait(60)


def _said(directory: Path) -> str:
    return (directory / "said").read_text()


def _left_behind(number: int) -> list[str]:
    """Return what a demo made outside its directory and did not clear away."""
    names = [path.name for path in Path("/run/netns").glob(f"fer-{number}-*")]
    names += [path.name for path in Path("/var/run/wireguard").glob(f"fd{number}*")]
    names += [path.name for path in Path("/sys/class/net").glob(f"fd{number}*")]
    return names


def _still_running(directory: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory / "demo") in words:
            found.append(words)
    return found


def _until(demo: subprocess.Popen[bytes], check: Callable[[], bool], directory: Path) -> None:
    """Wait for something that a living demo shows."""

    def look() -> bool:
        if demo.poll() is not None:
            pytest.fail(_said(directory))
        return check()

    eventually(look, within=120)


def test_demo_shows_every_step_and_leaves_nothing(tmp_path: Path) -> None:
    with _running(tmp_path, "--once") as demo:
        assert demo.wait(180) == 0, _said(tmp_path)

    assert _said(tmp_path).count("since the start") == STEPS
    assert "books balance" in _said(tmp_path)
    assert (_left_behind(demo.pid), _still_running(tmp_path)) == ([], [])


def test_interrupted_demo_clears_everything_away(tmp_path: Path) -> None:
    with _running(tmp_path) as demo:
        _until(demo, lambda: "the gateway runs the line" in _said(tmp_path), tmp_path)
        assert _left_behind(demo.pid)

        demo.send_signal(signal.SIGINT)

        assert demo.wait(60) == 130
    assert (_left_behind(demo.pid), _still_running(tmp_path)) == ([], [])


def test_second_demo_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    with _running(tmp_path) as first:
        _until(first, (tmp_path / "demo/data").exists, tmp_path)

        second = subprocess.run(
            [sys.executable, "-m", "ferriage", "demo", "--once", "--dir", str(tmp_path / "demo")],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

        assert first.poll() is None
    assert second.returncode == 1
    assert "runs in" in second.stderr
