"""`ferriage gateway list|show|drain|close`: what the back office does, without a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage.cli import house
from ferriage.cli.lists import table
from ferriage.cli.words import CommandError, Exit, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ferriage.fleet.models import Gateway, PoolGateway

_NEVER: Final = "never seen"


def list_all(_: argparse.Namespace) -> int:
    """Print every gateway with its state, when it was seen and how many changes it is behind."""
    house.enter()
    from ferriage.fleet.models import Gateway

    found = Gateway.objects.prefetch_related("memberships__pool").order_by("name")
    rows = [
        (row.name, row.place, _state(row), _seen(row), f"behind {_lag(row.memberships.all())}")
        for row in found
    ]
    for row in table(rows) if rows else ["There is no gateway. `ferriage gateway add` makes one."]:
        say(row)
    return Exit.DONE


def show(parsed: argparse.Namespace) -> int:
    """Print one gateway and what it last reported of each line."""
    house.enter()
    gateway = _named(parsed.name)
    say(f"{gateway.name} ({gateway.code}), {gateway.place}: {_state(gateway)}, {_seen(gateway)}")
    say(f"  tunnels reach it at {gateway.endpoint_host or 'no address yet'}")
    if gateway.backend:
        say(f"  agent {gateway.agent_version}, WireGuard in {gateway.backend}")
    for member in gateway.memberships.select_related("pool__line").order_by("interface"):
        state = "open" if member.line_open else "not open"
        pool = member.pool
        say(
            f"  {pool.line.name}: UDP {member.listen_port}, {state}, {member.peers} peers, "
            f"{pool.placed} of {pool.size_limit} places taken, "
            f"behind {_lag([member])}, {len(member.refused)} refused"
        )
        for entry in member.refused:
            say(f"    refused {entry['device']}: {entry['reason']}")
    for warning in gateway.warnings:
        say(f"  warning: {warning}")
    return Exit.DONE


def drain(parsed: argparse.Namespace) -> int:
    """Offer a gateway in no new file."""
    house.enter()
    from ferriage.core import clock
    from ferriage.core.actors import Actor
    from ferriage.fleet import actions

    gateway = _named(parsed.name)
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

    gateway = _named(parsed.name)
    actor = Actor("command", "gateway undrain")
    actions.undrain_gateway(gateway=gateway, now=clock.now(), actor=actor)
    say(f"New files name {gateway.name} again.")
    return Exit.DONE


def close(parsed: argparse.Namespace) -> int:
    """Close a gateway for good, once it is said that this is meant."""
    house.enter()
    from ferriage.core import clock
    from ferriage.core.actors import Actor
    from ferriage.fleet import actions

    gateway = _named(parsed.name)
    if not parsed.yes:
        raise CommandError(
            f"Closing {gateway.name} ends every tunnel whose file names it, for good. "
            "Add --yes if that is meant; nothing was changed."
        )
    actor = Actor("command", "gateway close")
    actions.close_gateway(gateway=gateway, now=clock.now(), actor=actor)
    say(f"{gateway.name} is closed. Its agent takes the tunnels down as soon as it hears of it.")
    say("A host that does not reach the shop: `ferriage agent remove` there does the same.")
    return Exit.DONE


def _named(name: str) -> Gateway:
    from ferriage.fleet.models import Gateway

    gateway = Gateway.objects.filter(name=name).first()
    if gateway is None:
        raise CommandError(f"There is no gateway “{name}”. `ferriage gateway list` names all.")
    return gateway


def _state(gateway: Gateway) -> str:
    from ferriage.fleet.models import Gateway

    draining = gateway.draining_at is not None and gateway.state == Gateway.State.ACTIVE
    return "draining" if draining else str(gateway.get_state_display())


def _seen(gateway: Gateway) -> str:
    seen = gateway.last_seen_at
    return f"seen {seen:%Y-%m-%d %H:%M:%S} UTC" if seen else _NEVER


def _lag(members: Iterable[PoolGateway]) -> int:
    """Return how many changes of its pools a gateway has not applied yet."""
    return sum(max(0, member.pool.revision - member.applied_rev) for member in members)
