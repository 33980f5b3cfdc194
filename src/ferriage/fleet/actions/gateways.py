from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage import wire
from ferriage.approvals.packfile import is_place
from ferriage.approvals.site import is_nowhere
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState
from ferriage.core.hashing import hash_secret, new_token
from ferriage.fleet import site
from ferriage.fleet.actions.permits import repeat
from ferriage.fleet.actions.plain import is_endpoint
from ferriage.fleet.actions.pools import LAST_PORT, join, leave
from ferriage.fleet.models import EnrolToken, Gateway, Line, Pool, PoolGateway

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor

TOKEN_LIFETIME: Final = timedelta(hours=1)


class GatewayWrong(FerriageError):
    """A name that is taken, or a place or port that cannot be."""

    slug = "gateway-wrong"
    status = 422


class GatewayClosed(FerriageError):
    """The gateway was closed for good."""

    slug = wire.GATEWAY_CLOSED


class NotAssignable(FerriageError):
    """This gateway cannot serve this line."""

    slug = "not-assignable"


@dataclass(frozen=True, slots=True)
class NewGateway:
    """A gateway that waits for its host, and the one-time token, which is shown only once."""

    gateway: Gateway
    token: str


def create_gateway(
    *,
    name: str,
    place: str,
    endpoint_host: str,
    endpoint_port: int,
    line: Line | None = None,
    now: datetime,
    actor: Actor,
) -> NewGateway:
    """Record a gateway, let it serve a line, and make the token with which its host enrols.

    With a line both or neither happens: a gateway that was recorded alone would keep its name, and
    its token unsaid.

    Args:
        place: Where the host stands (ISO 3166).
        endpoint_host: Name or address that customers' tunnels go to; the agent may give another.
            Left empty, the agent must give it.
        endpoint_port: UDP port of its first WireGuard interface; further ones count up.
        line: What it serves from the start; without one it serves nothing until `assign`.

    Raises:
        GatewayWrong: The name is taken, or a place, host or port that cannot be.
        NotAssignable: It cannot serve the line; as `assign`.
        NoPortLeft: As `assign`.
    """
    if endpoint_host:
        _check_host(endpoint_host)
    if not is_place(place) or not 0 < endpoint_port <= LAST_PORT:
        raise GatewayWrong(_("“%s” is not a place, or the port is not one.") % place)
    if is_nowhere(place):
        raise GatewayWrong(
            _("%s is a code that no country has.") % place, _("Nothing was recorded.")
        )
    with writing():
        if Gateway.objects.filter(name=name).exists():
            raise GatewayWrong(_("There is a gateway called “%s” already.") % name)
        gateway = Gateway.objects.create(
            name=name, place=place, endpoint_host=endpoint_host, endpoint_port=endpoint_port
        )
        _record(gateway, "created", now, actor, name=name, place=place)
        if line is not None:
            assign(gateway=gateway, line=line, now=now, actor=actor)
        token = _issue(gateway, now)
    return NewGateway(gateway, token)


def new_enrol_token(*, gateway: Gateway, now: datetime, actor: Actor) -> str:
    """Make another one-time token; the older ones that were not used end.

    Raises:
        GatewayClosed: It was closed for good.
    """
    with writing():
        _refuse_closed(gateway)
        EnrolToken.objects.filter(gateway=gateway, used_at=None, expires_at__gt=now).update(
            expires_at=now
        )
        _record(gateway, "token_issued", now, actor)
        return _issue(gateway, now)


def set_endpoint(
    *, gateway: Gateway, host: str, port: int | None = None, now: datetime, actor: Actor
) -> Gateway:
    """Say where customers' tunnels reach a gateway from now on.

    Files that were handed out name the old address: it is in the file alone, so nothing here can
    change it.

    Args:
        host: Name or address.
        port: UDP port of its first WireGuard interface; None leaves the ports as they are.

    Raises:
        GatewayClosed: It was closed for good.
        GatewayWrong: A host or port that cannot be.
    """
    _check_host(host)
    with writing():
        _refuse_closed(gateway)
        port = gateway.endpoint_port if port is None else port
        gateway.endpoint_host, gateway.endpoint_port = host, port
        gateway.probe, gateway.probed_at = "", None
        gateway.save(update_fields=["endpoint_host", "endpoint_port", "probe", "probed_at"])
        move_ports(gateway)
        _record(gateway, "endpoint_set", now, actor, host=host, port=port)
    return gateway


def move_ports(gateway: Gateway) -> None:
    """Let the interfaces count up from the gateway's port. Inside a transaction of the caller's.

    Raises:
        GatewayWrong: It is no port, or the last interface would have none.
    """
    members = list(PoolGateway.objects.filter(gateway=gateway).order_by("interface"))
    highest = LAST_PORT - max((member.interface for member in members), default=0)
    if not 0 < gateway.endpoint_port <= highest:
        raise GatewayWrong(
            _("The port is not one, or leaves no room for each line's."),
            _("The highest that fits is %d.") % highest,
        )
    upward = bool(members) and gateway.endpoint_port > members[0].listen_port
    # Each port must be free at the moment it is taken: the table lets no two interfaces share one.
    for member in reversed(members) if upward else members:
        member.listen_port = gateway.endpoint_port + member.interface
        member.save(update_fields=["listen_port"])


def assign(*, gateway: Gateway, line: Line, now: datetime, actor: Actor) -> list[PoolGateway]:
    """Let a gateway serve a line: one more WireGuard interface on it for each of its pools.

    Raises:
        GatewayClosed: It was closed for good.
        NotAssignable: It stands in another place than the line enters at, or serves it already, or
            is draining, or the line is closed.
        NoPortLeft: Its ports do not suffice for the line's pools.
    """
    with writing():
        _refuse_closed(gateway)
        _check_assignable(gateway, line)
        members = [join(gateway, pool) for pool in line.pools.order_by("pk")]
        numbers = ", ".join(str(member.interface) for member in members)
        _record(gateway, "assigned", now, actor, line=line.code, interface=numbers)
    return members


def unassign(*, gateway: Gateway, line: Line, now: datetime, actor: Actor) -> Gateway:
    """Take a gateway off a line: it leaves all its pools, and files that name both stop working.

    Raises:
        GatewayClosed: It was closed for good.
        NotAssignable: It does not serve the line.
    """
    with writing():
        _refuse_closed(gateway)
        if not leave(gateway, line, now):
            raise NotAssignable(_("This gateway does not serve the line."))
        _record(gateway, "unassigned", now, actor, line=line.code)
    return gateway


def drain_gateway(*, gateway: Gateway, now: datetime, actor: Actor) -> Gateway:
    """Offer a gateway in no file any more; who has a file that names it goes on until it closes.

    Raises:
        GatewayClosed: It was closed for good.
        StaleState: It is draining already.
    """
    with writing():
        _refuse_closed(gateway)
        idle = Gateway.objects.filter(pk=gateway.pk, draining_at=None)
        if idle.update(draining_at=now) != 1:
            raise StaleState(_("This gateway is draining already."), _("Close it when you like."))
        _record(gateway, "draining", now, actor)
    gateway.refresh_from_db()
    return gateway


def undrain_gateway(*, gateway: Gateway, now: datetime, actor: Actor) -> Gateway:
    """Offer a gateway in new files again.

    Raises:
        GatewayClosed: It was closed for good.
        StaleState: It is not draining.
    """
    with writing():
        _refuse_closed(gateway)
        draining = Gateway.objects.filter(pk=gateway.pk, draining_at__isnull=False)
        if draining.update(draining_at=None) != 1:
            raise StaleState(_("This gateway is not draining: new files name it."))
        _record(gateway, "undrained", now, actor)
    gateway.refresh_from_db()
    return gateway


def close_gateway(*, gateway: Gateway, now: datetime, actor: Actor) -> Gateway:
    """Close a gateway for good: its key opens nothing any more, neither at site nor at hub.

    It leaves its pools and its agent's lease ends. Nobody is moved: files that name it stop
    working, and the other gateways of its lines know these devices already. Its agent is woken,
    asks, is told so and takes its tunnels down.

    Raises:
        GatewayClosed: It is closed already.
    """
    with writing():
        _refuse_closed(gateway)
        pools = list(Pool.objects.filter(memberships__gateway=gateway).select_related("line"))
        Gateway.objects.filter(pk=gateway.pk).update(
            state=Gateway.State.CLOSED, lease_instance="", lease_until=None
        )
        PoolGateway.objects.filter(gateway=gateway).delete()
        EnrolToken.objects.filter(gateway=gateway, used_at=None).update(expires_at=now)
        repeat(pools, now)
        _record(gateway, "closed", now, actor)
    gateway.refresh_from_db()
    return gateway


def _issue(gateway: Gateway, now: datetime) -> str:
    secret = new_token()
    EnrolToken.objects.create(
        gateway=gateway,
        token_hash=hash_secret("enrol", secret),
        created_at=now,
        expires_at=now + TOKEN_LIFETIME,
    )
    url = base64.urlsafe_b64encode(site.site_url().encode()).decode().rstrip("=")
    return f"fe1.{url}.{secret}.{wire.fingerprint(wire.public_key(site.permit_key()))}"


def _check_host(host: str) -> None:
    if not is_endpoint(host):
        raise GatewayWrong(
            _("“%s” is not a host name or address that a customer's device could reach.") % host
        )


def _check_assignable(gateway: Gateway, line: Line) -> None:
    if line.state == Line.State.CLOSED:
        raise NotAssignable(_("The line is closed for good."))
    if gateway.place != line.enter_place:
        # Where tunnels end decides which law is asked, so it must be where the host stands.
        raise NotAssignable(
            _("The line enters at %(enter)s, but this gateway stands in %(place)s.")
            % {"enter": line.enter_place, "place": gateway.place}
        )
    if gateway.draining_at is not None:
        raise NotAssignable(
            _("This gateway is draining, so nobody would be sent to it."),
            _("End the draining first, or let another gateway serve the line."),
        )
    if PoolGateway.objects.filter(gateway=gateway, pool__line=line).exists():
        raise NotAssignable(_("This gateway serves the line already."))


def _refuse_closed(gateway: Gateway) -> None:
    gateway.refresh_from_db()
    if gateway.state == Gateway.State.CLOSED:
        raise closed()


def closed() -> GatewayClosed:
    """Return the refusal of whatever a gateway that was closed asks, or is asked."""
    return GatewayClosed(_("This gateway is closed for good."), _("Create a new one."))


def _record(gateway: Gateway, verb: str, now: datetime, actor: Actor, **details: str | int) -> None:
    audit.record(now=now, actor=actor, action=f"gateway.{verb}", subject=gateway.code, **details)
