"""What of this gateway is right: what the doctor prints, and the agent reports to the site.

It reads and asks; it changes nothing of this host, nor of anybody's firewall. Some of it takes
seconds, so the agent does it beside its own work.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ferriage import wire
from ferriage.agent import backend, host
from ferriage.agent.errors import AgentError, DataPlaneError
from ferriage.agent.system import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ferriage.config import AgentConfig

_SLOW_BUILD: Final = re.compile(r"0\.0\.(20(?:1\d|2[0-2])\d{4})")
_TUN: Final = Path("/dev/net/tun")
_SETTINGS: Final = Path("/proc/sys/net")
_MOST_WAYS: Final = 4
_NEARLY_FULL: Final = 0.8
_WRONG_CLOCK_SECONDS: Final = 60
_DNS_PORT: Final = 53
_DNS_SECONDS: Final = 5
_MOST_ADDRESSES: Final = 4
"""As many as a value has room for."""
_ROOT_SERVERS: Final = b"\0\7\1\0\0\1\0\0\0\0\0\0\0\0\2\0\1"
"""A query for the name servers of the root, which every resolver knows."""
_LOCALHOST: Final = b"\0\7\1\0\0\1\0\0\0\0\0\0\x09localhost\0\0\1\0\1"
"""A query that our resolver answers by itself, whatever it reaches."""
_ANSWERS: Final = {0, 3}
"""That there is something, and that there is not: forwarders that hide the root say the latter."""

REMEDIES: Final = {
    "start-agent": (
        "`systemctl start ferriage-agent`, or `ferriage agent run`; its log says why it ended. "
        "Tunnels go on meanwhile."
    ),
    "reach-site": "See its address, this host's DNS and route, and the firewalls between.",
    "reach-hub": "See that it answers from here: hub.url of the shop, and its firewall.",
    "closed": (
        "Nothing brings it back. `ferriage agent remove --forget`, then paste the block of a new "
        "gateway here."
    ),
    "draining": (
        "Whoever has a file for it is served on. Its page in the back office ends the draining, "
        "or closes it."
    ),
    "enrol-anew": "If the shop closed this gateway, enrol anew: `ferriage agent remove --forget`.",
    "same-release": "Install the shop's release here: they may be one minor version apart.",
    "serve-line": "Let it serve a line, on its page in the back office.",
    "clock-off": "Set it: `timedatectl set-ntp true`.",
    "see-backend": "See agent.backend.",
    "no-tun": "As root: `modprobe tun`; a container needs the device from its host.",
    "no-wireguard": "Install Debian's package wireguard-go.",
    "slow-build": (
        "A kernel with WireGuard is best; else Debian 13's wireguard-go is five times faster."
    ),
    "no-route": "Give this host a default route, or agent.uplink a route through it.",
    "no-ipv6": "Customers' IPv6 stays in the tunnel and is rejected; nothing leaks.",
    "accept-ra": "Restart the agent, which sets accept_ra to 2; without it IPv6 is lost.",
    "not-public": (
        "Only networks that lead to it get through. Behind NAT: forward these UDP ports to it "
        "there, and name the outside address in the back office."
    ),
    "no-tunnel": "No tunnel interface is up. Start the agent: `ferriage agent run`.",
    "no-handshake": ("Connect a device. If it gets no answer, open the UDP port before this host."),
    "forwarding-off": "The agent turns it on: start it.",
    "foreign-forward": (
        "Allow there what comes from and goes to our interfaces; nothing was changed."
    ),
    "many-connections": (
        "Raise the sysctl net.netfilter.nf_conntrack_max (each entry takes about 400 bytes of "
        "memory); full, nobody can begin a connection. One device has 4,096 at most."
    ),
    "other-way": (
        "Customers have addresses of this network, and so has something else that this host "
        "reaches: it is not reached any more, or customers are not. Renumber that, take its route "
        "away, or let another host be the gateway."
    ),
    "resolver-silent": "See unbound.log in agent.run_dir; the agent starts it with a tunnel.",
    "resolver-deaf": (
        "It runs. See whether UDP and TCP port 53 lead from this host to the internet; where they "
        "do not, name a resolver that answers here in agent.resolver_upstream."
    ),
    "no-permit": "It comes with the first batch: start the agent. The line's page says more.",
    "line-not-open": "The line's page in the back office says what is missing.",
}
"""What to do, for whoever stands at the host; the site has texts of its own for these names."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; a failure names a remedy, and a remark may."""

    slug: str
    said: str
    state: wire.CheckState = "ok"
    value: str = ""
    remedy: str = ""

    @property
    def failed(self) -> bool:
        """Tell whether it keeps customers from being served."""
        return self.state == "failed"

    @property
    def to_do(self) -> str:
        """What to do, in words; empty when nothing is."""
        return REMEDIES[self.remedy] if self.remedy else ""

    def on_wire(self) -> wire.Check:
        """Return it as it is reported."""
        return wire.Check(
            slug=self.slug, state=self.state, value=self.value[:200], remedy=self.remedy
        )


@dataclass(frozen=True)
class Facts:
    """What the looking starts from: what this gateway serves, and what its own loops know.

    `handshake` tells whether a customer's tunnel has come up. `site_time` is the site's, now.
    """

    config: AgentConfig
    assignments: tuple[wire.PoolAssignment, ...]
    handshake: bool
    site_time: float
    permits: Mapping[str, wire.Permit] = field(default_factory=dict)


def look(facts: Facts) -> Iterator[Finding]:
    """Look at everything that needs no question to the site, in the order of a new gateway."""
    yield from of_wireguard(facts.config)
    addresses = host.own_addresses(facts.config.interface_prefix)
    yield of_outside(addresses, facts.assignments, reached=facts.handshake)
    if facts.assignments:
        yield of_tunnels(facts)
    yield from of_uplinks(facts.config.uplink)
    yield from of_forwarding(facts.config)
    if facts.assignments:
        yield from of_inner(_inner(facts.assignments), facts.config.interface_prefix)
    yield from of_connections(*host.connections())
    yield from _of_resolver(facts)
    yield of_clock(round(time.time() - facts.site_time))
    for assignment in facts.assignments:
        permit = facts.permits.get(assignment.line)
        yield of_line(assignment.line, permit, facts.site_time)


def of_clock(off: int) -> Finding:
    """Judge this host's clock by how many seconds it differs from the site's."""
    if abs(off) <= _WRONG_CLOCK_SECONDS:
        return Finding("clock", "the clock is right")
    # Terms are judged by the site's time, so nobody is cut by it; certificates are not.
    said = f"this host's clock is {off} s off"
    return Finding("clock", said, "failed", value=str(off), remedy="clock-off")


def of_wireguard(config: AgentConfig) -> Iterator[Finding]:
    """Say who does WireGuard here, and whether that is fast."""
    try:
        choice = backend.decide(config.backend)
    except AgentError as error:
        said = f"WireGuard cannot run: {error}"
        yield Finding("wireguard", said, "failed", remedy="see-backend")
        return
    if choice.name == "kernel":
        yield Finding(
            "wireguard", "WireGuard is the kernel's, which is the fastest", value="kernel"
        )
        return
    if not _TUN.exists():
        said = f"{_TUN} is missing, so no tunnel can be made"
        yield Finding("wireguard", said, "failed", remedy="no-tun")
    try:
        yield of_build(run(config.wireguard_go, "--version"))
    except DataPlaneError as error:
        said = f"no WireGuard here: {error}"
        yield Finding("wireguard", said, "failed", remedy="no-wireguard")


def of_build(version: str) -> Finding:
    """Judge a build of wireguard-go by what it prints; those of 2022 and before are slow."""
    name = version.splitlines()[0].strip() if version.strip() else "wireguard-go of no version"
    if _SLOW_BUILD.search(name):
        said = f"WireGuard is {name}, which is slow (about 0.4 Gbit/s)"
        return Finding("wireguard", said, value=name, remedy="slow-build")
    return Finding("wireguard", f"WireGuard is {name} (about 2 Gbit/s)", value=name)


def of_uplinks(configured: str) -> Iterator[Finding]:
    """Say whether there is a way out by IPv4 and IPv6, and whether the latter will stay.

    Args:
        configured: The uplink that the settings name; empty where they leave it to the routes.
    """
    for slug, name, family in (("ipv4", "IPv4", "-4"), ("ipv6", "IPv6", "-6")):
        link = host.leaves_by(family, configured)
        if link:
            yield Finding(slug, f"{name} leaves by {link}", value=link)
        elif slug == "ipv4":
            yield Finding(slug, "no IPv4 exit", "failed", remedy="no-route")
        else:
            yield Finding(slug, "no IPv6 exit", value="none", remedy="no-ipv6")
    for name in sorted(host.uplinks(configured)):
        forwarding = _setting("ipv6/conf/all/forwarding") == "1"
        if forwarding and _setting(f"ipv6/conf/{name}/accept_ra") == "1":
            said = f"{name} will lose its IPv6 router"
            yield Finding("ipv6", said, "failed", value=name, remedy="accept-ra")


def of_outside(
    addresses: Sequence[str], assignments: Iterable[wire.PoolAssignment], *, reached: bool
) -> Finding:
    """Say where this host believes to be reached; what really is so is seen from outside only.

    Args:
        addresses: Its own, and first the one with which packets leave for the internet. The site
            takes an address that is not among them for NAT.
        reached: A customer's tunnel has come up, so whatever is between lets it through.
    """
    address = addresses[0] if addresses else ""
    value = " ".join(addresses[:_MOST_ADDRESSES])
    ports = ", ".join(str(assignment.listen_port) for assignment in assignments)
    said = f"outside address {address or 'unknown'}, UDP ports {ports or 'none yet'}"
    if not address:
        return Finding("outside", said, "unknown")
    if reached or ipaddress.ip_address(address).is_global:
        return Finding("outside", said, value=value)
    said = f"{address} is no public address (UDP ports {ports or 'none yet'})"
    return Finding("outside", said, "unknown", value=value, remedy="not-public")


def of_tunnels(facts: Facts) -> Finding:
    """Say whether a tunnel can come up, and whether one has."""
    if not host.interfaces(facts.config.interface_prefix):
        said = "no tunnel interface is up"
        return Finding("handshake", said, "failed", remedy="no-tunnel")
    if facts.handshake:
        return Finding("handshake", "handshakes from outside arrive")
    said = "no handshake from outside was seen yet"
    return Finding("handshake", said, "unknown", remedy="no-handshake")


def of_forwarding(config: AgentConfig) -> Iterator[Finding]:
    """Say whether packets may pass through this host, and who forbids it besides us."""
    off = [n for n in ("ipv4/ip_forward", "ipv6/conf/all/forwarding") if _setting(n) == "0"]
    if off:
        yield Finding("forwarding", "forwarding is off", "failed", remedy="forwarding-off")
    ours = {config.table, f"{config.table}_guard"}
    others = list(dropping(run("nft", "-j", "list", "chains"), ours))
    for family, table, chain in others:
        name = f"{family} {table} {chain}{_owner(family, table)}"
        said = f"the chain {name} drops what passes"
        yield Finding("forwarding", said, "failed", value=name, remedy="foreign-forward")
    if not (off or others):
        yield Finding("forwarding", "packets may pass, and no other firewall forbids it")


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


def _inner(assignments: Iterable[wire.PoolAssignment]) -> set[str]:
    return {
        str(ipaddress.ip_interface(address).network)
        for each in assignments
        for address in (each.gateway4, each.gateway6)
    }


def of_inner(networks: Iterable[str], prefix: str) -> Iterator[Finding]:
    """Say whether anything but our tunnels leads into the networks of customers' addresses."""
    ways = host.ways_into(networks, prefix)
    for way, narrower in list(ways.items())[:_MOST_WAYS]:
        said = f"this host has another way into the customers' network: {way}"
        state: wire.CheckState = "failed" if narrower else "ok"
        yield Finding("inner", said, state, value=way, remedy="other-way")
    if not ways:
        yield Finding("inner", "only tunnels lead into the customers' network")


def of_connections(count: int, most: int) -> Iterator[Finding]:
    """Say how full the kernel's table of connections is, where it keeps one."""
    if not most:
        return
    said, value = f"{count:,} connections of {most:,}", f"{count} / {most}"
    if count <= most * _NEARLY_FULL:
        yield Finding("connections", said, value=value)
        return
    said = f"the table of connections is nearly full: {said}"
    yield Finding("connections", said, "failed", value=value, remedy="many-connections")


def _of_resolver(facts: Facts) -> Iterator[Finding]:
    first = next(iter(facts.assignments), None)
    if first is None or not facts.config.unbound:
        return
    yield of_resolver(first.gateway4.partition("/")[0])


def of_resolver(address: str) -> Finding:
    """Say whether the resolver answers, and whether it finds anything in the internet.

    One that runs and reaches nobody may be as silent as one that does not run.
    """
    deaf = "the resolver runs and gets no answer from the internet"
    try:
        answer = _asked(address, _ROOT_SERVERS)
    except OSError as error:
        if _answers(address, _LOCALHOST):
            return Finding("resolver", deaf, "failed", value=address, remedy="resolver-deaf")
        said = f"the resolver {address} is silent: {error}"
        return Finding("resolver", said, "failed", value=address, remedy="resolver-silent")
    if answer[3] & 15 not in _ANSWERS:
        return Finding("resolver", deaf, "failed", value=address, remedy="resolver-deaf")
    return Finding("resolver", "the resolver answers", value=address)


def _asked(address: str, query: bytes) -> bytes:
    """Return what a resolver answers.

    Raises:
        OSError: Nothing, within a few seconds.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_DNS_SECONDS)
        asking.sendto(query, (address, _DNS_PORT))
        return asking.recv(4096)


def _answers(address: str, query: bytes) -> bool:
    try:
        return bool(_asked(address, query))
    except OSError:
        return False


def of_line(line: str, permit: wire.Permit | None, site_time: float) -> Finding:
    """Say whether a line may be open, as this gateway was told."""
    if permit is None:
        said = f"line {line}: no permit has come"
        return Finding("line", said, "failed", value=line, remedy="no-permit")
    if permit.state == "open" and permit.open_until > site_time:
        return Finding("line", f"line {line} is authorised", value=line)
    state = "over" if permit.state == "open" else permit.state
    said = f"line {line} is {state}"
    return Finding("line", said, "failed", value=line, remedy="line-not-open")


def _setting(name: str) -> str:
    path = _SETTINGS / name
    return path.read_text(encoding="ascii").strip() if path.exists() else ""
