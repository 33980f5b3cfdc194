"""`ferriage demo`: does business once, from shop to packets, with the parts that a real shop has.

Nothing in here but orchestration: it makes machines, calls the house's own actions as its staff
would, and drives portal, gateway and tunnel from outside.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ferriage.cli.words import CommandError, Exit, complain, say, tell

if TYPE_CHECKING:
    import argparse
    import contextlib

PROGRAMS: Final = (
    "ip",
    "nft",
    "wg",
    "wg-quick",
    "wireguard-go",
    "unbound",
    "ping",
    "conntrack",
    "setpriv",
)
_LAST_PORT: Final = 65_535
_AGAIN_SECONDS: Final = 0.05


def run(parsed: argparse.Namespace) -> int:
    """Play all steps; then keep the shop open until Ctrl-C, unless `--once`."""
    from ferriage.cli.demo import lab, story
    from ferriage.cli.demo.telling import StepFailed

    _check_host()
    directory = Path(parsed.dir).absolute()
    with _own(directory):
        say(f"All is made in {directory} and in network namespaces, and ends with this program.")
        _end_on_signals()
        try:
            built = lab.build(directory)
            try:
                story.play(built, port=_port(parsed.port), stay=not parsed.once)
            finally:
                # A second Ctrl-C must not stop the clearing away.
                for number in (signal.SIGINT, signal.SIGALRM):
                    signal.signal(number, signal.SIG_IGN)
                built.close()
        except StepFailed as failure:
            complain(f"{failure}\nLogs lie in {directory}.")
            return Exit.REFUSED
    return Exit.DONE


def _check_host() -> None:
    if os.geteuid() != 0:
        raise CommandError("The demo makes network namespaces: run `ferriage demo` as root.")
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        raise CommandError(f"Not installed: {', '.join(missing)}. ./setup installs them.")


def _own(directory: Path) -> contextlib.AbstractContextManager[object]:
    """Take and empty the demo's directory; what a killed demo left elsewhere goes too."""
    from ferriage.cli.demo import spaces

    mark = directory / "demo.pid"
    if directory.exists() and any(directory.iterdir()) and not mark.exists():
        raise CommandError(f"{directory} holds something else than a demo; choose another.")
    directory.mkdir(parents=True, exist_ok=True)
    file = mark.open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise CommandError(f"A demo runs in {directory} already; end it, or use --dir.") from None
    file.seek(0)
    former = file.read()
    if former.isdecimal():
        spaces.sweep(int(former))
    for path in set(directory.iterdir()) - {mark}:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _port(wanted: int) -> int:
    """Return where the shop listens, and say so when that is not where it was wanted."""
    port = _free_port(wanted)
    if port != wanted:
        say(
            f"Port {wanted} or one of the two above it is taken, so the shop is at {port}. You "
            f"choose another by `make demo PORT=…`, or"
        )
        tell("  ferriage demo --port PORT")
    return port


def _free_port(wanted: int) -> int:
    """Return the first port from which on shop, hub and sandbox find nobody else.

    Raises:
        CommandError: There is none near.
    """
    if not 0 < wanted <= _LAST_PORT - 2:
        raise CommandError(f"{wanted} is no port for --port: 1 to {_LAST_PORT - 2}.", Exit.USAGE)
    for port in range(wanted, min(wanted + 300, _LAST_PORT - 1), 3):
        if not any(_is_taken(port + number) for number in range(3)):
            return port
    raise CommandError(
        f"Ports from {wanted} on are taken; choose another with `make demo PORT=…` or --port."
    )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False


def _end_on_signals() -> None:
    """Let SIGTERM and a closed terminal clear away as Ctrl-C does, also when it was ignored.

    Python swallows what is raised in a finalizer or a callback of a weak reference; a signal that
    came just there is raised again a moment later.
    """

    def stop(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    def swallowed(what: sys.UnraisableHookArgs) -> None:
        if what.exc_type is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
        else:
            sys.__unraisablehook__(what)

    sys.unraisablehook = swallowed
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, stop)
