"""What the agent needs of the host itself: forwarding, the way to the internet, connections."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ferriage.agent import layout
from ferriage.agent.errors import DataPlaneError
from ferriage.agent.holdfile import write_changed
from ferriage.agent.system import run

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from ferriage.agent.backend import Link

log = structlog.get_logger()

_SYSCTL = Path("/proc/sys/net")
_ESTABLISHED_SECONDS = 3600
_SINGLE_LIMIT = 200
_TABLES = 7000
_ANYWHERE4 = "192.0.2.1"
_ANYWHERE6 = "2001:db8::1"


def uplinks(configured: str) -> frozenset[str]:
    """Return the interfaces that lead to the internet.

    Without a setting and without a default route it is every interface that is up but loopback:
    there, only directly attached networks can be reached anyway.
    """
    if configured:
        return frozenset({configured})
    found = _devices("route", "show", "default") | _devices("-6", "route", "show", "default")
    return found or _all_links()


def _devices(*command: str) -> frozenset[str]:
    routes = json.loads(run("ip", "-j", *command) or "[]")
    hops = [hop for route in routes for hop in (route, *route.get("nexthops", ()))]
    return frozenset(hop["dev"] for hop in hops if "dev" in hop)


def _all_links() -> frozenset[str]:
    links = json.loads(run("ip", "-j", "link", "show", "up") or "[]")
    return frozenset(link["ifname"] for link in links if "LOOPBACK" not in link["flags"])


def forward(uplink: Iterable[str], run_dir: str) -> None:
    """Turn forwarding on. Called once our tables stand, so nothing passes unasked before.

    A forwarding host ignores router advertisements unless told otherwise; an uplink that lives on
    them keeps its IPv6.

    Args:
        run_dir: Where what the host had is kept for `put_back`; like the settings themselves,
            it goes at a reboot.
    """
    wanted = {
        f"ipv6/conf/{name}/accept_ra": "2"
        for name in uplink
        if _read(f"ipv6/conf/{name}/accept_ra") == "1"
    }
    wanted |= {
        "ipv4/ip_forward": "1",
        "ipv6/conf/all/forwarding": "1",
        "netfilter/nf_conntrack_tcp_timeout_established": str(_ESTABLISHED_SECONDS),
    }
    changed = {name: had for name in wanted if (had := _read(name)) not in {"", wanted[name]}}
    if changed:
        kept = {**changed, **_kept(run_dir)}
        try:
            write_changed(_kept_path(run_dir), json.dumps(kept).encode())
        except OSError as error:  # who does not forward serves nobody
            log.warning("settings.not_kept", reason=str(error))
    for name in changed:
        _write(name, wanted[name])


def put_back(run_dir: str) -> list[str]:
    """Give the host the settings back that it had before `forward`, and say which."""
    kept = {name: had for name, had in _kept(run_dir).items() if _read(name)}
    for name, had in kept.items():
        _write(name, had)
    return [f"net.{name.replace('/', '.')} = {had}" for name, had in kept.items()]


def _kept_path(run_dir: str) -> Path:
    return Path(run_dir) / "sysctl.json"


def _kept(run_dir: str) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(_kept_path(run_dir).read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def outward_address() -> str:
    """Return the address with which this host's packets leave for the internet; empty without one.

    Asked of the routes: connecting a datagram socket sends nothing.
    """
    for family, anywhere in ((socket.AF_INET, _ANYWHERE4), (socket.AF_INET6, _ANYWHERE6)):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((anywhere, 9))
            except OSError:
                continue
            return str(probe.getsockname()[0])
    return ""


def own_addresses(prefix: str) -> tuple[str, ...]:
    """Return the addresses of this host that others may see, the outward one first.

    Args:
        prefix: What the names of our own interfaces begin with; their addresses are customers'.
    """
    links = json.loads(run("ip", "-j", "address", "show", "up") or "[]")
    found = [
        entry["local"]
        for link in links
        if not link.get("ifname", prefix).startswith(prefix)  # ip prints {} of what has just gone
        for entry in link["addr_info"]
        if entry.get("scope") == "global" and "local" in entry
    ]
    first = outward_address()
    return tuple(dict.fromkeys([first, *found] if first else found))


def leaves_by(family: str, configured: str) -> str:
    """Return the interface by which packets of a family leave; empty without one.

    Where the settings name the uplink, any route through it counts: a line may lead into attached
    networks only. Otherwise only a default route leads to the internet.

    Args:
        family: `-4` or `-6`.
    """
    narrowed = ("dev", configured) if configured else ("default",)
    routes = json.loads(run("ip", "-j", family, "route", "show", *narrowed, check=False) or "[]")
    leading = [route for route in routes if not route["dst"].startswith("fe80:")]
    if not leading:
        return ""
    return configured or str(leading[0].get("dev", "several links"))


def ways_into(networks: Iterable[str], prefix: str) -> dict[str, bool]:
    """Return the host's other routes into these networks, and which of them take part of one over.

    A narrower route takes what it names from ours; a wider one loses to ours what both name. A
    default route leads anywhere and is none.

    Args:
        prefix: What the names of our own interfaces begin with.
    """
    wanted = [ipaddress.ip_network(network) for network in networks]
    found: dict[str, bool] = {}
    for family in ("-4", "-6"):
        command = ("ip", "-j", family, "route", "show", "table", "all")
        for route in json.loads(run(*command, check=False) or "[]"):
            name, to = str(route.get("dev", "")), str(route.get("dst", "default"))
            if to == "default" or name.startswith(prefix):
                continue
            target = ipaddress.ip_network(to, strict=False)
            for each in wanted:
                narrower = target.network_address in each and target.prefixlen >= each.prefixlen
                if target.prefixlen and (narrower or each.network_address in target):
                    found[f"{target} {name}".strip()] = narrower
    return dict(sorted(found.items()))


def connections() -> tuple[int, int]:
    """Return how many connections the kernel keeps, and how many at most; zeros where it does not.

    Full it lets nobody begin one: it is every customer's, and the host's own.
    """
    count, most = (_read(f"netfilter/nf_conntrack_{name}") for name in ("count", "max"))
    return int(count or 0), int(most or 0)


def missing(interfaces: Iterable[str], *, but: Container[str] = ()) -> bool:
    """Say whether one of these interfaces is not there; cheap enough to ask all the time."""
    try:
        for name in interfaces:
            if name in but:
                continue
            socket.if_nametoindex(name)
    except OSError:
        return True
    return False


class Ways:
    """The rules of routing and the routes of this host, read once."""

    def __init__(self) -> None:
        self._rules = {family: run("ip", family, "rule", "show") for family in ("-4", "-6")}
        self._routes = {
            family: run("ip", family, "route", "show", "table", "all", check=False)
            for family in ("-4", "-6")
        }

    def lead(self, link: Link, number: int) -> bool:
        """Tell whether all is there that `route` makes for a link."""
        return all(
            f"fwmark {mark} lookup {table}" in self._rules[family]
            and f" iif {link.name} " in self._rules[family]
            and f"{network} dev {link.name} table {table} " in self._routes[family]
            for family, network, mark, table in _ways(link, number)
        )


def _ways(link: Link, number: int) -> Iterator[tuple[str, str, str, str]]:
    """Yield family, network, mark and table of the ways into an interface."""
    for address in link.addresses:
        network = ipaddress.ip_interface(address).network
        mark, table = f"{layout.WAY_MARK + number:#x}", str(_TABLES + number)
        yield f"-{network.version}", str(network), mark, table


def route(link: Link, number: int) -> None:
    """Send what bears an interface's way mark into that interface.

    Pools share the inner network, so the plain route leads into the first interface only; for
    the same reason a strict check of source addresses would drop what comes from the others.
    What no table of ours marked is not routed at all: that holds even when somebody flushes all
    of nft's rules, the guard's too.
    """
    for family, network, mark, table in _ways(link, number):
        rules = run("ip", family, "rule", "show")
        if f"fwmark {mark} lookup {table}" not in rules:
            way = ("fwmark", mark, "lookup", table)
            run("ip", family, "rule", "add", "pref", str(_TABLES), *way)
        if f" iif {link.name} " not in rules:
            unmarked = ("iif", link.name, "fwmark", "0/0xffffffff", "blackhole")
            run("ip", family, "rule", "add", "pref", str(_TABLES - 1), *unmarked)
        run("ip", family, "route", "replace", network, "dev", link.name, "table", table)
    if _read(f"ipv4/conf/{link.name}/rp_filter") not in {"", "2"}:
        _write(f"ipv4/conf/{link.name}/rp_filter", "2")


def forget_routes(prefix: str) -> int:
    """Delete the rules that `route` made for interfaces of a prefix; return how many."""
    ours = re.compile(rf"{re.escape(prefix)}\d+")
    gone = 0
    for family in ("-4", "-6"):
        for rule in json.loads(run("ip", "-j", family, "rule", "show") or "[]"):
            table, mark = str(rule.get("table", "")), str(rule.get("fwmark", ""))
            way = ("fwmark", mark, "lookup", table)
            blocked = ("iif", rule.get("iif", ""), "fwmark", "0/0xffffffff", "blackhole")
            if rule["priority"] == _TABLES and table.isdecimal() and int(table) >= _TABLES:
                run("ip", family, "rule", "del", "pref", str(_TABLES), *way)
            elif rule["priority"] == _TABLES - 1 and ours.fullmatch(blocked[1]):
                run("ip", family, "rule", "del", "pref", str(_TABLES - 1), *blocked)
            else:
                continue
            gone += 1
    return gone


def interfaces(prefix: str) -> list[str]:
    """Return this host's interfaces that are named by a prefix and a number."""
    ours = re.compile(rf"{re.escape(prefix)}\d+")
    return sorted(name for _, name in socket.if_nameindex() if ours.fullmatch(name))


def _read(name: str) -> str:
    """Return a setting of the network; empty when this kernel has it not."""
    path = _SYSCTL / name
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


def _write(name: str, value: str) -> None:
    """Change a setting of the network.

    Raises:
        DataPlaneError: This host does not let its own settings be changed, as many containers.
    """
    try:
        (_SYSCTL / name).write_text(value, encoding="ascii")
    except OSError as error:
        raise DataPlaneError(
            f"net.{name.replace('/', '.')} cannot be set to {value}: {error.strerror}. In a "
            "container, whoever runs it must let /proc/sys/net be written, or set it himself."
        ) from error


def forget_redirected(addresses: Iterable[str], *, hold_port: int) -> None:
    """Delete connections to port 80 that ended at the hold page.

    A browser that kept such a connection would go on seeing the hold page after a renewal.
    """
    narrowed = ("--proto", "tcp", "--orig-port-dst", "80", "--reply-port-src", str(hold_port))
    addresses = tuple(addresses)
    if len(addresses) > _SINGLE_LIMIT:
        for family in ("ipv4", "ipv6"):
            run("conntrack", "--delete", "--family", family, *narrowed, check=False)
        return
    for address in addresses:
        _delete(address, *narrowed)


def _delete(address: str, *narrowed: str) -> None:
    """Delete what matches; that nothing did (exit code 1) is as good."""
    family = "ipv6" if ":" in address else "ipv4"
    run("conntrack", "--delete", "--family", family, "--orig-src", address, *narrowed, check=False)
