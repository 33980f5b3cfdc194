"""`ferriage agent doctor`: what of this gateway is right, and what to do where it is not.

What it finds on the host is what the agent reports too (`checks`); it asks site and hub besides.
"""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from ferriage import wire
from ferriage.agent import backend, checks, host, identity, lease
from ferriage.agent.checks import Facts, Finding
from ferriage.agent.client import Client
from ferriage.agent.clock import SiteClock
from ferriage.agent.errors import AgentError, BatchRefused, Declined, Unreachable
from ferriage.agent.feed import open_permit
from ferriage.agent.recovery import CacheUnreadable
from ferriage.agent.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ferriage.agent.identity import Identity
    from ferriage.config import AgentConfig, Config

_KNOWN: Final = "the site knows this gateway"


def examine(config: Config) -> Iterator[Finding]:
    """Look at everything in the order in which a new gateway comes to life.

    Raises:
        NotEnrolled: This host is no gateway yet.
    """
    who = identity.load(config)
    state_dir = config.resolve(config.agent.state_dir)
    try:
        store = Store(state_dir / "state.sqlite3")
    except sqlite3.Error as error:
        raise CacheUnreadable(
            f"The agent's cache in {state_dir} cannot be read now: {error}. Is the disk full? Then"
            " make room and restart the agent."
        ) from None
    try:
        assignments = tuple(pool.assignment for pool in store.pools())
        permits, hub = store.permits(), store.get("hub_url")
        probe = store.get("probe_key")
        clock = SiteClock(site_time=store.clock())
    finally:
        store.close()
    yield of_agent(state_dir)
    yield from asyncio.run(ask(who, hub, assignments, clock))
    yield from checks.look(
        Facts(
            config=config.agent,
            assignments=assignments,
            handshake=_handshake(config.agent, probe),
            site_time=clock.now(),
            permits=_opened(who, permits),
        )
    )


def of_agent(state_dir: Path) -> Finding:
    """Say whether an agent runs here: without one tunnels go on, and nobody notices for a while."""
    if lease.is_locked(state_dir):
        return Finding("agent", "the agent runs")
    said = "no agent runs here: nothing new is applied, and the shop calls this gateway silent"
    return Finding("agent", said, "failed", remedy="start-agent")


async def ask(
    who: Identity, hub: str, assignments: tuple[wire.PoolAssignment, ...], clock: SiteClock
) -> list[Finding]:
    """Ask the site whether it is there and what of us, and the hub if it takes our signature."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        found = [await _reached(session, who.site_url)]
        client = Client(session, gateway=who.gateway, signing_key=who.signing_key, clock=clock)
        decided = await _decided(client, who)
        found += decided
        if any(finding.failed for finding in decided):
            return found
        if not assignments:
            said = "no line is served here yet"
            return [*found, Finding("line", said, "unknown", remedy="serve-line")]
        return [*found, await _known(client, hub, who, assignments[0].pool)]


async def _decided(client: Client, who: Identity) -> list[Finding]:
    """Say what staff have decided about this gateway; nothing where it simply serves."""
    try:
        standing = await client.standing(who.site_url, key=who.permit_key)
    except (Declined, Unreachable):
        # That the site is there was asked before; one of the release before does not know this.
        return []
    if standing.state == "serving":
        return []
    since = f"{datetime.fromtimestamp(standing.since, UTC):%Y-%m-%d %H:%M} UTC"
    if standing.state == "closed":
        said = f"staff closed this gateway for good at {since}: it serves nobody"
        return [Finding("gateway", said, "failed", value="closed", remedy="closed")]
    said = f"this gateway is draining since {since}: no new file names it"
    return [Finding("gateway", said, value="draining", remedy="draining")]


async def _known(client: Client, hub: str, who: Identity, pool: str) -> Finding:
    try:
        await client.snapshot(hub, key=who.feed_key, pool=pool)
    except Declined as error:
        if error.slug == wire.CLOCK_REFUSED:  # said only to who signs with the right key
            return Finding("identity", _KNOWN)
        remedy = "same-release" if error.slug == wire.FORMAT_REFUSED else "enrol-anew"
        said = f"the site refuses this gateway: {error}"
        return Finding("identity", said, "failed", remedy=remedy)
    except Unreachable as error:
        said = f"the hub was not reached: {error}"
        return Finding("hub", said, "failed", value=hub, remedy="reach-hub")
    return Finding("identity", _KNOWN)


async def _reached(session: aiohttp.ClientSession, site_url: str) -> Finding:
    try:
        async with session.get(URL(f"{site_url}/healthz")):
            return Finding("site", f"the site was reached: {site_url}")
    except (aiohttp.ClientError, TimeoutError) as error:
        said = f"the site was not reached: {site_url}: {error}"
        return Finding("site", said, "failed", value=site_url, remedy="reach-site")


def _handshake(config: AgentConfig, probe: str) -> bool:
    """Tell whether a customer's tunnel has come up on any interface."""
    names = host.interfaces(config.interface_prefix)
    try:
        chosen = backend.choose(config) if names else None
    except AgentError:  # told by the check of WireGuard itself
        return False
    return chosen is not None and any(
        peer.handshake_at
        for name in names
        for peer in chosen.peers(name).values()
        if peer.public_key != probe
    )


def _opened(who: Identity, permits: Mapping[str, wire.SignedPermit]) -> dict[str, wire.Permit]:
    """Return by line the permits that verify; another one is as good as none."""
    opened = {}
    for line, signed in permits.items():
        try:
            opened[line] = open_permit(signed, line=line, permit_key=who.permit_key)
        except BatchRefused:
            continue
    return opened
