"""`ferriage up`: starts the processes of one host and keeps them running.

Each is a process group of its own. Tunnels are not among them: wireguard-go, nft's table and the
resolver live on when this program or the agent dies, and the next agent adopts them.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ferriage.cli import house, reach
from ferriage.cli.words import CommandError, Exit, say, tell

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ferriage.config import Config

ALREADY_RUNNING: Final = 75
_LOOK_SECONDS: Final = 0.5
_STEADY_SECONDS: Final = 20.0
_LONGEST_PAUSE_SECONDS: Final = 15.0
_CLOSED_GATEWAY: Final = 77
"""How an agent ends whose gateway was closed for good: it is looked at again only in case this host
becomes another one."""
_REST_SECONDS: Final = 60.0
_MOST_TRIES: Final = 4
_PATIENCE_SECONDS: Final = 10.0
_PR_SET_PDEATHSIG: Final = 1
_SIGNALS: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
_libc = ctypes.CDLL(None)


@dataclass
class Part:
    """One process: what it is called, how it starts, and how it has fared."""

    name: str
    arguments: tuple[str, ...]
    user: tuple[int, int] | None = None
    ready: Callable[[], bool] = lambda: True
    """Not started before this says yes: the agent's parts wait for enrolment."""
    listen: str = ""
    """Where it must be able to listen, for there to be a shop at all."""
    tries: int = 0
    """How often in a row it ended soon after its start."""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 0.0
    due: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Start the process if it is due; take note of its end if it has ended."""
        if self.process is not None and self.process.poll() is not None:
            self._ended(self.process)
        if self.process is None and time.monotonic() >= self.due and self.ready():
            self._start()

    def _start(self) -> None:
        uid, gid = self.user or (None, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ferriage", *self.arguments],
            stdin=subprocess.DEVNULL,
            process_group=0,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            preexec_fn=end_with_supervisor,  # noqa: PLW1509 -- no threads run here
        )
        self.started = time.monotonic()
        say(f"up: {self.name} started, process {self.process.pid}")

    def _ended(self, process: subprocess.Popen[bytes]) -> None:
        # Workers of a killed server would keep its address.
        self.signal(signal.SIGKILL)
        lived = time.monotonic() - self.started
        steady = lived > _STEADY_SECONDS
        self.tries = 1 if steady else self.tries + 1
        self.pause = 0.2 if steady else min(2 * self.pause or 0.2, _LONGEST_PAUSE_SECONDS)
        if process.returncode == _CLOSED_GATEWAY:
            self.pause = _REST_SECONDS
        self.due = time.monotonic() + self.pause
        self.process = None
        say(f"up: {self.name} ended with {process.returncode}; again in {self.pause:.1f} s")

    def shut_out(self) -> str:
        """Return why it cannot listen, once it has tried often enough; empty while there is hope.

        A port is often free again soon, when the program before was only ending.
        """
        if self.process is not None or self.tries < _MOST_TRIES or not self.listen:
            return ""
        return reach.why_not(*reach.split(self.listen))

    def signal(self, number: int) -> None:
        """Send a signal to the whole group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


def end_with_supervisor() -> None:
    """In the child: take signals again, and get SIGTERM when the supervisor dies.

    Runs after the change of user, which would take the wish back.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def run(_: argparse.Namespace) -> int:
    """Supervise until SIGTERM or Ctrl-C."""
    config = house.load()
    enrolled = config.resolve(config.agent.state_dir) / "identity.json"
    # A gateway's directory is root's: whoever else starts the shop may not look into it.
    if os.access(enrolled, os.F_OK) and not config.data_dir.exists():
        found, place = gateway_parts(enrolled, None), enrolled.parent
    else:
        house.enter()
        found = [*shop_parts(config), *gateway_parts(enrolled, unprivileged(config))]
        place = config.data_dir
        _close_database()
    with _lock(place / "up.lock"):
        supervise(found)
    return Exit.DONE


def _close_database() -> None:
    from django.db import connections

    connections.close_all()


def shop_parts(config: Config) -> list[Part]:
    """Return the shop's processes."""
    plain = unprivileged(config)
    found = [
        Part(f"site {address}", ("site", "--listen", address), plain, listen=address)
        for address in config.site.listen
    ]
    inside = reach.inner_listen(config)
    if inside:
        ready = functools.partial(reach.is_here, config.inner_address)
        found.append(Part(f"site {inside}", ("site", "--listen", inside), plain, ready=ready))
    hub = Part("hub", ("hub",), plain, listen=config.hub.listen)
    return [*found, hub, Part("worker", ("worker",), plain)]


def gateway_parts(enrolled: Path, plain: tuple[int, int] | None) -> list[Part]:
    """Return what runs once this host is a gateway; only root can run it."""
    if os.geteuid() != 0:
        say("up: not root, so no gateway runs on this host")
        return []
    return [
        Part("agent", ("agent", "run"), ready=enrolled.exists),
        Part("hold", ("hold",), plain, ready=enrolled.exists),
    ]


def unprivileged(config: Config) -> tuple[int, int] | None:
    """Return user and group that own the shop's data, when root starts a shop of somebody's."""
    owner = config.data_dir.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return None
    return owner.st_uid, owner.st_gid


def supervise(found: Sequence[Part]) -> None:
    """Keep the parts running until a signal ends us, then end them all.

    Raises:
        CommandError: Another program keeps a port that the shop needs; everything is ended, since
            half a shop looks like a whole one to whoever started it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        while True:
            for part in found:
                part.look()
                _refuse_shut_out(part)
            came = signal.sigtimedwait(_SIGNALS, _LOOK_SECONDS)
            if came is not None and came.si_signo != signal.SIGCHLD:
                return
    finally:
        _end(found)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _refuse_shut_out(part: Part) -> None:
    reason = part.shut_out()
    if reason:
        raise CommandError(
            f"{part.name} cannot listen on {part.listen}: {reason}. End the program that does, or "
            "change the settings; `ferriage check` names which. Everything is ended."
        )


def _end(found: Sequence[Part]) -> None:
    """Ask all to end, the last started first, and kill what has not ended in time."""
    running = [part for part in reversed(found) if part.process is not None]
    for part in running:
        part.signal(signal.SIGTERM)
    end = time.monotonic() + _PATIENCE_SECONDS
    for part in running:
        if part.process is None:
            continue
        with contextlib.suppress(subprocess.TimeoutExpired):
            part.process.wait(max(0.0, end - time.monotonic()))
        part.signal(signal.SIGKILL)
        part.process.wait()
        say(f"up: {part.name} ended")
    if any(part.name == "agent" for part in running):
        say("up: tunnels go on as they are; each term and each line still ends on time")
        tell("up: to take the gateway down too: `ferriage agent remove`")


def _lock(path: Path) -> contextlib.AbstractContextManager[object]:
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise CommandError(
            f"`ferriage up` runs already: {path} is locked.", ALREADY_RUNNING
        ) from None
    return file
