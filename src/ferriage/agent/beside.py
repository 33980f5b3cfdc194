"""What stands beside the tunnels: what the hold page reads, and the resolver.

Both are for the customers' comfort. That a file cannot be written (a full /run) or that unbound
does not run is a warning in the next report; elements and peers change all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from ferriage.agent import holdfile
from ferriage.agent.errors import DataPlaneError
from ferriage.agent.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from ferriage.agent.clock import SiteClock
    from ferriage.agent.engine import Engine
    from ferriage.config import Config

log = structlog.get_logger()


class Beside:
    """Tells the hold page and the resolver what is served; callers hold the agent's lock.

    Args:
        warnings: Where trouble is written, by what has it, until it is over.
    """

    def __init__(
        self, config: Config, engine: Engine, clock: SiteClock, warnings: dict[str, str]
    ) -> None:
        self._engine, self._clock, self._warnings = engine, clock, warnings
        self._held = holdfile.Writer(config.agent)
        self._resolver = Resolver(config.agent)

    def publish(self) -> None:
        """Tell all that is served now."""
        self._tell(self._held.write, cut=self._engine.cut)
        self.resolve()

    def refresh(self) -> None:
        """Tell what concerns all devices, if it changed, and whose quota is used up."""
        self._tell(self._held.refresh, cut=self._engine.cut)

    def change(self, *taken: Any) -> None:
        """Tell what a batch changed; `taken` is what `Engine.take` returned."""
        self._tell(self._held.change, *taken)
        self.resolve()

    def resolve(self) -> None:
        """Let unbound run with what is served now."""
        self._guarded("resolver", lambda: self._resolver.ensure(self._engine.pools.values()))

    def _tell(self, tell: Callable[..., None], *what: Any, **more: Any) -> None:
        offset = round(self._clock.now() - self._clock.mark())
        pools = self._engine.pools.values()
        self._guarded("hold page", lambda: tell(pools, *what, site_offset=offset, **more))

    def _guarded(self, part: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (DataPlaneError, OSError) as error:
            if self._warnings.get(part) != str(error):
                log.error("beside.failed", part=part, reason=str(error))  # noqa: TRY400 -- told, not traced
            self._warnings[part] = str(error)
        else:
            self._warnings.pop(part, None)
