"""The newest revision of every pool, and the requests that wait for a newer one."""

from __future__ import annotations

import asyncio


class Board:
    """Lives in the event loop; the watching thread posts to it by `call_soon_threadsafe`."""

    def __init__(self) -> None:
        self._epoch = ""
        self._revisions: dict[str, int] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._closed = False

    def post(self, epoch: str, revisions: dict[str, int]) -> None:
        """Take over what was just read and wake whom it concerns."""
        everybody = epoch != self._epoch
        for pool in tuple(self._changed):
            if everybody or revisions.get(pool) != self._revisions.get(pool):
                self._changed.pop(pool).set()
        self._epoch, self._revisions = epoch, revisions

    def close(self) -> None:
        """Wake everybody for the last time."""
        self._closed = True
        self.post("", {})

    async def newer(self, pool: str, epoch: str, after: int, *, seconds: float) -> bool:
        """Wait until the pool is beyond a revision or its epoch ended; False when time is up."""
        try:
            async with asyncio.timeout(seconds):
                while not self._is_newer(pool, epoch, after):
                    if self._closed:
                        return False
                    await self._changed.setdefault(pool, asyncio.Event()).wait()
        except TimeoutError:
            return False
        return not self._closed

    def _is_newer(self, pool: str, epoch: str, after: int) -> bool:
        return epoch != self._epoch or self._revisions.get(pool, after) > after
