"""What keeps a device of the operator's own from connecting, each with what mends it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ferriage.cli.words import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.core.errors import FerriageError
    from ferriage.devices.actions import NotAllowed
    from ferriage.devices.models import Device
    from ferriage.devices.queries import Placement
    from ferriage.fleet.models import Gateway, Line
    from ferriage.plans.models import Plan, Subscription


# --- no gateway -------------------------------------------------------------------------------


def placed(device: Device, now: datetime) -> list[Placement]:
    """Return where the device is served; without a gateway it is not added at all.

    Raises:
        CommandError: No gateway serves it, with what comes next for the one that is nearest to it.
    """
    from ferriage.devices.queries import placements
    from ferriage.fleet.queries import open_lines
    from ferriage.plans.queries import lines_of, usable_by

    found = placements(device)
    if found:
        return found
    subscription = device.subscription
    usable = usable_by(lines_of(subscription.plan), subscription.account.account_class)
    opened = {line.pk for line in open_lines(at=now)}
    # A gateway for a line that stays closed would be no way on while another line is open.
    lines = sorted(usable, key=lambda line: line.pk not in opened)
    raise CommandError(f"{_nearest_gateway(lines)} Nothing was added.")


def _nearest_gateway(lines: Sequence[Line]) -> str:
    """Say what comes next for one that serves a line, or could, or is not recorded yet."""
    from ferriage.fleet.models import Gateway, PoolGateway

    serving = PoolGateway.objects.filter(pool__line__in=lines).select_related("gateway")
    members = serving.exclude(gateway__state=Gateway.State.CLOSED).order_by("gateway__name")
    gateways = [member.gateway for member in members]
    for gateway in gateways:
        if gateway.state == Gateway.State.WAITING and gateway.draining_at is None:
            return _waits(gateway)
    if gateways:
        name = shlex.quote(gateways[0].name)
        return (
            f"The gateway {gateways[0]} is draining, so no new file names it. "
            f"`ferriage gateway undrain {name}` ends that."
        )
    for line in lines:
        idle = Gateway.objects.filter(place=line.enter_place, draining_at=None)
        near = idle.exclude(state=Gateway.State.CLOSED).order_by("name").first()
        if near is not None:
            name = shlex.quote(near.name)
            return (
                f"No gateway serves this plan yet. {near} stands where {line} enters: "
                f"`ferriage gateway serve {name} {line.code}` lets it serve that line."
            )
    return (
        "No gateway serves this plan yet, so there would be nothing to reach. Record one with "
        f"`ferriage gateway add NAME --place {lines[0].enter_place} --line {lines[0].code}`."
    )


def _waits(gateway: Gateway) -> str:
    return (
        f"The gateway {gateway} waits for its host: run there the `agent enrol` that "
        "`ferriage gateway add` printed, or make a new token on its page in the back office."
    )


# --- no open line -----------------------------------------------------------------------------


def not_open(found: Sequence[Placement], now: datetime) -> Iterator[str]:
    """Say of each line of a device that is not open what opens it."""
    from ferriage.fleet.queries import open_lines

    opened = {line.pk for line in open_lines(at=now)}
    for line in {one.line.pk: one.line for one in found}.values():
        if line.pk not in opened:
            yield f"The line {line} is not open, so nothing passes there yet."
            yield f"  {_how_it_opens(line, now)}"


def _how_it_opens(line: Line, now: datetime) -> str:
    from ferriage.fleet.models import Line
    from ferriage.fleet.queries import judge_line

    if line.state == Line.State.HELD:
        return "Staff hold it; “End the hold” on its page in the back office lets it open."
    if not judge_line(line=line, at=now).allowed:
        return f"`ferriage approvals explain --line {line.code}` says what the register asks."
    if line.state == Line.State.PLANNED:
        return "The register allows it; its page in the back office, under Lines, opens it."
    return "The register allows it, and the worker opens it within seconds: see that it runs."


def refused(refusal: NotAllowed, plan: Plan, account: Account, now: datetime) -> NotAllowed:
    """Return the register's refusal with whom it was asked for, and what to do next.

    Another place helps only where the line itself may be open.
    """
    from ferriage.fleet.queries import judge_line
    from ferriage.plans.queries import lines_of

    lines = lines_of(plan)
    if any(judge_line(line=line, at=now).allowed for line in lines):
        who = f"For a person in {account.place}: "
        steps = "If you are elsewhere, say where with --place. What the register asks:"
        asked = f" --customer {account.place}"
    else:
        who, steps, asked = "", "Wherever you are. What the register asks:", ""
    ways = [f"  ferriage approvals explain --line {line.code}{asked}" for line in lines]
    return type(refusal)(
        f"{who}{refusal.message}",
        "\n".join((str(refusal.remedy), steps, *ways)),
        refusal.verdicts,
    )


# --- no right ---------------------------------------------------------------------------------


def without_right(refusal: FerriageError, subscription: Subscription, site_url: str) -> str:
    """Return a refusal of the operator's own subscription with the page that mends it.

    What customers are told, to renew or to remove a device, no command does.
    """
    from django.urls import reverse

    page = site_url.rstrip("/") + reverse("staff-subscription", args=[subscription.code])
    return (
        f"{refusal.message} It is your own, to “{subscription.service}”: give it time or remove a "
        f"device on its page in the back office, {page}. Nothing was added."
    )
