"""Looks at this host beside the agent's own work, so that staff see what it lacks.

Nothing that is applied ever waits for it: it runs in a thread of its own and reads only.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import structlog

from ferriage.agent import checks
from ferriage.agent.errors import AgentError

if TYPE_CHECKING:
    from ferriage import wire
    from ferriage.agent.clock import SiteClock
    from ferriage.agent.engine import Engine
    from ferriage.config import AgentConfig

log = structlog.get_logger()

PAUSE_SECONDS: Final = 30.0
"""A look reads a few small things of the host and asks its resolver one question."""
_PAUSE_WHILE_FAILING_SECONDS: Final = 15.0
_MOST: Final = 64


class Examiner:
    """What was found last, until the site was told."""

    def __init__(self, config: AgentConfig, engine: Engine, clock: SiteClock) -> None:
        self._config = config
        self._engine = engine
        self._clock = clock
        self._hurried = asyncio.Event()
        self.untold: tuple[wire.Check, ...] = ()

    def hurry(self) -> None:
        """Look again now: what this gateway serves has changed."""
        self._hurried.set()

    def told(self, checks_told: tuple[wire.Check, ...]) -> None:
        """The site took these over; what was found since is still to be told."""
        if self.untold is checks_told:
            self.untold = ()

    async def loop(self, due: asyncio.Event) -> None:
        """Look for ever: after the start, when hurried, and every half minute.

        Args:
            due: Set when there is something to report.
        """
        while True:
            self._hurried.clear()
            pause = PAUSE_SECONDS
            try:
                found = await asyncio.to_thread(self._look)
            except (AgentError, OSError, ValueError) as error:
                log.warning("checks.failed", reason=str(error))
            else:
                self.untold = tuple(finding.on_wire() for finding in found)[:_MOST]
                due.set()
                if any(finding.state != "ok" for finding in found):
                    pause = _PAUSE_WHILE_FAILING_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurried.wait(), pause)

    def _look(self) -> list[checks.Finding]:
        pools = tuple(self._engine.pools.values())
        facts = checks.Facts(
            config=self._config,
            assignments=tuple(pool.assignment for pool in pools),
            handshake=self._engine.handshake_seen,
            site_time=self._clock.now(),
            permits={pool.assignment.line: pool.permit for pool in pools if pool.permit},
        )
        return list(checks.look(facts))
