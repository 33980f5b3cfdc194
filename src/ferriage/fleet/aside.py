"""Work that may hang, beside the worker's rounds: a program or a server that is not ours."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went: why it failed, or nothing, and how long it took."""

    failure: str
    seconds: float


@dataclass(slots=True)
class Aside:
    """One piece of work at a time, in a thread. It touches no database."""

    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside")
    )
    _running: Future[Outcome] | None = None

    @property
    def busy(self) -> bool:
        """Whether something was begun whose outcome nobody took yet."""
        return self._running is not None

    def begin(self, work: Callable[[], str]) -> None:
        """Begin work that returns why it failed, or nothing."""

        def timed() -> Outcome:
            began = time.monotonic()
            failure = work()
            return Outcome(failure, time.monotonic() - began)

        self._running = self._pool.submit(timed)

    def take(self, *, wait_seconds: float) -> Outcome | None:
        """Return the outcome once; None when nothing was begun, or it takes longer than this."""
        if self._running is None:
            return None
        try:
            outcome = self._running.result(wait_seconds)
        except TimeoutError:
            return None
        self._running = None
        return outcome
