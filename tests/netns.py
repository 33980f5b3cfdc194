"""Network namespaces with real packets, for tests of the tunnel.

    client a ── 198.51.100.0/30 ──┐
                                  │
    client b ── 198.51.100.4/30 ──┤ gateway ── 203.0.113.0/24 ── internet
                                  │              2001:db8:2::/64
    site ─────── 192.0.2.0/24 ────┘

Clients reach the gateway alone (no route further), so what reaches `internet` went through the
tunnel. Site and hub are stand-ins (`feed.py`) that live in namespace `site`. Names carry this
process's id, programs are started and ended by their ids, and everything goes in `close`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_numbers = itertools.count(1)


class Namespace:
    """One network namespace and the programs that were started in it."""

    def __init__(self, label: str) -> None:
        self.name = f"fer-{os.getpid()}-{next(_numbers)}{label}"
        self.programs: list[subprocess.Popen[bytes]] = []
        _call("ip", "netns", "add", self.name)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command: str, check: bool = True, within: float = 30) -> str:
        """Run a program in here to its end and return what it printed."""
        return _call("ip", "netns", "exec", self.name, *command, check=check, within=within)

    def start(
        self, *command: str, output: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program in here; it is killed with the namespace at the latest."""
        with (output or Path("/dev/null")).open("ab") as file:
            program = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        self.programs.append(program)
        return program

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Move this thread in here; sockets made meanwhile stay in here."""
        with (
            Path(f"/run/netns/{self.name}").open("rb") as there,
            Path("/proc/thread-self/ns/net").open("rb") as home,
        ):
            os.setns(there.fileno(), os.CLONE_NEWNET)
            try:
                yield
            finally:
                os.setns(home.fileno(), os.CLONE_NEWNET)

    def thread(self, work: Callable[[], Any]) -> threading.Thread:
        """Run work in a thread in here."""

        def inside() -> None:
            with self.entered():
                work()

        thread = threading.Thread(target=inside, daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """End the programs in here by their ids, and the namespace."""
        for program in self.programs:
            if program.poll() is None:
                program.send_signal(signal.SIGKILL)
            program.wait()
        for number in _call("ip", "netns", "pids", self.name, check=False).split():
            with contextlib.suppress(ProcessLookupError):
                if int(number) != os.getpid():
                    os.kill(int(number), signal.SIGKILL)
        _call("ip", "netns", "del", self.name, check=False)


def join(left: Namespace, right: Namespace, *, names: tuple[str, str]) -> None:
    """Lay a cable between two namespaces; both ends are up."""
    one, other = names
    left.run("ip", "link", "add", one, "type", "veth", "peer", "name", other, "netns", right.name)
    left.run("ip", "link", "set", "dev", one, "up")
    right.run("ip", "link", "set", "dev", other, "up")


def address(namespace: Namespace, interface: str, *addresses: str) -> None:
    """Give an interface addresses, usable at once."""
    for text in addresses:
        late = ("nodad",) if ":" in text else ()
        namespace.run("ip", "address", "add", text, "dev", interface, *late)


def _call(*command: str, check: bool = True, within: float = 30) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout
