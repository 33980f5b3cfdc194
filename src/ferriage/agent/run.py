"""`ferriage agent run`: start from the cache, then watch, apply and report until told to end.

Ending changes nothing: tunnels, rules and their time-outs stay and the next start adopts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
from typing import TYPE_CHECKING

import aiohttp
import structlog

from ferriage import __version__, wire
from ferriage.agent import backend, holdfile, identity, status
from ferriage.agent.client import Client
from ferriage.agent.clock import SiteClock, boot_id, boot_seconds
from ferriage.agent.engine import Engine
from ferriage.agent.errors import (
    AgentError,
    BatchRefused,
    DataPlaneError,
    Declined,
    Unreachable,
)
from ferriage.agent.figures import Figures
from ferriage.agent.logs import configure_log
from ferriage.agent.nft import Nft
from ferriage.agent.quota import Quotas
from ferriage.agent.resolver import Resolver
from ferriage.agent.store import Store, lock_state
from ferriage.agent.usage import Meter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ferriage.config import Config

log = structlog.get_logger()

_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 15.0
_CLOCK_SECONDS = 60.0
_PAUSE_FACTOR = 7.0
_GLANCE_SECONDS = 0.3
_MEND_PAUSE_SECONDS = 2.0


class Agent:
    """One running agent: its engine under a lock, and the loops around it."""

    def __init__(self, config: Config, state_dir: Path) -> None:
        self._config = config
        self._identity = identity.load(config)
        self._store = Store(state_dir / "state.sqlite3")
        self._clock = SiteClock(site_time=self._store.clock())
        least = int(boot_seconds() * 1000)
        self._meter = Meter(self._store, boot_id(), least=least)
        self._quotas = Quotas(self._store, boot_id(), least=least)
        self.engine = Engine(
            config=config,
            identity=self._identity,
            store=self._store,
            clock=self._clock,
            backend=backend.choose(config.agent),
            nft=Nft(config.agent),
            meter=self._meter,
            quotas=self._quotas,
        )
        self._figures = Figures(self.engine, self._clock, config.agent.run_dir)
        self._resolver = Resolver(config.agent)
        self._held = holdfile.Writer(config.agent)
        self._lock = asyncio.Lock()
        self._due = asyncio.Event()
        self._frozen = False
        self._bare = False
        self._next_reconcile = 0.0
        self._fence = int(self._store.get("fence", "0"))
        self._warnings: dict[str, str] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set."""
        await self._guarded("start", self._start)
        async with aiohttp.ClientSession() as session:
            client = Client(
                session,
                gateway=self._identity.gateway,
                signing_key=self._identity.signing_key,
                clock=self._clock,
            )
            loops = [
                asyncio.create_task(self._report_loop(client)),
                asyncio.create_task(self._watch_loops(client)),
                asyncio.create_task(self._clock_loop()),
                asyncio.create_task(self._mend_loop()),
                asyncio.create_task(self._sample_loop()),
                asyncio.create_task(stop.wait()),
            ]
            done, rest = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
            for task in done:
                task.result()
        self._store.save_clock(self._clock.now())
        self._quotas.save(self._clock.now())
        log.info("agent.ended")

    def _start(self) -> None:
        if self.engine.backend_name == "userspace":
            self.engine.signs.judge_build(self._config.agent.wireguard_go)
        self.engine.start()
        self._publish()

    def _publish(self) -> None:
        """Tell the hold page and the resolver all that is served now."""
        pools = self.engine.pools.values()
        self._held.write(pools, site_offset=self._offset(), cut=self.engine.cut)
        self._resolver.ensure(pools)

    def _refresh(self) -> None:
        pools = self.engine.pools.values()
        self._held.refresh(pools, site_offset=self._offset(), cut=self.engine.cut)

    def _offset(self) -> int:
        return round(self._clock.now() - self._clock.mark())

    async def _guarded(self, part: str, work: Callable[[], None]) -> bool:
        """Run blocking work under the lock; trouble becomes a warning in the next report."""
        async with self._lock:
            try:
                await asyncio.to_thread(work)
            except DataPlaneError as error:
                self._warnings[part] = str(error)
                log.error("work.failed", part=part, reason=str(error))  # noqa: TRY400 -- told, not traced
                return False
            self._warnings.pop(part, None)
            return True

    # --- reports

    async def _report_loop(self, client: Client) -> None:
        while True:
            await self._guarded("reconcile", self._reconcile)
            await self._report(client)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), self._config.agent.report_seconds)
            self._due.clear()

    def _reconcile(self) -> None:
        """Read everything and mend it, but spend at most an eighth of the time on that."""
        began = self._clock.mark()
        if self._frozen or began < self._next_reconcile:
            return
        self.engine.reconcile()
        self._refresh()
        self._resolver.ensure(self.engine.pools.values())
        ended = self._clock.mark()
        self._next_reconcile = ended + _PAUSE_FACTOR * (ended - began)

    async def _mend_loop(self) -> None:
        """Bring back an interface that is gone, whatever the site's answer is waited for."""
        while True:
            await asyncio.sleep(_GLANCE_SECONDS)
            if not self._frozen and self.engine.damaged():
                log.warning("interface.lost")
                await self._guarded("reconcile", self.engine.reconcile)
                await asyncio.sleep(_MEND_PAUSE_SECONDS)

    async def _sample_loop(self) -> None:
        """Look in time whose quota is used up, while anybody has one."""
        while True:
            await asyncio.sleep(self._quotas.pause())
            if self._quotas.counts_any() and not self._frozen:
                await self._guarded("quotas", self._sample)

    def _sample(self) -> None:
        if self.engine.sample():
            self._refresh()

    async def _report(self, client: Client) -> None:
        async with self._lock:
            report = self._figures.report = self._make_report()
            await asyncio.to_thread(self._figures.write)
        try:
            answer = await client.report(
                self._identity.site_url, key=self._identity.permit_key, report=report
            )
        except Declined as error:
            self._declined(error)
            return
        except Unreachable as error:
            log.warning("report.failed", reason=str(error))
            return
        await self._accepted(answer)

    def _declined(self, error: Declined) -> None:
        """Another instance holds the lease: change nothing, keep forwarding, say so.

        Refused for a pool that is not ours any more, the next report names none, so that its
        answer can tell which are.
        """
        if error.slug == "lease":
            self._frozen, self._figures.holds_lease = True, False
            self._warnings["lease"] = str(error)
        self._bare = error.slug == "pool"
        log.error("report.refused", slug=error.slug, reason=str(error))

    async def _accepted(self, answer: wire.ReportAnswer) -> None:
        self._frozen = self._bare = False
        self._figures.holds_lease, self._figures.answered_at = True, self._clock.now()
        self._warnings.pop("lease", None)

        def take_over() -> None:
            self._fence = answer.fence
            self._store.put("fence", str(answer.fence))
            self._store.acknowledge(answer.acknowledged)
            self._quotas.acknowledged()
            self._quotas.allow(answer.allowances)
            if self._quotas.used_up() != self.engine.cut:
                self._sample()
            if self.engine.assign(answer.pools, answer.hub_url.rstrip("/")):
                self._publish()

        await self._guarded("assign", take_over)

    def _make_report(self) -> wire.Report:
        sequence = self._store.next_number("sequence", least=int(self._clock.now() * 1000))
        return wire.Report(
            format=wire.FEED_FORMAT,
            instance=self._identity.instance,
            fence=self._fence,
            sequence=sequence,
            boot_id=boot_id(),
            agent_version=__version__,
            backend=self.engine.backend_name,
            pools=() if self._bare else self.engine.status(),
            usage=() if self._bare else self._usage(sequence),
            warnings=status.warnings(
                self._warnings, self.engine.refused(), self.engine.pools.values()
            ),
            signs=self.engine.signs.told(),
        )

    def _usage(self, sequence: int) -> tuple[wire.Usage, ...]:
        pools = self.engine.pools
        return (*self._meter.usage(pools, sequence), *self._quotas.usage(pools))

    # --- the feed

    async def _watch_loops(self, client: Client) -> None:
        """Keep one watch per pool; pools come and go with assignments."""
        watches: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                for gone in watches.keys() - self.engine.pools.keys():
                    watches.pop(gone).cancel()
                for code in self.engine.pools.keys() - watches.keys():
                    watches[code] = asyncio.create_task(self._watch(client, code))
                for task in watches.values():
                    if task.done():
                        task.result()
                await asyncio.sleep(0.2)
        finally:
            for task in watches.values():
                task.cancel()

    async def _watch(self, client: Client, code: str) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                await self._follow(client, code)
                backoff = _FIRST_BACKOFF_SECONDS
            except (Unreachable, Declined, BatchRefused) as error:
                log.warning("watch.failed", pool=code, reason=str(error))
                self._warnings[f"watch {code}"] = str(error)
                await asyncio.sleep(random.uniform(backoff / 2, backoff))  # noqa: S311 -- jitter
                backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)

    async def _follow(self, client: Client, code: str) -> None:
        """Fetch and apply one batch: a snapshot when none is held or the feed says so."""
        pool = self.engine.pools.get(code)
        if pool is None:
            return
        if self._frozen:
            raise Unreachable("another instance holds the lease")
        try:
            data = await self._next(client, code, pool.epoch, pool.rev)
        except Declined as error:
            if error.slug not in {"compacted", "epoch", "ahead"}:
                raise
            data = await self._snapshot(client, code)
        self._warnings.pop(f"watch {code}", None)
        if data is None:
            return
        try:
            await self._take(data)
        except BatchRefused as error:
            log.error("batch.refused", pool=code, reason=str(error))  # noqa: TRY400 -- told, not traced
            await self._take(await self._snapshot(client, code))

    async def _next(self, client: Client, code: str, epoch: str, rev: int) -> bytes | None:
        if not epoch:
            return await self._snapshot(client, code)
        key, hub = self._identity.feed_key, self._store.get("hub_url")
        return await client.watch(hub, key=key, pool=code, epoch=epoch, after=rev)

    async def _snapshot(self, client: Client, code: str) -> bytes:
        hub = self._store.get("hub_url")
        return await client.snapshot(hub, key=self._identity.feed_key, pool=code)

    async def _take(self, data: bytes) -> None:
        try:
            batch = wire.open_batch(self._identity.feed_key, data)
        except wire.WireError as error:
            raise BatchRefused(str(error)) from error
        if not self._frozen:
            await self._guarded("apply", lambda: self._apply(batch))
        self._due.set()

    def _apply(self, batch: wire.Batch) -> None:
        began = self._clock.mark()
        taken = self.engine.take(batch)
        self._figures.applied(batch.begin.pool, self._clock.mark() - began)
        pools = self.engine.pools.values()
        self._held.change(pools, *taken, site_offset=self._offset())
        self._resolver.ensure(pools)

    async def _clock_loop(self) -> None:
        while True:
            await asyncio.sleep(_CLOCK_SECONDS)
            async with self._lock:
                self._store.save_clock(self._clock.now())


def main(config: Config) -> int:
    """Run the agent until SIGTERM or SIGINT and return the exit code, having said why.

    Once: to a person in words, to a log as an event like the others.
    """
    configure_log()
    state_dir = config.resolve(config.agent.state_dir)
    try:
        identity.load(config)
        lock_state(state_dir)
        asyncio.run(_serve(config, state_dir))
    except AgentError as error:
        if sys.stderr.isatty():
            sys.stderr.write(f"{error}\n")
        else:
            log.critical("agent.failed", reason=str(error))
        return error.exit_code
    return 0


async def _serve(config: Config, state_dir: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Agent(config, state_dir).run(stop)
