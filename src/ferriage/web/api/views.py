"""What gateways ask of the site: the agent itself, to enrol, and to take their reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from ferriage import wire
from ferriage.devices import metering
from ferriage.fleet import actions, sitetime, watch
from ferriage.fleet.bundle import bundle, digest_of
from ferriage.fleet.models import Gateway
from ferriage.fleet.queries import signing_gateway, standing_of
from ferriage.web.api.signed import (
    Malformed,
    NotSigned,
    answered,
    check_signature,
    check_size,
    decoded,
    format_of,
    outward_address,
    tell,
)

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest


@answered
def enrol(request: HttpRequest, now: datetime) -> wire.EnrolAnswer:
    """Take in a host that brings a one-time token; it signs with the key it brings."""
    check_size(request)
    spoken = format_of(request)
    if spoken not in wire.SPOKEN:
        raise actions.FormatRefused(spoken)
    asked = decoded(request, wire.EnrolRequest)
    check_signature(request, asked.signing_key, now)
    return actions.enrol(request=asked, now=now)


@answered
def report(request: HttpRequest, now: datetime) -> wire.ReportAnswer:
    """Take over a gateway's report."""
    gateway, now = _asking(request, now)
    if gateway.state == Gateway.State.CLOSED:
        raise actions.closed()
    spoken = format_of(request)
    if spoken not in wire.SPOKEN:
        raise actions.refuse_format(gateway=gateway, spoken=spoken, now=now)
    answer = metering.take_report(
        gateway=gateway,
        report=decoded(request, wire.Report),
        outward=outward_address(request),
        now=now,
    )
    watch.stand_in(now)
    return answer


@answered
def standing(request: HttpRequest, now: datetime) -> wire.Standing:
    """Say what was decided about a gateway, to whoever looks for what is wrong on its host."""
    gateway, _ = _asking(request, now)
    decoded(request, wire.StandingRequest)
    return standing_of(gateway)


def _asking(request: HttpRequest, now: datetime) -> tuple[Gateway, datetime]:
    """Return the gateway that signed a request, and the time that it is told.

    One that was closed may still ask.
    """
    code = request.headers.get(wire.HEADER_GATEWAY, "")
    gateway = signing_gateway(code)
    if gateway is None:
        raise NotSigned(wire.Unauthentic("signature", "No active gateway signs with this name."))
    told = sitetime.told_to(gateway, now)
    tell(request, told)
    try:
        check_size(request)
    except Malformed:
        # Not read, so not known to be signed; but the answer is for this gateway alone, and true.
        if gateway.state == Gateway.State.CLOSED:
            raise actions.closed() from None
        raise
    check_signature(request, gateway.signing_key, told)
    sitetime.note_behind(told=told, now=now)
    return gateway, told


@require_safe
def agent(request: HttpRequest, digest: str) -> HttpResponse:
    """Give this release's agent to a host that names its digest; nothing of it is secret."""
    del request
    data = bundle()
    if digest != digest_of(data):
        raise Http404
    return HttpResponse(data, content_type="application/gzip")
