"""`ferriage check`: says what is wrong with this host, and how to mend it. Changes nothing."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from ferriage.cli import house, reach
from ferriage.cli.words import CommandError, Exit, tell
from ferriage.config import ConfigError, is_loopback

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ferriage.config import Config

_MARKS: Final = {"good": "✓", "warning": "!", "bad": "✗"}
_OLD_WIREGUARD_GO: Final = "2022"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `remedy` is empty when it is good."""

    state: Literal["good", "warning", "bad"]
    what: str
    remedy: str = ""


def run(_: argparse.Namespace) -> int:
    """Print each finding with its remedy; 1 when something is bad, 3 without settings.

    A shop that is not open yet is not broken: its open points are warnings.
    """
    try:
        config = house.load()
    except ConfigError as error:
        _print(Finding("bad", str(error)))
        return Exit.NOT_SET_UP
    house.start_django(config)
    found = list(findings(config))
    for finding in found:
        _print(finding)
    return Exit.REFUSED if any(finding.state == "bad" for finding in found) else Exit.DONE


def _print(finding: Finding) -> None:
    tell(f"{_MARKS[finding.state]} {finding.what}")
    for line in finding.remedy.splitlines():
        tell(f"    {line}")


def findings(config: Config) -> Iterator[Finding]:
    """Look at everything that can be wrong with the shop and, where it is one, the gateway."""
    yield Finding("good", f"settings {config.path}")
    fault = house.first_fault(config)
    yield Finding("bad", fault) if fault else Finding("good", "keys, secret and database fit")
    yield from _modes(config)
    packs = list(_packs(config, fault=fault))
    yield from packs
    if not fault:
        yield from _ports(config)
        yield _clock()
        yield from _evidence(config)
        yield from _providers()
        yield _held_reach(config)
        yield from _endpoints()
        yield from _sign_in(config)
    yield from _gateway(config)
    if not fault and all(finding.state != "bad" for finding in packs):
        yield from _open_points(config)


def _modes(config: Config) -> Iterator[Finding]:
    for path in (
        config.permit_key_path,
        config.feed_key_path,
        config.evidence_key_path,
        config.data_dir / "secret.key",
    ):
        if path.exists() and path.stat().st_mode & 0o077:
            yield Finding("bad", f"others may read {path}", f"chmod 600 {path}")


def _packs(config: Config, *, fault: str) -> Iterator[Finding]:
    from ferriage.approvals.packs import PackError
    from ferriage.approvals.site import is_public, packs_in_force, packs_on_file

    try:
        # Before there is a database, what it would be made with.
        packs = packs_on_file() if fault else packs_in_force()
    except PackError as error:
        remedy = "Mend or remove it in [approvals] packs; until then nothing opens or is sold."
        yield Finding("bad", str(error), remedy)
        return
    kind = "a public address" if is_public(config) else "no public address"
    yield Finding("good", f"rule packs for {', '.join(sorted(packs.by_place))}; {kind}")
    if not fault:
        yield from _newer_packs()


def _newer_packs() -> Iterator[Finding]:
    """Name each pack that waits, that the worker has not met yet, or that nobody can receive."""
    from ferriage.approvals.packs import version_key
    from ferriage.approvals.queries import newest_packs
    from ferriage.approvals.site import packs_on_file, waiting

    came = newest_packs()
    for place, pack in sorted(packs_on_file().by_place.items()):
        newest = came.get(place)
        if newest is None or version_key(pack.version) > version_key(newest.version):
            what = f"rule pack {place} {pack.version} was not received yet"
            yield Finding("warning", what, "The worker does so; start it.")
        elif pack.version == newest.version and pack.digest != newest.digest:
            what = f"rule pack {place} {pack.version} was changed without a newer version"
            yield Finding("bad", what, "What came first stays in force; raise its version.")
    for found in waiting():
        yield Finding(
            "warning",
            f"rule pack {found.place} {came[found.place].version} waits to take effect",
            f"See what it changes under Rule packs, or by `ferriage packs diff`. What it denies "
            f"is held from {found.counts_at:%Y-%m-%d %H:%M} UTC.",
        )


def _ports(config: Config) -> Iterator[Finding]:
    """Name what another program holds; a port that is free waits for `ferriage up`."""
    host = urlsplit(config.site.url).netloc
    listened = [("site.listen", entry) for entry in config.site.listen]
    for setting, entry in (*listened, ("hub.listen", config.hub.listen)):
        try:
            address, port = reach.split(entry)
        except CommandError as error:
            yield Finding("bad", str(error), f"Correct {setting} in {config.path}.")
            continue
        refusal = reach.why_not(address, port)
        found = reach.who_listens(address, port, host) if refusal else "ours"
        remedy = f"End the program that listens there, or change {setting} in {config.path}."
        if found == "silent":
            what = f"the program that listens on {entry} {reach.not_within()}"
            yield Finding("bad", what, f"If it is this shop's, look at its log. {remedy}")
        elif found == "other":
            yield Finding("bad", f"cannot listen on {entry}: {refusal}", remedy)


def _clock() -> Finding:
    from ferriage.approvals.actions import ClockBehind, check_clock, first_wrong
    from ferriage.core import clock, timesync

    now = clock.now()
    try:
        check_clock(now=now)
    except ClockBehind as error:
        wrong = first_wrong(now)
        how = f" `ferriage register repair --first {wrong.sequence}` proposes one." if wrong else ""
        return Finding("bad", str(error.message), f"{error.remedy}{how}")
    if timesync.state() == "unknown":
        return Finding(
            "warning",
            "the clock is not behind the register's records; who keeps it right is not known here",
            "Run a time daemon such as systemd-timesyncd on this host, or on the one it runs on.",
        )
    return Finding("good", "the clock is set, and not behind the register's records")


def _evidence(config: Config) -> Iterator[Finding]:
    """Open every file of evidence, as an auditor would ask for it."""
    if not config.evidence_key_path.exists():
        yield Finding(
            "bad",
            f"there is no key {config.evidence_key_path}, so no evidence can be kept or opened",
            "Put it back from a backup. `ferriage init` makes one where there is no evidence yet.",
        )
        return
    from ferriage.approvals.site import evidence_dir
    from ferriage.approvals.store import EvidenceUnreadable, unreadable

    sound = True
    try:
        for evidence, fault in unreadable(store_dir=evidence_dir()):
            sound = False
            what = f"“{evidence.title}” of {evidence.subject}: {fault.message}"
            yield Finding("bad", what, str(fault.remedy))
    except EvidenceUnreadable as fault:
        yield Finding("bad", str(fault.message), str(fault.remedy))
        return
    if sound:
        yield Finding("good", "every file of evidence opens and is as it was handed in")


def _providers() -> Iterator[Finding]:
    """Say which payment providers in use cannot be used, such as after the secret key changed."""
    from ferriage.payments.providers.registry import unusable

    for account, fault in unusable():
        what = f"customers cannot pay by “{account.label}”: {fault.message}"
        yield Finding("bad", what, str(fault.remedy) or "Take it out of use under Payments.")


def _held_reach(config: Config) -> Finding:
    """Say whether customers whose term is over still get to the shop to renew."""
    addresses, port = config.shop_addresses, config.shop_port
    own = [address for address in addresses if is_loopback(address)]
    if own:
        return Finding(
            "bad",
            f"held customers cannot reach the shop: {own[0]} is their own machine",
            "Take it out of site.shop_addresses. Left empty, a shop on the gateway's own host is "
            "reached; else write the shop's address that gateways have a route to.",
        )
    if not config.site.shop_addresses:
        return _inner_reach(config)
    return Finding("good", f"held customers are let through to {', '.join(addresses)}, port {port}")


def _inner_reach(config: Config) -> Finding:
    from ferriage.fleet.site import only_here

    address, port = config.inner_address, config.shop_port
    elsewhere = _gateways_elsewhere(config)
    if elsewhere:
        return Finding(
            "bad",
            f"customers held on {elsewhere} cannot reach the shop: it is not on the same host",
            "Set site.shop_addresses to the shop's address that this gateway has a route to.",
        )
    if not reach.is_here(address):
        if not only_here():
            return Finding(
                "warning",
                f"held customers reach the shop at {address}, port {port}, once a tunnel is up "
                "here, and from a gateway on another host not at all",
                "Before you add one elsewhere, set site.shop_addresses to the shop's address that "
                "it has a route to.",
            )
        what = f"held customers reach the shop at {address}, port {port}, once a tunnel is up here"
        return Finding("good", what)
    refusal = reach.why_silent(address, port)
    if not refusal:
        return Finding("good", f"held customers reach the shop at {address}, port {port}")
    return Finding(
        "bad",
        f"{address}, port {port}, where held customers look for the shop: {refusal}",
        "`ferriage up` serves a shop with http there. With https, let the web server listen "
        "on this address too.",
    )


def _sign_in(config: Config) -> Iterator[Finding]:
    """Say whether the people of a closed service can sign in with their organisation."""
    from ferriage.members import provider, queries

    rules = config.sign_in
    if not rules.issuer:
        return
    if queries.closed_service(rules.service) is None:
        yield Finding(
            "bad",
            f"nobody can sign in: there is no closed service “{rules.service}”",
            "Write its short name in sign_in.service, or close it in the back office.",
        )
    try:
        provider.begin(rules, redirect_uri=config.site.url)
    except provider.ProviderAway as error:
        yield Finding("bad", str(error.message), "Look at sign_in.issuer and the way to it.")
    else:
        yield Finding("good", f"people of “{rules.service}” sign in with {rules.issuer}")


def _gateways_elsewhere(config: Config) -> str:
    """Return the names of gateways on other hosts; empty when that cannot be known."""
    from ferriage.agent import identity
    from ferriage.agent.errors import NotEnrolled
    from ferriage.fleet.models import Gateway

    try:
        here = identity.load(config).gateway
    except NotEnrolled:
        here = ""
    except PermissionError:
        return ""
    others = Gateway.objects.filter(state=Gateway.State.ACTIVE).exclude(code=here)
    return ", ".join(others.values_list("name", flat=True))


def _endpoints() -> Iterator[Finding]:
    """Say of each gateway what keeps customers' files from leading to it."""
    from ferriage.fleet.models import Gateway

    gateways = Gateway.objects.exclude(state=Gateway.State.CLOSED).order_by("name")
    for name, host in gateways.values_list("name", "endpoint_host"):
        change = f"`ferriage gateway endpoint {name} ADDRESS`"
        if not host:
            what = f"nobody has said where tunnels reach gateway {name}"
            yield Finding("warning", what, f"Its host says so when it enrols; or {change}.")
        elif not _is_public(host):
            what = f"customers' files of gateway {name} name {host}, which is no public address"
            yield Finding("warning", what, f"Nobody elsewhere gets there. {change} changes it.")


def _is_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return True


def _open_points(config: Config) -> Iterator[Finding]:
    """Say what the shop needs before it can sell, as the back office's first page does."""
    from django.urls import reverse

    from ferriage.core import clock
    from ferriage.web.backoffice import checklist

    start = config.site.url.rstrip("/")
    now = clock.now()
    for row in (*checklist.work(now=now), *checklist.rows(now=now)):
        if row.done:
            yield Finding("good", f"{row.title}: {row.detail}")
        else:
            page = f"{start}{reverse(row.url_name)} ({row.action})"
            found = f"{row.detail} {row.command}".strip()
            yield Finding("warning", f"{row.title}: not yet", f"{found}\n{page}")


# --- gateway ----------------------------------------------------------------------------------


def _gateway(config: Config) -> Iterator[Finding]:
    state_dir = config.resolve(config.agent.state_dir)
    if state_dir.exists() and os.geteuid() != 0:
        yield Finding(
            "warning", "not root, so the gateway was not looked at", "As root: `ferriage check`"
        )
        return
    if not (state_dir / "identity.json").exists():
        yield Finding("good", "no gateway is enrolled on this host")
        return
    for program, package in (
        ("nft", "nftables"),
        ("ip", "iproute2"),
        ("conntrack", "conntrack"),
        (config.agent.unbound, "unbound"),
    ):
        if program and not shutil.which(program):
            yield _not_installed(program, package)
    yield from _backend(config)


def _not_installed(program: str, package: str) -> Finding:
    return Finding("bad", f"{program} is not installed", f"apt-get install {package}")


def _backend(config: Config) -> Iterator[Finding]:
    """Say who does WireGuard when the agent starts, and what is missing for that."""
    from ferriage.agent import backend
    from ferriage.agent.errors import DataPlaneError, NoKernel

    try:
        choice = backend.decide(config.agent.backend)
    except NoKernel as error:
        yield Finding("bad", error.what, error.remedy)
        return
    except DataPlaneError as error:
        yield Finding("bad", str(error))
        return
    if choice.name == "kernel":
        yield Finding("good", "WireGuard runs in the kernel")
        return
    yield Finding("good", f"WireGuard runs in userspace: {choice.reason}")
    if not shutil.which(config.agent.wireguard_go):
        yield _not_installed(config.agent.wireguard_go, "wireguard-go")
    yield from _wireguard(config.agent.wireguard_go)


def _wireguard(program: str) -> Iterator[Finding]:
    if not shutil.which(program):
        return
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = done.stdout.strip().splitlines()[0] if done.stdout.strip() else "of unknown version"
    name = version.replace("wireguard-go ", "")
    if _OLD_WIREGUARD_GO in name:
        yield Finding(
            "warning",
            f"wireguard-go {name} moves a fifth of what the 2023 build does",
            "On bookworm: apt-get install -t bookworm-backports wireguard-go",
        )
    else:
        yield Finding("good", f"wireguard-go {name}")
