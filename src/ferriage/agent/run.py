"""`ferriage agent run`: start from the cache, then watch, apply and report until told to end.

Ending changes nothing: tunnels, rules and their time-outs stay and the next start adopts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import sys
from typing import TYPE_CHECKING, Final, Never

import aiohttp
import structlog

from ferriage import __version__, wire
from ferriage.agent import backend, identity, recovery, status
from ferriage.agent.backoff import Pace
from ferriage.agent.beside import Beside
from ferriage.agent.client import Client
from ferriage.agent.clock import SiteClock, boot_id, boot_seconds
from ferriage.agent.engine import Engine
from ferriage.agent.errors import AgentError, DataPlaneError, Declined, GatewayClosed, Unreachable
from ferriage.agent.examiner import Examiner
from ferriage.agent.figures import Figures
from ferriage.agent.following import Following
from ferriage.agent.lease import FenceBehind, Lease, lock_state
from ferriage.agent.logs import configure_log
from ferriage.agent.nft import Nft
from ferriage.agent.quota import Quotas
from ferriage.agent.store import CLOCK_SECONDS
from ferriage.agent.telling import Telling
from ferriage.agent.usage import Meter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ferriage.config import Config

log = structlog.get_logger()

_PAUSE_FACTOR = 7.0
_GLANCE_SECONDS = 0.3
_MEND_PAUSE_SECONDS = 2.0
_BORROWED: Final = (
    "This state directory was copied or moved from another host or place. Nothing is changed here"
    " until the site has given this agent the lease."
)
_CLOSED: Final = "closed"


class Agent:
    """One running agent: its engine under a lock, and the loops around it."""

    def __init__(self, config: Config, state_dir: Path) -> None:
        self._config = config
        self._identity = identity.load(config)
        self._store, trouble = recovery.recovered(state_dir / "state.sqlite3")
        self._clock = SiteClock(site_time=self._store.clock())
        least = int(boot_seconds() * 1000)
        meter = Meter(self._store, boot_id(), least=least)
        self._quotas = Quotas(self._store, boot_id(), least=least)
        self._telling = Telling(self._store, meter, self._quotas)
        self.engine = Engine(
            config=config,
            identity=self._identity,
            store=self._store,
            clock=self._clock,
            backend=backend.choose(config.agent),
            nft=Nft(config.agent),
            meter=meter,
            quotas=self._quotas,
        )
        self._figures = Figures(self.engine, self._clock, config.agent.run_dir)
        self._lock = asyncio.Lock()
        self._due = asyncio.Event()
        self._asked = asyncio.Event()
        self._lease = Lease(self._store, self._identity.instance)
        self._started = False
        self._pace = Pace(config.agent.report_seconds)
        self._bare = False
        self._next_reconcile = 0.0
        self._warnings = {"cache": trouble} if trouble else {}
        self._beside = Beside(config, self.engine, self._clock, self._warnings)
        self._examiner = Examiner(config.agent, self.engine, self._clock)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set.

        Raises:
            GatewayClosed: The site says so, or said so before.
        """
        if self._store.get(_CLOSED) == self._identity.gateway:
            await self._close()
        if self._lease.borrowed:
            log.warning("agent.waits", reason=_BORROWED)
            self._warnings["lease"] = _BORROWED
        else:
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
                asyncio.create_task(self._follow(client)),
                asyncio.create_task(self._clock_loop()),
                asyncio.create_task(self._mend_loop()),
                asyncio.create_task(self._sample_loop()),
                asyncio.create_task(self._examiner.loop(self._due)),
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
        if self._lease.borrowed and not self.engine.is_counting():
            # Another host's counters: that one reports them, or nobody can.
            self._store.drop_counters()
            self._quotas.dropped()
        self._started = True
        if self.engine.backend_name == "userspace":
            self.engine.signs.judge_build(self._config.agent.wireguard_go)
        self.engine.start()
        self._beside.publish()
        self._lease.settled()

    async def _guarded(self, part: str, work: Callable[[], None]) -> bool:
        """Run blocking work under the lock; trouble becomes a warning in the next report.

        What cannot be written down (a full disk) is not applied either.
        """
        async with self._lock:
            try:
                await asyncio.to_thread(work)
            except (DataPlaneError, OSError, sqlite3.Error) as error:
                self._warnings[part] = str(error)
                log.error("work.failed", part=part, reason=str(error))  # noqa: TRY400 -- told, not traced
                return False
            self._warnings.pop(part, None)
            return True

    # --- reports

    async def _report_loop(self, client: Client) -> None:
        while True:
            await self._guarded("reconcile", self._reconcile)
            if self._pace.may(self._clock.mark()):
                await self._report(client)
                self._asked.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), self._pace.wait())
            self._due.clear()

    def _reconcile(self) -> None:
        """Read everything and mend it, but spend at most an eighth of the time on that."""
        began = self._clock.mark()
        if self._lease.frozen or began < self._next_reconcile:
            return
        self.engine.reconcile()
        self._beside.refresh()
        self._beside.resolve()
        ended = self._clock.mark()
        self._next_reconcile = ended + _PAUSE_FACTOR * (ended - began)

    async def _mend_loop(self) -> None:
        """Bring back an interface that is gone, whatever the site's answer is waited for."""
        while True:
            await asyncio.sleep(_GLANCE_SECONDS)
            if not self._lease.frozen and self.engine.damaged():
                log.warning("interface.lost")
                await self._guarded("reconcile", self.engine.reconcile)
                await asyncio.sleep(_MEND_PAUSE_SECONDS)

    async def _sample_loop(self) -> None:
        """Look in time whose quota is used up, while anybody has one."""
        while True:
            await asyncio.sleep(self._quotas.pause())
            if self._quotas.counts_any() and not self._lease.frozen:
                await self._guarded("quotas", self._sample)

    def _sample(self) -> None:
        if self.engine.sample():
            self._beside.refresh()

    async def _report(self, client: Client) -> None:
        async with self._lock:
            report = self._figures.report = self._make_report()
            await asyncio.to_thread(self._figures.write)
        try:
            answer = await client.report(
                self._identity.site_url, key=self._identity.permit_key, report=report
            )
        except Declined as error:
            self._pace.answered()
            if error.slug == wire.GATEWAY_CLOSED:
                await self._close()
            self._declined(error)
            return
        except Unreachable as error:
            self._pace.unanswered(self._clock.mark())
            log.warning("report.failed", reason=str(error))
            return
        self._pace.answered()
        await self._accepted(answer, report.checks)

    async def _close(self) -> Never:
        """Take this gateway's tunnels down for good, remember that, and end.

        Only the site's word leads here, signed with the permit key; a stolen hub closes nobody.
        """
        self._store.put(_CLOSED, self._identity.gateway)
        while not await self._guarded("close", self.engine.close):  # noqa: ASYNC110 -- tries anew
            await asyncio.sleep(_MEND_PAUSE_SECONDS)
        await self._guarded("publish", self._beside.publish)
        raise GatewayClosed(
            f"This gateway, {self._identity.gateway}, was closed for good: its tunnels are down and"
            " it forwards nothing. Its keys and files are still here; `ferriage agent remove"
            " --forget` deletes them, and then this host can be enrolled as another gateway."
        )

    def _declined(self, error: Declined) -> None:
        """Another instance holds the lease: change nothing, keep forwarding, say so.

        Refused for a pool that is not ours any more, the next report names none, so that its
        answer can tell which are; and later ones none that we left, until that changes.
        """
        if error.slug == "lease":
            self._lease.refused()
            self._figures.holds_lease = False
            self._warnings["lease"] = str(error)
        self._bare = error.slug == "pool"
        self._telling.of_left &= not self._bare
        log.error("report.refused", slug=error.slug, reason=str(error))

    async def _accepted(self, answer: wire.ReportAnswer, told: tuple[wire.Check, ...]) -> None:
        self._examiner.told(told)
        self._bare = False
        self._figures.answered_at = self._clock.now()

        def take_over() -> None:
            self._lease.granted(answer)
            if abs(self._clock.now() - self._store.clock()) > 1:  # or a restart would take it back
                self._store.save_clock(self._clock.now())
            if not self._started:
                self._start()
                self._due.set()
            self._telling.taken(answer.acknowledged)
            self._quotas.allow(answer.allowances)
            if self._quotas.used_up() != self.engine.cut:
                self._sample()
            if self.engine.assign(answer.pools, answer.hub_url.rstrip("/")):
                self._telling.of_left = True
                self._beside.publish()
                self._examiner.hurry()
            self.engine.admit_probe(answer.probe_key)

        try:
            if await self._guarded("assign", take_over) and self._telling.more:
                self._due.set()
        except FenceBehind as error:
            self._warnings["lease"] = str(error)
            log.error("report.refused", slug="fence", reason=str(error))  # noqa: TRY400 -- told, not traced
        else:
            self._figures.holds_lease = True
            self._warnings.pop("lease", None)

    def _make_report(self) -> wire.Report:
        bare = self._bare or not self._started
        sequence, usage = self._counted(bare=bare)
        return wire.Report(
            format=wire.FEED_FORMAT,
            instance=self._identity.instance,
            fence=self._lease.fence,
            sequence=sequence,
            boot_id=boot_id(),
            agent_version=__version__,
            backend=self.engine.backend_name,
            pools=() if bare else self.engine.status(),
            usage=usage,
            warnings=status.warnings(
                self._warnings | self.engine.aside,
                self.engine.refused(),
                self.engine.pools.values(),
            ),
            checks=self._examiner.untold,
            signs=self.engine.signs.told(),
        )

    def _counted(self, *, bare: bool) -> tuple[int, tuple[wire.Usage, ...]]:
        """Return the next report's number and usage; by the clock, and none, on a full disk."""
        least, pools = int(self._clock.now() * 1000), self.engine.pools
        try:
            number = self._store.next_number("sequence", least=least)
            usage = () if bare else self._telling.rows(pools, number)
        except sqlite3.Error as error:
            self._warnings["store"] = str(error)
            return least, ()
        self._warnings.pop("store", None)
        return number, usage

    # --- the feed

    async def _follow(self, client: Client) -> None:
        await self._asked.wait()
        following = Following(
            client=client,
            engine=self.engine,
            store=self._store,
            identity=self._identity,
            follower=self,
            warnings=self._warnings,
        )
        await following.loop()

    def may_change(self) -> bool:
        """Say whether this agent holds the lease."""
        return not self._lease.frozen

    def ask_site(self) -> None:
        """Let the next report be sent at once."""
        self._due.set()

    async def apply(self, batch: wire.Batch) -> bool:
        """Persist and apply a verified batch; False where that was not done."""
        return await self._guarded("apply", lambda: self._apply(batch))

    def _apply(self, batch: wire.Batch) -> None:
        if self._lease.frozen:
            return
        began = self._clock.mark()
        permitted = self.engine.permitted()
        taken = self.engine.take(batch)
        if self.engine.permitted() != permitted:
            self._examiner.hurry()
        self._figures.applied(batch.begin.pool, self._clock.mark() - began)
        self._beside.change(*taken)

    async def _clock_loop(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_SECONDS)
            await self._guarded("clock", lambda: self._store.save_clock(self._clock.now()))


def main(config: Config, *, spelled: Callable[[str], str] = str) -> int:
    """Run the agent until SIGTERM or SIGINT and return the exit code, having said why.

    Once: to a person in words, to a log as an event like the others.

    Args:
        spelled: Spells commands in a text so that whoever started this can type them.
    """
    configure_log()
    state_dir = config.resolve(config.agent.state_dir)
    try:
        identity.load(config)
        lock_state(state_dir)
        asyncio.run(_serve(config, state_dir))
    except AgentError as error:
        if sys.stderr.isatty():
            sys.stderr.write(f"{spelled(str(error))}\n")
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
