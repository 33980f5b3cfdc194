"""What a person should know of this gateway: changes by somebody else that were put right.

Only what differs although everything had been brought to what the feed says is somebody else's
doing. After a batch, an assignment or a failure of our own, differences are expected.

Source: docs/how-to/run-gateways.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ferriage import wire
from ferriage.agent import checks
from ferriage.agent.errors import DataPlaneError
from ferriage.agent.system import run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ferriage.agent.clock import SiteClock

log = structlog.get_logger()


class Signs:
    """Counts since this agent began. Called by one thread at a time."""

    def __init__(self, clock: SiteClock) -> None:
        self._clock = clock
        self._counted: dict[tuple[str, str], tuple[int, int]] = {}
        self._found: list[tuple[str, str]] = []
        self._was_settled = False
        self.settled = False
        """Whether all was as wanted when we last let go of it."""

    def begin(self) -> None:
        """Begin a look at everything."""
        self._was_settled, self.settled = self.settled, False
        self._found.clear()

    def found(self, kind: str, pool: str = "") -> None:
        """Note that something differed in this look; in new tables every element does."""
        if kind != "element" or ("table", "") not in self._found:
            self._found.append((kind, pool))

    def found_all(self, kind: str, pools: Iterable[str]) -> None:
        """Note that something of each of these pools differed in this look."""
        for pool in pools:
            self.found(kind, pool)

    def settle(self) -> None:
        """End a look after which all is as wanted: what differed counts, if all had been so."""
        for name in self._found if self._was_settled else ():
            self._count(*name)
            log.warning("change.mended", kind=name[0], pool=name[1])
        self.settled = True

    def judge_build(self, program: str) -> None:
        """Note whether the program for tunnels is one of the slow builds."""
        try:
            finding = checks.of_build(run(program, "--version"))
        except DataPlaneError:
            return  # no program: the back end says so itself when it starts it
        if finding.remedy:
            self._count("slow-build", "")

    def told(self) -> tuple[wire.Sign, ...]:
        """Return what was counted, in order of kind and pool."""
        return tuple(
            wire.Sign(kind=kind, pool=pool, count=count, at=at)
            for (kind, pool), (count, at) in sorted(self._counted.items())
        )

    def _count(self, kind: str, pool: str) -> None:
        count, _ = self._counted.get((kind, pool), (0, 0))
        self._counted[kind, pool] = (count + 1, int(self._clock.now()))
