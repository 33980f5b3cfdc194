"""`ferriage agent doctor`: what of this gateway is right, and what to do where it is not.

It reads and asks; it changes nothing of this host, nor of anybody's firewall.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from ferriage.agent import backend, host, identity
from ferriage.agent.client import Client
from ferriage.agent.clock import SiteClock
from ferriage.agent.errors import AgentError, DataPlaneError, Declined, Unreachable
from ferriage.agent.feed import open_permit
from ferriage.agent.store import Store
from ferriage.agent.system import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ferriage import wire
    from ferriage.agent.identity import Identity
    from ferriage.agent.store import StoredPool
    from ferriage.config import AgentConfig, Config

_SLOW_BUILD: Final = re.compile(r"0\.0\.(20(?:1\d|2[0-2])\d{4})")
_TUN: Final = Path("/dev/net/tun")
_SETTINGS: Final = Path("/proc/sys/net")
_WRONG_CLOCK_SECONDS: Final = 60
_DNS_SECONDS: Final = 5
_ROOT_SERVERS: Final = b"\0\7\1\0\0\1\0\0\0\0\0\0\0\0\2\0\1"
"""A query for the name servers of the root, which every resolver knows."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; a failure says what to do, and a remark may."""

    said: str
    remedy: str = ""
    failed: bool = False


def examine(config: Config) -> Iterator[Finding]:
    """Look at everything in the order in which a new gateway comes to life.

    Raises:
        NotEnrolled: This host is no gateway yet.
    """
    who = identity.load(config)
    store = Store(config.resolve(config.agent.state_dir) / "state.sqlite3")
    try:
        pools, permits, hub = store.pools(), store.permits(), store.get("hub_url")
        clock = SiteClock(site_time=store.clock())
    finally:
        store.close()
    yield from asyncio.run(_ask(who, hub, pools, clock))
    yield from of_wireguard(config.agent)
    yield from of_uplinks(host.uplinks(config.agent.uplink))
    yield from _of_outside(pools)
    yield from _of_tunnels(config.agent)
    yield from of_forwarding(config.agent)
    yield from _of_resolver(config.agent, pools)
    yield from _of_lines(who, pools, permits, clock.now())


async def _ask(
    who: Identity, hub: str, pools: Iterable[StoredPool], clock: SiteClock
) -> list[Finding]:
    """Ask the site whether it is there, and the hub whether it takes our signature."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        found = [await _reached(session, who.site_url)]
        pool = next(iter(pools), None)
        if pool is None:
            remedy = "Let it serve a line, on its page in the back office."
            return [*found, Finding("no line is served here yet", remedy)]
        client = Client(session, gateway=who.gateway, signing_key=who.signing_key, clock=clock)
        try:
            await client.snapshot(hub, key=who.feed_key, pool=pool.assignment.pool)
        except Declined as error:
            remedy = "If the shop closed this gateway, enrol anew: `ferriage agent remove --forget`"
            return [*found, Finding(f"the site refuses this gateway: {error}", remedy, failed=True)]
        except Unreachable as error:
            remedy = f"See that {hub} answers from here: hub.url of the shop, and its firewall."
            return [*found, Finding(f"the hub was not reached: {error}", remedy, failed=True)]
    return [*found, Finding("the site knows this gateway"), _clock(clock)]


async def _reached(session: aiohttp.ClientSession, site_url: str) -> Finding:
    try:
        async with session.get(URL(f"{site_url}/healthz")):
            return Finding(f"the site was reached: {site_url}")
    except (aiohttp.ClientError, TimeoutError) as error:
        remedy = "See its address, this host's DNS and route, and the firewalls between."
        return Finding(f"the site was not reached: {site_url}: {error}", remedy, failed=True)


def _clock(clock: SiteClock) -> Finding:
    off = round(time.time() - clock.now())
    if abs(off) <= _WRONG_CLOCK_SECONDS:
        return Finding("the clock is right")
    # Terms are judged by the site's time, so nobody is cut by it; certificates are not.
    return Finding(f"this host's clock is {off} s off", "Set it: `timedatectl set-ntp true`.")


def of_wireguard(config: AgentConfig) -> Iterator[Finding]:
    """Say who does WireGuard here, and whether that is fast."""
    try:
        choice = backend.decide(config.backend)
    except AgentError as error:
        yield Finding(f"WireGuard cannot run: {error}", "See agent.backend.", failed=True)
        return
    if choice.name == "kernel":
        yield Finding("WireGuard is the kernel's, which is the fastest")
        return
    if not _TUN.exists():
        remedy = "As root: `modprobe tun`; a container needs the device from its host."
        yield Finding(f"{_TUN} is missing, so no tunnel can be made", remedy, failed=True)
    try:
        yield of_build(run(config.wireguard_go, "--version"))
    except DataPlaneError as error:
        remedy = "Install Debian's package wireguard-go."
        yield Finding(f"no WireGuard here: {error}", remedy, failed=True)


def of_build(version: str) -> Finding:
    """Judge a build of wireguard-go by what it prints; those of 2022 and before are slow."""
    name = version.splitlines()[0].strip() if version.strip() else "wireguard-go of no version"
    if _SLOW_BUILD.search(name):
        remedy = (
            "A kernel with WireGuard is best; else Debian 13's wireguard-go is five times faster."
        )
        return Finding(f"WireGuard is {name}, which is slow (about 0.4 Gbit/s)", remedy)
    return Finding(f"WireGuard is {name} (about 2 Gbit/s)")


def of_uplinks(uplinks: Iterable[str]) -> Iterator[Finding]:
    """Say whether there is a way out by IPv4 and IPv6, and whether the latter will stay."""
    for name, family in (("IPv4", "-4"), ("IPv6", "-6")):
        routes = json.loads(run("ip", "-j", family, "route", "show", "default") or "[]")
        if routes:
            yield Finding(f"{name} leaves by {routes[0].get('dev', 'several links')}")
        elif family == "-4":
            yield Finding("no IPv4 exit", "Give this host a default route.", failed=True)
        else:
            yield Finding("no IPv6 exit: customers' IPv6 stays in the tunnel and is rejected")
    for name in sorted(uplinks):
        forwarding = _setting("ipv6/conf/all/forwarding") == "1"
        if forwarding and _setting(f"ipv6/conf/{name}/accept_ra") == "1":
            remedy = "Restart the agent, which sets accept_ra to 2; without it IPv6 is lost."
            yield Finding(f"{name} will lose its IPv6 router", remedy, failed=True)


def _of_outside(pools: Iterable[StoredPool]) -> Iterator[Finding]:
    address = host.outward_address()
    ports = ", ".join(str(pool.assignment.listen_port) for pool in pools) or "none yet"
    if not address or ipaddress.ip_address(address).is_global:
        yield Finding(f"outside address {address or 'unknown'}, UDP ports {ports}")
        return
    remedy = f"Forward UDP {ports} to it there, and name the outside address in the back office."
    yield Finding(f"{address} is no public address: this host is behind NAT", remedy)


def _of_tunnels(config: AgentConfig) -> Iterator[Finding]:
    names = host.interfaces(config.interface_prefix)
    if not names:
        yield Finding("no tunnel interface is up", "Start it: `ferriage agent run`.", failed=True)
        return
    chosen = backend.choose(config)
    times = (peer.handshake_at for name in names for peer in chosen.peers(name).values())
    if any(times):
        yield Finding("handshakes from outside arrive")
    else:
        remedy = "Connect a device. If it gets no answer, open the UDP port before this host."
        yield Finding("no handshake from outside was seen yet", remedy)


def of_forwarding(config: AgentConfig) -> Iterator[Finding]:
    """Say whether packets may pass through this host, and who forbids it besides us."""
    off = [n for n in ("ipv4/ip_forward", "ipv6/conf/all/forwarding") if _setting(n) == "0"]
    if off:
        yield Finding("forwarding is off", "The agent turns it on: start it.", failed=True)
    ours = {config.table, f"{config.table}_guard"}
    others = list(dropping(run("nft", "-j", "list", "chains"), ours))
    for family, table, chain in others:
        yield Finding(
            f"the chain {family} {table} {chain} drops what passes{_owner(family, table)}",
            "Allow there what comes from and goes to our interfaces; nothing was changed.",
            failed=True,
        )
    if not others:
        yield Finding("no other firewall forbids forwarding")


def dropping(listed: str, ours: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Find others' chains that drop what passes through by policy: family, table, chain.

    Args:
        listed: What `nft -j list chains` prints; iptables-nft, ufw and docker are in it.
    """
    for entry in json.loads(listed or '{"nftables": []}')["nftables"]:
        chain = entry.get("chain", {})
        drops = (chain.get("hook"), chain.get("policy")) == ("forward", "drop")
        if drops and chain["table"] not in ours:
            yield chain["family"], chain["table"], chain["name"]


def _owner(family: str, table: str) -> str:
    """Say who may have set the policy of iptables' table, judged by the chains that they make."""
    if table != "filter" or family not in {"ip", "ip6"}:
        return ""
    chains = run("nft", "list", "table", family, table, check=False)
    known = {"ufw": "ufw-", "docker": "DOCKER", "firewalld": "FWD_"}
    found = [name for name, mark in known.items() if f"chain {mark}" in chains]
    return f" (set by {' and '.join(found)})" if found else ""


def _of_resolver(config: AgentConfig, pools: Iterable[StoredPool]) -> Iterator[Finding]:
    pool = next(iter(pools), None)
    if pool is None or not config.unbound:
        return
    address = pool.assignment.gateway4.partition("/")[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_DNS_SECONDS)
        try:
            asking.sendto(_ROOT_SERVERS, (address, 53))
            answer = asking.recv(4096)
        except OSError as error:
            log = Path(config.run_dir) / "unbound.log"
            remedy = f"See {log}; the agent starts unbound with the first tunnel."
            yield Finding(f"the resolver {address} is silent: {error}", remedy, failed=True)
            return
    if answer[3] & 15:
        remedy = "See agent.resolver_upstream, and whether port 53 is open to the world."
        yield Finding("the resolver cannot resolve", remedy, failed=True)
    else:
        yield Finding("the resolver answers")


def _of_lines(
    who: Identity,
    pools: Iterable[StoredPool],
    permits: Mapping[str, wire.SignedPermit],
    now: float,
) -> Iterator[Finding]:
    for pool in pools:
        line = pool.assignment.line
        if line not in permits:
            remedy = "It comes with the first batch: start the agent. The line's page says more."
            yield Finding(f"line {line}: no permit has come", remedy, failed=True)
            continue
        permit = open_permit(permits[line], line=line, permit_key=who.permit_key)
        if permit.state == "open" and permit.open_until > now:
            yield Finding(f"line {line} is authorised")
        else:
            remedy = "The line's page in the back office says what is missing."
            yield Finding(f"line {line} is {permit.state}", remedy, failed=True)


def _setting(name: str) -> str:
    path = _SETTINGS / name
    return path.read_text(encoding="ascii").strip() if path.exists() else ""
