"""`ferriage gateway list|show|serve|drain|close`: what the back office does, without a browser."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from ferriage.cli import house
from ferriage.cli.lists import table
from ferriage.cli.words import CommandError, Exit, say, tell

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.devices.stranded import Concerned
    from ferriage.fleet.lookout import Health
    from ferriage.fleet.models import Gateway, Line, PoolGateway

_NEVER: Final = "never seen"


def list_all(_: argparse.Namespace) -> int:
    """Print every gateway with its state, when it was seen and how many changes it is behind."""
    house.enter()
    from ferriage.core import clock
    from ferriage.fleet.models import Gateway

    now = clock.now()
    found = Gateway.objects.prefetch_related("memberships__pool").order_by("name")
    rows = [
        (row.name, row.place, _state(row, now), _seen(row), f"behind {_lag(row.memberships.all())}")
        for row in found
    ]
    for row in table(rows) if rows else ["There is no gateway. `ferriage gateway add` makes one."]:
        tell(row)
    return Exit.DONE


def show(parsed: argparse.Namespace) -> int:
    """Print one gateway, how far it is with each line, and what is wrong."""
    house.enter()
    from ferriage.cli.alarms import told
    from ferriage.core import clock
    from ferriage.fleet.alarming import open_alarms
    from ferriage.fleet.lookout import healths
    from ferriage.fleet.models import Gateway
    from ferriage.fleet.warningwords import said

    gateway, now = named(parsed.name), clock.now()
    state = _state(gateway, now)
    say(f"{gateway.name} ({gateway.code}), {gateway.place}: {state}, {_seen(gateway)}")
    say(f"  tunnels reach it at {gateway.endpoint_host or 'no address yet'}")
    if gateway.agent_version:
        say(f"  agent {gateway.agent_version}, WireGuard by {gateway.backend or 'nobody yet'}")
    for health in healths(gateway.memberships.order_by("interface"), now=now):
        member = health.member
        say(f"  {member.pool.line.name}: {_health(health)}")
        for entry in member.refused:
            say(f"    refused {entry['device']}: {entry['reason']}")
    if not gateway.memberships.exists() and gateway.state != Gateway.State.CLOSED:
        tell(f"  serves nothing until `ferriage gateway serve {shlex.quote(gateway.name)} LINE`")
    for warning in gateway.warnings:
        say(f"  warning: {said(warning)}")
    for alarm in open_alarms().filter(subject=gateway.code):
        for line in told(alarm):
            say(f"  {line}")
    return Exit.DONE


def _health(health: Health) -> str:
    member = health.member
    parts = [
        f"UDP {member.listen_port}",
        "open" if member.line_open else "not open",
        f"{member.peers} peers",
        f"{member.pool.placed} of {member.pool.size_limit} places taken",
        f"{member.applied_rev} of {member.pool.revision} applied",
        _step(health),
        f"{len(member.refused)} refused",
    ]
    parts += [f"{member.deferred} kept"] if member.deferred else []
    at = member.reported_at
    return ", ".join([*parts, f"reported {at:%H:%M:%S} UTC" if at else "not reported yet"])


def _step(health: Health) -> str:
    """Say how far a gateway is with one pool, as its page does."""
    from ferriage.core.lengths import lasting

    if health.before_restore:
        return "has not taken up the restored records yet"
    if health.differs:
        return "runs something else than the records say"
    if not health.behind:
        return "in step"
    most = "more than " if health.beyond_log else ""
    return f"{health.behind} behind for {most}{lasting(health.behind_seconds)}"


def serve(parsed: argparse.Namespace) -> int:
    """Let a gateway serve one line more."""
    house.enter()
    from ferriage.core import clock
    from ferriage.core.actors import Actor
    from ferriage.fleet import actions

    gateway, line = named(parsed.name), line_named(parsed.line)
    actor = Actor("command", "gateway serve")
    members = actions.assign(gateway=gateway, line=line, now=clock.now(), actor=actor)
    ports = ", ".join(str(member.listen_port) for member in members)
    say(f"{gateway.name} serves {line.name}. Let UDP {ports} reach its host.")
    if gateway.state == gateway.State.WAITING:
        say("It waits for its host, which enrols with the token that was made for it.")
    return Exit.DONE


def unserve(parsed: argparse.Namespace) -> int:
    """Take a gateway off a line, once it is said that this is meant where it concerns anybody."""
    house.enter()
    from ferriage.core import clock
    from ferriage.core.actors import Actor
    from ferriage.devices.stranded import concerned
    from ferriage.fleet import actions

    gateway, line = named(parsed.name), line_named(parsed.line)
    found = concerned(gateway=gateway, line=line)
    if found.devices and not parsed.yes:
        raise CommandError(
            f"{_knows(gateway, found)} Files that name it for {line.name} end within seconds. "
            "Add --yes if that is meant; nothing was changed."
        )
    actor = Actor("command", "gateway unserve")
    actions.unassign(gateway=gateway, line=line, now=clock.now(), actor=actor)
    say(f"{gateway.name} serves {line.name} no more.")
    return Exit.DONE


def _knows(gateway: Gateway, found: Concerned) -> str:
    """Say how many devices a gateway knows, and how many of them no other one serves."""
    if not found.stranded:
        return f"Devices that {gateway.name} knows: {found.devices}; other gateways serve them too."
    return (
        f"Devices that {gateway.name} knows: {found.devices}; left without any gateway: "
        f"{found.stranded} (customers: {found.customers})."
    )


def drain(parsed: argparse.Namespace) -> int:
    """Offer a gateway in no new file."""
    house.enter()
    from ferriage.core import clock
    from ferriage.core.actors import Actor
    from ferriage.fleet import actions

    gateway = named(parsed.name)
    actor = Actor("command", "gateway drain")
    actions.drain_gateway(gateway=gateway, now=clock.now(), actor=actor)
    say(f"No new file names {gateway.name}. Who has one goes on until you close the gateway.")
    return Exit.DONE


def undrain(parsed: argparse.Namespace) -> int:
    """Offer a gateway in new files again."""
    house.enter()
    from ferriage.core import clock
    from ferriage.core.actors import Actor
    from ferriage.fleet import actions

    gateway = named(parsed.name)
    actor = Actor("command", "gateway undrain")
    actions.undrain_gateway(gateway=gateway, now=clock.now(), actor=actor)
    say(f"New files name {gateway.name} again.")
    return Exit.DONE


def close(parsed: argparse.Namespace) -> int:
    """Close a gateway for good, once it is said that this is meant."""
    house.enter()
    from ferriage.core import clock
    from ferriage.core.actors import Actor
    from ferriage.devices.stranded import concerned
    from ferriage.fleet import actions

    gateway = named(parsed.name)
    if not parsed.yes:
        found = concerned(gateway=gateway)
        whom = f"{_knows(gateway, found)} " if found.devices else ""
        raise CommandError(
            f"{whom}Closing {gateway.name} ends every tunnel whose file names it, for good. "
            "Add --yes if that is meant; nothing was changed."
        )
    actor = Actor("command", "gateway close")
    actions.close_gateway(gateway=gateway, now=clock.now(), actor=actor)
    say(f"{gateway.name} is closed. Its agent takes the tunnels down as soon as it hears of it.")
    say("A host that does not reach the shop: `ferriage agent remove` there does the same.")
    return Exit.DONE


def line_named(code: str) -> Line:
    """Return the line of a code.

    Raises:
        CommandError: There is none.
    """
    from ferriage.fleet.models import Line

    line = Line.objects.filter(code=code).first()
    if line is None:
        raise CommandError(f"There is no line {code}. `ferriage list` names all.")
    return line


def named(name: str) -> Gateway:
    """Return the gateway of a name.

    Raises:
        CommandError: There is none.
    """
    from ferriage.fleet.models import Gateway

    gateway = Gateway.objects.filter(name=name).first()
    if gateway is None:
        raise CommandError(f"There is no gateway “{name}”. `ferriage gateway list` names all.")
    return gateway


def _state(gateway: Gateway, now: datetime) -> str:
    """Return the state in the words of the gateway's page."""
    from ferriage.fleet.lookout import is_silent
    from ferriage.fleet.models import Gateway

    draining = gateway.draining_at is not None and gateway.state == Gateway.State.ACTIVE
    if is_silent(gateway, now):
        return "silent, draining" if draining else "silent"
    return "draining" if draining else str(gateway.get_state_display())


def _seen(gateway: Gateway) -> str:
    seen = gateway.last_seen_at
    return f"seen {seen:%Y-%m-%d %H:%M:%S} UTC" if seen else _NEVER


def _lag(members: Iterable[PoolGateway]) -> int:
    """Return how many changes of its pools a gateway has not applied yet."""
    return sum(max(0, member.pool.revision - member.applied_rev) for member in members)
