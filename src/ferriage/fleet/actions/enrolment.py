from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage import wire
from ferriage.core import audit
from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.hashing import hash_secret
from ferriage.fleet import site
from ferriage.fleet.actions.gateways import move_ports
from ferriage.fleet.actions.newcomers import FormatRefused, begin_anew
from ferriage.fleet.actions.plain import fits, is_endpoint, is_key
from ferriage.fleet.actions.pools import LAST_PORT
from ferriage.fleet.models import EnrolToken, Gateway
from ferriage.fleet.queries import assignments

if TYPE_CHECKING:
    from datetime import datetime

_TOKEN_PARTS: Final = 4


class TokenRefused(FerriageError):
    """Not a token of this site, or one that was used or has ended."""

    slug = "token"
    status = 403


class EnrolmentWrong(FerriageError):
    """The request cannot be what an agent of this release sends."""

    slug = "enrolment-wrong"
    status = 422


class EndpointMissing(FerriageError):
    """Neither staff nor the host said where customers' tunnels reach it."""

    slug = wire.ENDPOINT_MISSING
    status = 422


def enrol(*, request: wire.EnrolRequest, now: datetime) -> wire.EnrolAnswer:
    """Make the host that brings a one-time token the gateway it was made for.

    A host whose answer was lost may ask again with the same token and the same keys within the
    token's hour. A new token for an active gateway moves it to another host: the former keys
    open nothing from then on.

    Raises:
        TokenRefused: Wrong, used or expired; nothing changes.
        FormatRefused: The agent is more than one minor version away.
        EnrolmentWrong: A key or address that cannot be.
        EndpointMissing: The token is still good for a request that names an endpoint.
    """
    _check(request)
    with writing():
        token = _token(request.token, now)
        gateway = token.gateway
        if not _take(token, now):
            _refuse_unless_repeated(gateway, request)
            return _answer(gateway)
        _become(gateway, request, now)
        audit.record(
            now=now,
            actor=Actor("gateway", gateway.code),
            action="gateway.enrolled",
            subject=gateway.code,
            endpoint=f"{gateway.endpoint_host}:{gateway.endpoint_port}",
        )
        return _answer(gateway)


def _token(text: str, now: datetime) -> EnrolToken:
    parts = text.split(".")
    secret = parts[2] if len(parts) == _TOKEN_PARTS else ""
    token = (
        EnrolToken.objects.select_related("gateway")
        .filter(token_hash=hash_secret("enrol", secret), expires_at__gt=now)
        .exclude(gateway__state=Gateway.State.CLOSED)
        .first()
    )
    if token is None:
        raise _refused()
    return token


def _take(token: EnrolToken, now: datetime) -> bool:
    return EnrolToken.objects.filter(pk=token.pk, used_at=None).update(used_at=now) == 1


def _refuse_unless_repeated(gateway: Gateway, request: wire.EnrolRequest) -> None:
    same = (gateway.signing_key, gateway.wireguard_key) == (
        request.signing_key,
        request.wireguard_key,
    )
    if not same:
        raise _refused()


def _refused() -> TokenRefused:
    return TokenRefused(
        _("This enrolment token is wrong, was used, or has ended."),
        _("Make another one on the gateways page; it is good for one hour."),
    )


def _become(gateway: Gateway, request: wire.EnrolRequest, now: datetime) -> None:
    if not (request.endpoint_host or gateway.endpoint_host):
        raise EndpointMissing(
            _("Nobody has said yet where customers' tunnels reach this gateway."),
            _("Enrol with --endpoint-host and its public name or address; the token still works."),
        )
    gateway.state = Gateway.State.ACTIVE
    gateway.signing_key = request.signing_key
    gateway.wireguard_key = request.wireguard_key
    gateway.boot_id = request.boot_id
    gateway.agent_version = request.agent_version
    gateway.enrolled_at = now
    gateway.endpoint_host = request.endpoint_host or gateway.endpoint_host
    gateway.endpoint_port = request.endpoint_port or gateway.endpoint_port
    # Whoever held the lease before signs with a key that is not this gateway's any more.
    gateway.lease_instance, gateway.lease_until, gateway.report_sequence = "", None, 0
    gateway.fence = 0
    begin_anew(gateway)
    gateway.save()
    move_ports(gateway)


def _answer(gateway: Gateway) -> wire.EnrolAnswer:
    return wire.EnrolAnswer(
        gateway=gateway.code,
        permit_key=wire.public_key(site.permit_key()),
        feed_key=site.feed_public_key(),
        site_url=site.site_url(),
        hub_url=site.hub_url(),
        pools=assignments(gateway),
    )


def _check(request: wire.EnrolRequest) -> None:
    if request.format not in wire.SPOKEN:
        raise FormatRefused(request.format)
    plain = (
        fits(Gateway.boot_id.field, request.boot_id),
        not request.endpoint_host or is_endpoint(request.endpoint_host),
        fits(Gateway.agent_version.field, request.agent_version),
        0 <= request.endpoint_port <= LAST_PORT,
        is_key(request.signing_key) and is_key(request.wireguard_key),
    )
    if not all(plain):
        raise EnrolmentWrong(_("The agent sent a key, address or port that cannot be."))
