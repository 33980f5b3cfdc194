"""Gateways and the operator's own devices on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ferriage.cli import house
from ferriage.cli.words import CommandError, Exit, say
from ferriage.core.actors import Actor

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.devices.models import Device
    from ferriage.devices.queries import Placement
    from ferriage.plans.models import Plan, Subscription


def add_gateway(parsed: argparse.Namespace) -> int:
    """Record a gateway, let it serve a line, and print how its host enrols."""
    house.enter()
    from ferriage.core import clock
    from ferriage.fleet import actions
    from ferriage.fleet.models import Line

    actor = Actor("command", "gateway add")
    line = Line.objects.filter(code=parsed.line).first()
    if parsed.line and line is None:
        raise CommandError(f"There is no line {parsed.line}.")
    new = actions.create_gateway(
        name=parsed.name,
        place=parsed.place,
        endpoint_host=parsed.endpoint_host,
        endpoint_port=parsed.endpoint_port,
        now=clock.now(),
        actor=actor,
    )
    if line is not None:
        actions.assign(gateway=new.gateway, line=line, now=clock.now(), actor=actor)
    say(f"Gateway {new.gateway.code}. On its host, within one hour:\n")
    say(f"  ferriage agent enrol {new.token}")
    return Exit.DONE


def add_device(parsed: argparse.Namespace) -> int:
    """Connect a device of the operator's own and print where its file is."""
    house.enter()
    from ferriage.core import clock
    from ferriage.core.db import writing
    from ferriage.devices import actions
    from ferriage.devices.keys import new_keypair

    path = Path(parsed.out or f"{parsed.name}.conf")
    _refuse_taken(path)
    keys = new_keypair()
    now = clock.now()
    with writing():
        subscription = _own_subscription(_plan(parsed.plan), parsed.place, now)
        device = actions.add_device(
            subscription=subscription,
            public_key=keys.public,
            name=parsed.name,
            now=now,
            actor=Actor("command", "device add"),
        )
        found = _placements(device)
    for written in _write_files(device, keys.private, found, path):
        say(f"wrote {written}")
    return Exit.DONE


def _refuse_taken(path: Path) -> None:
    """Refuse before a device is added whose only private key could then not be written."""
    if path.exists():
        raise CommandError(f"There is a file {path} already. Choose another with --out.")
    if not path.parent.is_dir():
        raise CommandError(f"There is no directory {path.parent} to write to.")


def _placements(device: Device) -> list[Placement]:
    """Return where the device is served; without a gateway it is not added at all."""
    from ferriage.devices.queries import placements

    found = placements(device)
    if not found:
        raise CommandError("No gateway serves this plan yet, so there would be nothing to reach.")
    return found


def _plan(code: str | None) -> Plan:
    from ferriage.plans.models import Plan

    found = Plan.objects.filter(withdrawn_at=None)
    plans = list(found.filter(code=code) if code else found)
    if len(plans) != 1:
        known = ", ".join(f"{plan.code} ({plan})" for plan in found) or "none"
        raise CommandError(f"Name one plan with --plan. There are: {known}.")
    return plans[0]


def _own_subscription(plan: Plan, place: str, now: datetime) -> Subscription:
    """Return the operator's own subscription: one grant without end, at price 0."""
    from ferriage.plans import actions
    from ferriage.plans.models import Subscription
    from ferriage.plans.queries import is_closed

    if is_closed(plan):
        return _own_membership(plan, place, now)
    account = _own_account(place, now)
    held = Subscription.objects.filter(account=account, service=plan.service).first()
    if held is not None:
        return held
    return actions.grant(
        account=account,
        plan=plan,
        starts_at=now,
        ends_at=None,
        reason="The operator's own devices",
        source_code="own",
        now=now,
        actor=Actor("command", "device add"),
    )


def _own_membership(plan: Plan, place: str, now: datetime) -> Subscription:
    """Return the operator's own subscription in a closed service, whose list names them too.

    The entry is called `operator`; staff put the name right in the back office.
    """
    from ferriage.members import actions
    from ferriage.members.models import ClosedService, Member
    from ferriage.plans.models import Subscription

    actor = Actor("command", "device add")
    closed = ClosedService.objects.filter(service=plan.service).first()
    closed = closed or actions.close_service(plan=plan, now=now, actor=actor)
    member = Member.objects.filter(closed=closed, reference="operator").first()
    if member is None:
        member = actions.enter(
            closed=closed, reference="operator", name="operator", now=now, actor=actor
        )
    if member.state == Member.State.LEFT:
        raise CommandError("The list says that the operator has left. Invite them back there.")
    if member.state == Member.State.INVITED:
        token = actions.invite(member=member, now=now, actor=actor)
        member = actions.accept(token=token, place=place, now=now, actor=actor).member
    return Subscription.objects.get(account=member.account, service=plan.service)


def _own_account(place: str, now: datetime) -> Account:
    from ferriage.accounts.actions import declare_place, open_account
    from ferriage.accounts.models import Account

    actor = Actor("command", "device add")

    mine = Account.objects.filter(account_class=Account.Class.OWN_STAFF, label="operator").first()
    if mine is not None:
        if place:
            declare_place(account=mine, place=place, now=now, actor=actor)
        return mine
    return open_account(
        now=now,
        actor=actor,
        account_class=Account.Class.OWN_STAFF,
        place=place,
        label="operator",
    ).account


def _write_files(
    device: Device, private_key: str, found: Sequence[Placement], path: Path
) -> list[Path]:
    """Write one file and its picture for each gateway; the key is in them and nowhere else."""
    from ferriage.devices.files import conf, qr_png

    written = []
    for number, placement in enumerate(found):
        target = path if number == 0 else path.with_stem(f"{path.stem}-{number + 1}")
        text = conf(device=device, private_key=private_key, placement=placement)
        house.write_private(target, text)
        picture = target.with_suffix(".png")
        picture.touch(mode=0o600)
        picture.write_bytes(qr_png(text))
        written += [target, picture]
    return written
