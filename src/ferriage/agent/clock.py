"""Site time: what the site last signed, plus what this machine's boot clock counted since.

The machine's own calendar clock is never asked, so a wild one neither frees nor cuts anybody.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def boot_id() -> str:
    """Return the id of this machine's current boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def boot_seconds() -> float:
    """Return seconds since boot, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SiteClock:
    """Keeps the interval in which (site time - boot clock) must lie.

    A signed `now` is a whole second, cut off, made somewhere between sending and receiving. Each
    answer bounds the offset from both sides; together they pin it far below a second.
    """

    def __init__(self, *, site_time: float, boottime: Callable[[], float] = boot_seconds) -> None:
        self._boottime = boottime
        self._low = self._high = site_time - boottime()

    def now(self) -> float:
        """Return site time in Unix seconds."""
        return self._boottime() + (self._low + self._high) / 2

    def mark(self) -> float:
        """Return the boot clock, to be given to `learn` as `sent` or `received`."""
        return self._boottime()

    def learn(self, *, now: int, sent: float, received: float) -> None:
        """Take over a verified `now`; when it contradicts what was known, the new one wins."""
        low, high = now - received, now + 1 - sent
        self._low, self._high = max(self._low, low), min(self._high, high)
        if self._low > self._high:
            self._low, self._high = low, high
