"""Tries from outside whether tunnels reach gateways that have just come.

The site holds one key for this, which every gateway has as a peer that may pass nothing; see
`wire.ReportAnswer`. A packet each, and at most a second in all: other work of the worker waits.
"""

from __future__ import annotations

import base64
import selectors
import socket
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from django.db.models import Exists, OuterRef

from ferriage.fleet import site
from ferriage.fleet.actions.newcomers import note_probe
from ferriage.fleet.handshake import ANSWER_BYTES, Initiation
from ferriage.fleet.models import Gateway, Line, PoolGateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from concurrent.futures import Future
    from datetime import datetime

    from django.db.models import QuerySet

_SECONDS: Final = 1.0
_LOOKUP_SECONDS: Final = 2.0
_MOST: Final = 50
_SEEN: Final = timedelta(minutes=2)
_NEW: Final = timedelta(hours=1)
_AGAIN: Final = timedelta(seconds=10)
_AGAIN_LATER: Final = timedelta(minutes=15)
_AGAIN_AFTER_ANSWER: Final = timedelta(hours=6)
_SPEAKS_OF_PROBES: Final = 5

_lookups = ThreadPoolExecutor(max_workers=4, thread_name_prefix="probe-lookup")


class Due(NamedTuple):
    """A gateway to be tried, and one of its UDP ports."""

    gateway: Gateway
    port: int


def run(now: datetime) -> int:
    """Try the gateways that are due and note what came of it; return how many that were."""
    gateways = due(now)[:_MOST]
    outcomes: dict[Gateway, dict[int, Gateway.Probe]] = defaultdict(dict)
    for (gateway, port), outcome in attempt(_ports(gateways), now).items():
        outcomes[gateway][port] = outcome
    for gateway, found in outcomes.items():
        note_probe(gateway=gateway, outcomes=found, now=now)
    return len(outcomes)


def due(now: datetime) -> list[Gateway]:
    """Return the gateways to be tried now."""
    rows = Gateway.objects.filter(
        state=Gateway.State.ACTIVE, last_seen_at__gt=now - _SEEN, spoken__gte=_SPEAKS_OF_PROBES
    )
    served = _served().filter(gateway=OuterRef("pk"))
    found = rows.filter(Exists(served)).annotate(has_new=Exists(served.filter(probe="")))
    return [row for row in found.order_by("pk") if _is_due(row, now, has_new=row.has_new)]


def _served() -> QuerySet[PoolGateway]:
    return PoolGateway.objects.exclude(pool__line__state=Line.State.CLOSED)


def _ports(gateways: Iterable[Gateway]) -> list[Due]:
    """Return every port: the host's firewall may let one through and no other."""
    by_pk = {gateway.pk: gateway for gateway in gateways}
    rows = _served().filter(gateway__in=by_pk).order_by("gateway", "listen_port")
    return [Due(by_pk[pk], port) for pk, port in rows.values_list("gateway_id", "listen_port")]


def _is_due(gateway: Gateway, now: datetime, *, has_new: bool) -> bool:
    if gateway.probed_at is None:
        return True
    if has_new:
        pause = _AGAIN
    elif gateway.probe == Gateway.Probe.ANSWERED:
        pause = _AGAIN_AFTER_ANSWER
    else:
        new = gateway.enrolled_at is not None and now - gateway.enrolled_at < _NEW
        pause = _AGAIN if new else _AGAIN_LATER
    return now - gateway.probed_at >= pause


def attempt(tried: Iterable[Due], now: datetime) -> dict[Due, Gateway.Probe]:
    """Send a first message to each port and return what came back in a second."""
    outcome: dict[Due, Gateway.Probe] = {}
    waiting: dict[socket.socket, tuple[Due, Initiation]] = {}
    with ExitStack() as stack:
        for one, place in _places(tried):
            outcome[one] = Gateway.Probe.UNSENT
            responder = base64.b64decode(one.gateway.wireguard_key)
            first = Initiation(private=site.probe_key(), responder=responder, at=now)
            sending = _sent(stack, place, first.packet)
            if sending is not None:
                outcome[one] = Gateway.Probe.SILENT
                waiting[sending] = one, first
        for one in _answered(waiting):
            outcome[one] = Gateway.Probe.ANSWERED
    return outcome


def _places(tried: Iterable[Due]) -> list[tuple[Due, tuple[str, int] | None]]:
    """Look all names up at once; a resolver that is dead holds up nobody for long."""
    asked = [(one, _lookups.submit(_lookup, one.gateway.endpoint_host, one.port)) for one in tried]
    end = time.monotonic() + _LOOKUP_SECONDS
    return [(one, _result(looked, end)) for one, looked in asked]


def _result(looked: Future[tuple[str, int]], end: float) -> tuple[str, int] | None:
    try:
        return looked.result(timeout=max(end - time.monotonic(), 0))
    except (OSError, UnicodeError, TimeoutError):
        return None


def _lookup(name: str, port: int) -> tuple[str, int]:
    found = socket.getaddrinfo(name, port, type=socket.SOCK_DGRAM)
    return str(found[0][4][0]), port


def _sent(stack: ExitStack, place: tuple[str, int] | None, packet: bytes) -> socket.socket | None:
    """Send a packet from a socket of its own; None where it could not leave this host."""
    if place is None:
        return None
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    sending = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
    sending.setblocking(False)
    try:
        sending.connect(place)
        sending.send(packet)
    except OSError:
        return None
    return sending


def _answered(waiting: Mapping[socket.socket, tuple[Due, Initiation]]) -> set[Due]:
    """Wait for answers, at most a second, and return whose were right."""
    right: set[Due] = set()
    with selectors.DefaultSelector() as selector:
        for sending, (one, first) in waiting.items():
            selector.register(sending, selectors.EVENT_READ, (sending, one, first))
        end = time.monotonic() + _SECONDS
        while selector.get_map() and (left := end - time.monotonic()) > 0:
            for ready, _ in selector.select(left):
                sending, one, first = ready.data
                try:
                    answered = first.answered_by(sending.recv(2 * ANSWER_BYTES))
                except OSError:  # nothing listens at that port
                    selector.unregister(sending)
                    continue
                if answered:
                    right.add(one)
                    selector.unregister(sending)
    return right
