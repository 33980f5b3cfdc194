"""Many agents without a data plane in one process. No Django.

Each enrols, watches, judges and reports with the agent's own code, keys and connections; only the
cache on disk and the kernel are left out. The process is told what to do through a pipe.
"""

from __future__ import annotations

import asyncio
import resource
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
import structlog

from ferriage import __version__, wire
from ferriage.agent import client, feed, identity, status
from ferriage.agent.backoff import Backoff, Pace
from ferriage.agent.client import Client
from ferriage.agent.clock import SiteClock, boot_id
from ferriage.agent.errors import AgentError, BatchRefused, Declined, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from multiprocessing.connection import Connection

_AT_ONCE: Final = 8
_TRIES: Final = 10
_LOOK_SECONDS: Final = 0.1
_MODULUS: Final = 1 << 256


class Fleet(NamedTuple):
    """What one process is to run: a one-time token for each agent."""

    tokens: tuple[str, ...]
    report_seconds: float


class Goal(NamedTuple):
    """What every agent of a pool must hold in the end."""

    epoch: str
    rev: int
    digest: str


class Applied(NamedTuple):
    """A delta that one agent took over: all revisions above `after` up to `rev`."""

    pool: str
    after: int
    rev: int
    at: float


@dataclass
class Tally:
    """What a process counted. Instants are of this machine's monotonic clock."""

    applied: list[Applied] = field(default_factory=list)
    watches: int = 0
    snapshots: int = 0
    reports: int = 0
    failed: int = 0
    refused: int = 0

    def add(self, other: Tally) -> None:
        """Take another process's counts in."""
        self.applied += other.applied
        self.watches += other.watches
        self.snapshots += other.snapshots
        self.reports += other.reports
        self.failed += other.failed
        self.refused += other.refused


class Agent:
    """One agent: what it holds of each pool, and its loops."""

    def __init__(
        self, enrolled: wire.EnrolAnswer, signing_key: str, clock: SiteClock, fleet: Fleet
    ) -> None:
        self._enrolled = enrolled
        self._signing_key = signing_key
        self._clock = clock
        self._due = asyncio.Event()
        self._pace = Pace(fleet.report_seconds)
        self._fence = 0
        self._sequence = int(clock.now() * 1000)
        self._tally = Tally()
        self._told: dict[str, Goal] = {}
        self.pools = {one.pool: feed.Pool(one) for one in enrolled.pools}

    async def run(self, tally: Tally) -> None:
        """Watch and report until cancelled."""
        self._tally = tally
        async with aiohttp.ClientSession() as session:
            caller = Client(
                session,
                gateway=self._enrolled.gateway,
                signing_key=self._signing_key,
                clock=self._clock,
            )
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._report_loop(caller))
                for pool in self.pools.values():
                    loops.create_task(self._watch_loop(caller, pool))

    def holds(self, goals: dict[str, Goal]) -> bool:
        """Say whether each pool is where the site wants it, and the site was told so."""
        return all(
            self._now_at(pool) == goals[code] == self._told.get(code)
            for code, pool in self.pools.items()
        )

    @staticmethod
    def _now_at(pool: feed.Pool) -> Goal:
        return Goal(pool.epoch, pool.rev, f"{pool.digest % _MODULUS:064x}")

    async def _watch_loop(self, caller: Client, pool: feed.Pool) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._follow(caller, pool)
                backoff.succeeded()
            except (Unreachable, Declined, BatchRefused):
                self._tally.failed += 1
                await asyncio.sleep(backoff.pause())

    async def _follow(self, caller: Client, pool: feed.Pool) -> None:
        hub, code, key = self._enrolled.hub_url, pool.assignment.pool, self._enrolled.feed_key
        self._tally.watches += 1
        data = await caller.follow(hub, key=key, pool=code, epoch=pool.epoch, after=pool.rev)
        if data is None:
            return
        try:
            self._take(pool, data)
        except BatchRefused:
            self._tally.refused += 1
            self._take(pool, await caller.snapshot(hub, key=key, pool=code))

    def _take(self, pool: feed.Pool, data: bytes) -> None:
        try:
            batch = wire.open_batch(self._enrolled.feed_key, data)
        except wire.WireError as error:
            raise BatchRefused(str(error)) from error
        key, now = self._enrolled.permit_key, self._clock.now()
        pool.take(feed.judge(pool, batch, permit_key=key, now=now))
        begin = batch.begin
        if begin.batch == "delta":
            found = Applied(begin.pool, begin.after, begin.rev, time.monotonic())
            self._tally.applied.append(found)
        else:
            self._tally.snapshots += 1
        self._due.set()

    async def _report_loop(self, caller: Client) -> None:
        while True:
            if self._pace.may(self._clock.mark()):
                await self._report(caller)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), self._pace.wait())
            self._due.clear()

    async def _report(self, caller: Client) -> None:
        report = self._make_report()
        said = {code: self._now_at(pool) for code, pool in self.pools.items()}
        self._tally.reports += 1
        try:
            answer = await caller.report(
                self._enrolled.site_url, key=self._enrolled.permit_key, report=report
            )
        except (Unreachable, Declined):
            self._tally.failed += 1
            self._pace.unanswered(self._clock.mark())
            return
        self._pace.answered()
        self._fence, self._told = answer.fence, said

    def _make_report(self) -> wire.Report:
        self._sequence += 1
        return wire.Report(
            format=wire.FEED_FORMAT,
            instance=self._enrolled.gateway,
            fence=self._fence,
            sequence=self._sequence,
            boot_id=boot_id(),
            agent_version=__version__,
            backend="simulated",
            pools=tuple(self._status(pool) for pool in self.pools.values()),
            usage=tuple(self._usage(code) for code in self.pools),
            warnings=status.warnings({}, {}, self.pools.values()),
        )

    def _usage(self, pool: str) -> wire.Usage:
        """Return what the pool's customers used since the gateway came up: every report tells more.

        Nobody used anything, so it is as many bytes as there were milliseconds.
        """
        return wire.Usage(
            pool=pool,
            incarnation=f"{boot_id()}.1",
            device="",
            bytes_down=self._sequence,
            bytes_up=self._sequence,
            final=False,
        )

    def _status(self, pool: feed.Pool) -> wire.PoolStatus:
        return status.of_pool(
            pool,
            digest=self._now_at(pool).digest,
            peers=len(pool.devices) - len(pool.refused),
            line_open=pool.open_until() > self._clock.now(),
            refused=pool.refused,
        )


async def enrol(token: str, fleet: Fleet) -> Agent:
    """Enrol one agent over the network, with keys of its own.

    Raises:
        AgentError: The site does not answer, or refuses.
    """
    parsed = identity.parse_token(token)
    key = wire.new_private_key()
    request = wire.EnrolRequest(
        format=wire.FEED_FORMAT,
        token=token,
        signing_key=wire.public_key(key),
        wireguard_key=identity.wireguard_public(wire.new_private_key()),
        boot_id=boot_id(),
        endpoint_host="",
        endpoint_port=0,
        agent_version=__version__,
        capabilities=("simulated",),
    )
    backoff = Backoff()
    for tries_left in reversed(range(_TRIES)):
        try:
            answer, now = await client.enrol(
                parsed.site_url, request, key, fingerprint=parsed.fingerprint
            )
            break
        except Unreachable:
            # With the same token and the same keys a lost answer may be asked for again.
            if not tries_left:
                raise
            await asyncio.sleep(backoff.pause())
    return Agent(answer, key, SiteClock(site_time=now), fleet)


# --- the process ------------------------------------------------------------------------------


def main(pipe: Connection, fleet: Fleet) -> None:
    """Run a fleet's share; the pipe carries goals one way, and answers the other.

    Sends the number of enrolled agents or an `AgentError`'s words, then for each dictionary of
    goals and seconds how many agents do not hold them in time, and how many requests had failed
    so far; ends on None, with its tally.
    """
    structlog.configure(processors=[_drop])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_serve(pipe, fleet))


def _drop(*_: object) -> dict[str, object]:
    raise structlog.DropEvent


async def _serve(pipe: Connection, fleet: Fleet) -> None:
    tally = Tally()
    try:
        started = await _all_started(fleet, tally)
    except AgentError as error:
        pipe.send(str(error))
        return
    pipe.send(len(started))
    agents, loops = zip(*started, strict=True)
    while (asked := await asyncio.to_thread(pipe.recv)) is not None:
        goals, seconds = asked
        pipe.send((await _behind(agents, loops, goals, seconds), tally.failed))
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
    pipe.send(tally)


async def _all_started(fleet: Fleet, tally: Tally) -> list[tuple[Agent, asyncio.Task[None]]]:
    """Enrol a few at a time and let each run at once, as hosts do that are added one by one."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(token: str) -> tuple[Agent, asyncio.Task[None]]:
        async with turn:
            agent = await enrol(token, fleet)
        return agent, asyncio.create_task(agent.run(tally))

    return list(await asyncio.gather(*(one(token) for token in fleet.tokens)))


async def _behind(
    agents: Sequence[Agent],
    loops: Iterable[asyncio.Task[None]],
    goals: dict[str, Goal],
    limit: float,
) -> int:
    """Wait until all agents hold the goals; return how many still do not when time is up."""
    ends = time.monotonic() + limit
    while True:
        for loop in loops:
            if loop.done():
                loop.result()
        behind = sum(not agent.holds(goals) for agent in agents)
        if not behind or time.monotonic() >= ends:
            return behind
        await asyncio.sleep(_LOOK_SECONDS)
