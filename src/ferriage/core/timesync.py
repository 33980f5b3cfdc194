"""Whether this host's clock was set by a time daemon: asked of the kernel, and of who keeps it.

The kernel says "not synchronised" from boot until a daemon has set the clock, and for ever where
none runs: in a container, on a host that its hypervisor keeps. So only a host on which a daemon is
at work, and has not set the clock yet, waits. Where that cannot be known nothing waits.

Source: docs/explanation/register.md
"""

from __future__ import annotations

import ctypes
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, Literal

State = Literal["synchronised", "waiting", "unknown"]

_RUN: Final = Path("/run")
_DAEMONS: Final = (
    "systemd/timesync",
    "chrony",
    "chrony/chronyd.pid",
    "ntpd.pid",
    "ntpsec",
    "openntpd.sock",
)
"""What daemons leave below /run while they are at work."""
_TIMESYNCD_DONE: Final = "systemd/timesync/synchronized"
_TIME_ERROR: Final = 5
_TIMEX_BYTES: Final = 512
"""More than `struct timex` has on any architecture; all zero asks and sets nothing."""


def kernel_state() -> int:
    """Return what adjtimex(2) returns: 5 while the clock is not synchronised, -1 if not told."""
    adjtimex = _adjtimex()
    return int(adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))) if adjtimex else -1


@cache
def _adjtimex() -> Any:
    try:
        return ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None


@lru_cache(maxsize=4)
def _marks(run: Path) -> tuple[Path, tuple[Path, ...]]:
    """Return what says that the clock was set, and what says that a daemon is at work."""
    return run / _TIMESYNCD_DONE, tuple(run / mark for mark in _DAEMONS)


def state(*, run: Path = _RUN, kernel: int | None = None) -> State:
    """Return how the clock stands.

    Args:
        run: Directory in which daemons leave their marks.
        kernel: The kernel's word, asked for when None.
    """
    said = kernel_state() if kernel is None else kernel
    done, daemons = _marks(run)
    if 0 <= said != _TIME_ERROR or done.exists():
        return "synchronised"
    if said == _TIME_ERROR and any(mark.exists() for mark in daemons):
        return "waiting"
    return "unknown"


class Watch:
    """Remembers that the clock was set: time servers that go away later stop no shop."""

    def __init__(self) -> None:
        self._set = False

    def waiting(self) -> bool:
        """Tell whether the clock is still to be set, for the first time that this process sees."""
        if not self._set:
            found = state()
            self._set = found == "synchronised"
            return found == "waiting"
        return False


WATCH: Final = Watch()
"""This process's."""
