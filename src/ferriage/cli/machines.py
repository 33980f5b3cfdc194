"""Gateways and the operator's own devices on the command line."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ferriage.cli import advice, house
from ferriage.cli.words import CommandError, Exit, say, tell
from ferriage.core.actors import Actor

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.devices.models import Device
    from ferriage.devices.queries import Placement
    from ferriage.fleet.models import Gateway, Line
    from ferriage.plans.models import Plan, Subscription

_OWN: Final = Actor("command", "device add")
_LABEL: Final = "operator"
"""Which account of the operator's staff is the operator's own."""


def add_gateway(parsed: argparse.Namespace) -> int:
    """Record a gateway, let it serve a line, and print how its host enrols."""
    config = house.enter()
    from ferriage.cli.gateways import line_named
    from ferriage.core import clock
    from ferriage.fleet import actions

    new = actions.create_gateway(
        name=parsed.name,
        place=parsed.place.upper(),
        endpoint_host=parsed.endpoint_host,
        endpoint_port=parsed.endpoint_port,
        line=line_named(parsed.line) if parsed.line else None,
        now=clock.now(),
        actor=Actor("command", "gateway add"),
    )
    has_block = _say_how_to_enrol(new.gateway, new.token)
    say(f"\nLet UDP {_ports(new.gateway)} reach that host. Each further line that it serves, and")
    say("each further pool of a line, takes the next port by itself: better open those too.")
    if not parsed.endpoint_host:
        say("\nCustomers' files will name the address with which that host reaches the internet.")
        say("If tunnels reach it at another, add --endpoint-host and the name or address.")
    if has_block and not config.site.shop_addresses:
        say(
            "\nIf that host is not the shop's own: customers whose term is over reach the shop from"
        )
        say("there only once site.shop_addresses says the shop's address that it has a route to.")
    if not parsed.line:
        _say_that_it_serves_nothing(new.gateway)
    return Exit.DONE


def new_token(parsed: argparse.Namespace) -> int:
    """Print another one-time token for a gateway, and what it means for one that is enrolled."""
    house.enter()
    from ferriage.cli.gateways import named
    from ferriage.core import clock
    from ferriage.fleet import actions

    gateway = named(parsed.name)
    token = actions.new_enrol_token(
        gateway=gateway, now=clock.now(), actor=Actor("command", "gateway token")
    )
    has_block = _say_how_to_enrol(gateway, token)
    say("\nTokens that were made before and not used open nothing any more.")
    if gateway.state == gateway.State.ACTIVE:
        _say_what_ends(gateway)
        if has_block:
            say("The block keeps the keys where it finds them: on the gateway's own host it only")
            say("installs this shop's release.")
    return Exit.DONE


def _say_what_ends(gateway: Gateway) -> None:
    from ferriage.devices.stranded import concerned

    devices = concerned(gateway=gateway).devices
    say(f"\n{gateway.name} is enrolled. A host that enrols with the token takes its place: from")
    say("then on the former keys open nothing, and an agent that still has them is refused. Its")
    say("WireGuard key is another one, so each file that names this gateway must be made anew;")
    say(f"devices that it knows: {devices}. With the former host's key files it comes back without")
    say("a token and without new files: docs/how-to/run-gateways.md.")


def _say_how_to_enrol(gateway: Gateway, token: str) -> bool:
    """Say how a host enrols, and return whether there is a block to paste."""
    from ferriage.fleet.bundle import NoBundle, OnlyHere, block

    host, pasted, refusal = "its host", "", None
    try:
        pasted = block(token)
    except NoBundle:  # set up from a wheel alone: the token is enough
        pass
    except OnlyHere as error:
        host, refusal = "the shop's own machine", error
    say(f"Gateway {gateway.code}. On {host}, as root and within one hour:\n")
    tell(f"  ferriage agent enrol {token}")
    if pasted:
        say("\nOn a bare Debian 12 or 13 host paste this instead; it fetches its agent here:\n")
        say(pasted.rstrip())
    if refusal is not None:
        say(f"\n{refusal.message}\n{refusal.remedy}")
    return bool(pasted)


def _say_that_it_serves_nothing(gateway: Gateway) -> None:
    from ferriage.fleet.queries import lines_to_serve

    say(f"\n{gateway.name} serves nothing until it is given a line. That is done by “Serve a line”")
    say("on its page in the back office, or by")
    codes = [line.code for line in lines_to_serve(gateway.place)]
    for code in codes or ["LINE"]:
        tell(f"  ferriage gateway serve {shlex.quote(gateway.name)} {code}")
    if not codes:
        say(f"once there is a line that enters in {gateway.place}: make one there, under Lines.")


def set_endpoint(parsed: argparse.Namespace) -> int:
    """Say where tunnels reach a gateway from now on."""
    house.enter()
    from ferriage.core import clock
    from ferriage.fleet import actions
    from ferriage.fleet.models import Gateway

    gateway = Gateway.objects.filter(name=parsed.name).first()
    if gateway is None:
        known = ", ".join(Gateway.objects.order_by("name").values_list("name", flat=True)) or "none"
        raise CommandError(f"There is no gateway “{parsed.name}”. There are: {known}.")
    host, port = _host_and_port(parsed.endpoint)
    before = (gateway.endpoint_host, gateway.endpoint_port)
    gateway = actions.set_endpoint(
        gateway=gateway,
        host=host,
        port=port,
        now=clock.now(),
        actor=Actor("command", "gateway endpoint"),
    )
    say(f"Tunnels reach {gateway.name} at {gateway.endpoint_host}, UDP {_ports(gateway)}.")
    if before == (gateway.endpoint_host, gateway.endpoint_port):
        say("That is where they did before.")
        return Exit.DONE
    say("Files that were handed out name the old address. Each of these devices is added anew, or")
    say("its owner changes the line `Endpoint` in the file.")
    return Exit.DONE


def _ports(gateway: Gateway) -> str:
    from ferriage.fleet.queries import ports_of

    return ", ".join(map(str, ports_of(gateway)))


def _host_and_port(text: str) -> tuple[str, int | None]:
    """Take HOST, HOST:PORT, an IPv6 address or [ADDRESS]:PORT apart; the action judges both."""
    bracketed, _, port = text.removeprefix("[").partition("]")
    if text.startswith("["):
        host, port = bracketed, port.removeprefix(":")
    else:
        host, _, port = text.partition(":") if text.count(":") == 1 else (text, "", "")
    if port and not port.isdecimal():
        raise CommandError(f"“{port}” is not a port.", Exit.USAGE)
    return host, int(port) if port else None


def add_device(parsed: argparse.Namespace) -> int:
    """Connect a device of the operator's own and print where its file is."""
    config = house.enter()
    from ferriage.core import clock
    from ferriage.core.db import writing
    from ferriage.devices import actions
    from ferriage.devices.keys import new_keypair

    path = Path(parsed.out or f"{parsed.name}.conf")
    _refuse_taken(path)
    keys = new_keypair()
    now = clock.now()
    with writing():
        plan = _plan(parsed.plan)
        subscription = _own_subscription(plan, _own_place(parsed.place, plan), now)
        try:
            device = actions.add_device(
                subscription=subscription,
                public_key=keys.public,
                name=parsed.name,
                now=now,
                actor=_OWN,
            )
        except actions.NotAllowed as refusal:
            raise advice.refused(refusal, subscription.plan, subscription.account, now) from None
        except (actions.NothingBought, actions.DeviceLimitReached) as refusal:
            said = advice.without_right(refusal, subscription, config.site.url)
            raise CommandError(said) from None
        found = advice.placed(device, now)
    for written in _write_files(device, keys.private, found, path):
        say(f"wrote {written}")
    for line in advice.not_open(found, now):
        tell(line)
    return Exit.DONE


def _refuse_taken(path: Path) -> None:
    """Refuse before a device is added whose only private key could then not be written."""
    if path.exists():
        raise CommandError(f"There is a file {path} already. Choose another with --out.")
    if not path.parent.is_dir():
        raise CommandError(f"There is no directory {path.parent} to write to.")


def _plan(code: str | None) -> Plan:
    """Return the plan that was named, the one held already, or the only one that makes sense.

    Raises:
        CommandError: There is none, or several lead different ways.
    """
    from ferriage.plans.models import Plan, Subscription
    from ferriage.plans.queries import lines_of

    sold = Plan.objects.filter(withdrawn_at=None).select_related("service")
    plans = {plan: lines_of(plan) for plan in sold.order_by("service__position", "pk")}
    if code:
        return _leading(_named(code, list(plans)), plans)
    held = Subscription.objects.filter(account=_operator(), plan__in=plans).order_by("pk").first()
    if held is not None:
        return _leading(held.plan, plans)
    served = [plan for plan, lines in plans.items() if lines]
    if not served:
        raise CommandError(
            "No plan is offered on a line yet. Make the line in the back office, under Lines, "
            "then a plan on it, under Plans."
        )
    first, *others = served
    if any(plans[plan] != plans[first] for plan in others):
        raise CommandError(
            f"Name one plan with --plan; they lead different ways. {_listed(served)}."
        )
    if others:
        say(f"Takes the plan {first}; all lead the same way. Another one by --plan.")
    return first


def _leading(plan: Plan, plans: Mapping[Plan, Sequence[Line]]) -> Plan:
    """Return the plan.

    Raises:
        CommandError: It leads nowhere.
    """
    if not plans[plan]:
        raise CommandError(
            f"The plan {plan} is offered on no line, so it leads nowhere. Offer it on one on its "
            "page in the back office, under Plans, or name another with --plan."
        )
    return plan


def _named(code: str, plans: Sequence[Plan]) -> Plan:
    for plan in plans:
        if plan.code == code:
            return plan
    raise CommandError(f"There is no plan {code} for --plan. {_listed(plans)}.")


def _listed(plans: Sequence[Plan]) -> str:
    known = ", ".join(f"{plan.code} ({plan})" for plan in plans) or "none"
    return f"There are: {known}"


def _own_place(said: str, plan: Plan) -> str:
    """Return where the operator is: as said now or before, else where the seller sits.

    Raises:
        CommandError: What was said is no place.
    """
    from ferriage.approvals.packfile import is_place
    from ferriage.plans.queries import lines_of

    if said:
        place = said.upper()
        if not is_place(place):
            raise CommandError(f"“{said}” is not an ISO 3166 code for --place, such as SE.")
        return place
    account = _operator()
    if account is not None and account.place:
        return account.place
    party = lines_of(plan)[0].party
    say(f"You are taken to be in {party.place}, where {party.name} sits. Another place by --place.")
    return party.place


def _own_subscription(plan: Plan, place: str, now: datetime) -> Subscription:
    """Return the operator's own subscription: one grant without end, at price 0."""
    from ferriage.plans import actions
    from ferriage.plans.queries import is_closed, subscription_end
    from ferriage.plans.several import subscriptions_to

    if is_closed(plan):
        return _own_membership(plan, place, now)
    account = _own_account(place, now)
    held = subscriptions_to(account, plan.service)
    if held:
        return next((one for one in held if not subscription_end(one).is_over(now)), held[0])
    return actions.grant(
        account=account,
        plan=plan,
        subscription=None,
        starts_at=now,
        ends_at=None,
        reason="The operator's own devices",
        source_code="own",
        now=now,
        actor=_OWN,
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

    mine = _operator()
    if mine is None:
        return open_account(
            now=now,
            actor=_OWN,
            account_class=Account.Class.OWN_STAFF,
            place=place,
            label=_LABEL,
        ).account
    if mine.place == place:
        return mine
    return declare_place(account=mine, place=place, now=now, actor=_OWN)


def _operator() -> Account | None:
    from ferriage.accounts.models import Account

    return Account.objects.filter(account_class=Account.Class.OWN_STAFF, label=_LABEL).first()


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
