"""Network namespaces: small machines inside this one, gone when the demo ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ferriage.cli.demo.telling import StepFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKETS: Final = Path("/var/run/wireguard")


def call(*command: str, check: bool = True, within: float = 30, stdin: str = "") -> str:
    """Run a program to its end and return what it printed.

    Raises:
        StepFailed: It ended with an error, and `check` is set.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=within, check=False, input=stdin
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise StepFailed(str(error)) from error
    if check and done.returncode:
        # Not the whole command: one of its words may be a token.
        raise StepFailed(f"{' '.join(command[:6])} …: {(done.stderr or done.stdout).strip()}")
    return done.stdout


class Space:
    """One network namespace and the programs that were started in it."""

    def __init__(self, label: str) -> None:
        self.name = f"fer-{os.getpid()}-{label}"
        call("ip", "netns", "add", self.name)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command: str, check: bool = True, within: float = 30) -> str:
        """Run a program in here to its end and return what it printed."""
        return call("ip", "netns", "exec", self.name, *command, check=check, within=within)

    def start(self, *command: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a program in here that goes on; `close` ends it."""
        return start("ip", "netns", "exec", self.name, *command, log=log)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Let this thread be in here: sockets made meanwhile are this machine's."""
        with (
            Path(f"/run/netns/{self.name}").open("rb") as there,
            Path("/proc/thread-self/ns/net").open("rb") as home,
        ):
            os.setns(there.fileno(), os.CLONE_NEWNET)
            try:
                yield
            finally:
                os.setns(home.fileno(), os.CLONE_NEWNET)

    def address(self, interface: str, *addresses: str) -> None:
        """Give an interface addresses, usable at once, and bring it up."""
        for text in addresses:
            late = ("nodad",) if ":" in text else ()
            self.run("ip", "address", "add", text, "dev", interface, *late)
        self.run("ip", "link", "set", "dev", interface, "up")

    def close(self) -> None:
        """Kill what runs in here, by process ids, and remove the namespace."""
        _close(self.name)


def _close(name: str) -> None:
    for number in call("ip", "netns", "pids", name, check=False).split():
        with contextlib.suppress(ProcessLookupError):
            if int(number) != os.getpid():
                os.kill(int(number), signal.SIGKILL)
    call("ip", "netns", "del", name, check=False)


def start(*command: str, log: Path) -> subprocess.Popen[bytes]:
    """Start a program that goes on, in a session of its own, with its output in a file.

    It gets SIGTERM when the demo dies, however it dies.
    """
    with log.open("ab") as file:
        return subprocess.Popen(
            ("setpriv", "--pdeathsig", "TERM", "--", *command),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def join(left: Space, right: Space, *, names: tuple[str, str]) -> None:
    """Lay a cable between two namespaces."""
    one, other = names
    left.run("ip", "link", "add", one, "type", "veth", "peer", "name", other, "netns", right.name)


def join_host(space: Space, *, names: tuple[str, str]) -> None:
    """Lay a cable from this machine itself into a namespace."""
    here, there = names
    call("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", space.name)
    call("ip", "link", "set", "dev", here, "up")


def sweep(number: int) -> None:
    """Remove what a demo that was killed left behind, by its process id."""
    for name in call("ip", "netns", "list").split():
        if name.startswith(f"fer-{number}-"):
            _close(name)
    remove_sockets(f"fd{number}")


def remove_sockets(prefix: str) -> None:
    """Remove the control sockets of tunnels that were ours; wireguard-go was killed before."""
    for path in SOCKETS.glob(f"{prefix}*.sock"):
        path.unlink(missing_ok=True)
