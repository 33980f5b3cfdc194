"""Follows the feeds of a gateway's pools: one watch each, as pools come and go.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from ferriage import wire
from ferriage.agent.backoff import Backoff
from ferriage.agent.errors import BatchRefused, Declined, Unreachable

if TYPE_CHECKING:
    from ferriage.agent.client import Client
    from ferriage.agent.engine import Engine
    from ferriage.agent.identity import Identity
    from ferriage.agent.store import Store

log = structlog.get_logger()

_LOOK_SECONDS = 0.2
_HINTS: Final = frozenset({wire.GATEWAY_CLOSED, wire.CLOCK_REFUSED})
"""What the hub may say but only the site may make true."""


class Follower(Protocol):
    """What is done with a feed's batches: the agent."""

    def may_change(self) -> bool:
        """Say whether this agent holds the lease, so that anything may be changed."""

    async def apply(self, batch: wire.Batch) -> bool:
        """Persist and apply a verified batch; False where that was not done."""

    def ask_site(self) -> None:
        """Let the next report be sent at once."""


class Following:
    """The watches of one agent."""

    def __init__(
        self,
        *,
        client: Client,
        engine: Engine,
        store: Store,
        identity: Identity,
        follower: Follower,
        warnings: dict[str, str],
    ) -> None:
        self._client = client
        self._engine = engine
        self._store = store
        self._key = identity.feed_key
        self._follower = follower
        self._warnings = warnings

    async def loop(self) -> None:
        """Keep one watch per pool; pools come and go with assignments."""
        watches: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                for gone in watches.keys() - self._engine.pools.keys():
                    watches.pop(gone).cancel()
                for code in self._engine.pools.keys() - watches.keys():
                    watches[code] = asyncio.create_task(self._watch(code))
                for task in watches.values():
                    if task.done():
                        task.result()
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            for task in watches.values():
                task.cancel()

    async def _watch(self, code: str) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._follow(code)
                backoff.succeeded()
            except (Unreachable, Declined, BatchRefused) as error:
                log.warning("watch.failed", pool=code, reason=str(error))
                self._warnings[f"watch {code}"] = str(error)
                if getattr(error, "slug", "") in _HINTS:
                    self._follower.ask_site()
                await asyncio.sleep(backoff.pause())

    async def _follow(self, code: str) -> None:
        """Fetch and apply one batch: a snapshot when none is held or the feed says so."""
        pool = self._engine.pools.get(code)
        if pool is None:
            return
        if not self._follower.may_change():
            raise Unreachable("another instance holds the lease")
        data = await self._client.follow(
            self._store.get("hub_url"),
            key=self._key,
            pool=code,
            epoch=pool.epoch,
            after=pool.rev,
            # A report proves it, and the site begins another history.
            on_ahead=self._follower.ask_site,
        )
        self._warnings.pop(f"watch {code}", None)
        if data is None:
            return
        try:
            await self._take(data)
        except BatchRefused as error:
            log.error("batch.refused", pool=code, reason=str(error))  # noqa: TRY400 -- told, not traced
            hub = self._store.get("hub_url")
            await self._take(await self._client.snapshot(hub, key=self._key, pool=code))

    async def _take(self, data: bytes) -> None:
        try:
            batch = wire.open_batch(self._key, data)
        except wire.WireError as error:
            raise BatchRefused(str(error)) from error
        done = await self._follower.apply(batch)
        self._follower.ask_site()
        pool = self._engine.pools.get(batch.begin.pool)
        if not done and pool is not None and pool.rev != batch.begin.rev:
            raise Unreachable("A batch could not be kept, so it was not applied.")
