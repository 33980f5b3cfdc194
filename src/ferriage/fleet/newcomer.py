"""How far a new gateway is: one thing after the other, as each becomes true.

Source: docs/how-to/second-gateway.md
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from django.utils.translation import gettext_lazy

from ferriage import wire
from ferriage.fleet.models import EnrolToken, Gateway

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from ferriage.fleet.models import PoolGateway

NEW: Final = timedelta(hours=1)
_REPORTS_CHECKS: Final = 5
"""The first format whose agents report what they see on their host."""

TITLES: Final = {
    "site": gettext_lazy("Reached the site"),
    "identity": gettext_lazy("Identity accepted"),
    "wireguard": gettext_lazy("WireGuard, and how fast"),
    "outside": gettext_lazy("Outside address and port"),
    "handshake": gettext_lazy("Handshake seen from outside"),
    "ipv4": gettext_lazy("Exit by IPv4"),
    "ipv6": gettext_lazy("Exit by IPv6"),
    "forwarding": gettext_lazy("Packets may pass"),
    "inner": gettext_lazy("Customers' network"),
    "connections": gettext_lazy("Room for connections"),
    "resolver": gettext_lazy("Resolver"),
    "clock": gettext_lazy("Clock"),
    "line": gettext_lazy("Line authorised"),
}
"""What each step is called, wherever it is shown."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a gateway needs.

    `failed` is what somebody must mend, `unknown` what cannot be told, `waiting` what will be.
    `inner` is the host's own address where `value` is another one's that it stands behind.
    """

    slug: str
    state: Literal["ok", "failed", "unknown", "waiting"]
    value: str = ""
    remedy: str = ""
    inner: str = ""


def steps(
    gateway: Gateway,
    members: Sequence[PoolGateway],
    *,
    answering: Collection[int] | None = None,
) -> list[Step]:
    """Return all that a gateway needs, in the order in which a new one comes to it.

    Args:
        members: Its lines, with `pool.line`.
        answering: Keys of the gateways that answered the site's probe last; asked for when not
            given and it matters.
    """
    handshake = _handshake(gateway, members, answering)
    reached = handshake.state == "ok" or handshake.remedy == "port-silent"
    return [
        *_known(gateway),
        *_checked(gateway, "wireguard"),
        _outside(gateway, reached=reached),
        handshake,
        *(step for slug in _ON_ITS_HOST for step in _checked(gateway, slug)),
        *(step for slug in _MAY_BE_TOLD for step in _told(gateway, slug)),
        *_lines(members),
    ]


_ON_ITS_HOST: Final = ("ipv4", "ipv6", "forwarding", "resolver", "clock")

_MAY_BE_TOLD: Final = ("inner", "connections")
"""What not every agent looks at: one of the release before does not."""


def ticks(gateway: Gateway, found: Iterable[Step], now: datetime) -> bool:
    """Tell whether more will soon be known, so that whoever looks should look again.

    That is while a token for it is good, and in its first hour; a page that loaded itself for
    ever would keep whoever forgot it logged in.
    """
    if gateway.state == Gateway.State.CLOSED or all(step.state == "ok" for step in found):
        return False
    if gateway.enrolled_at is not None and now - gateway.enrolled_at < NEW:
        return True
    tokens = EnrolToken.objects.filter(gateway=gateway, used_at=None, expires_at__gt=now)
    return tokens.exists()


def _known(gateway: Gateway) -> list[Step]:
    if gateway.enrolled_at is None:
        return [Step("site", "waiting"), Step("identity", "waiting")]
    reached = Step("site", "ok")
    if gateway.spoken is not None and gateway.spoken not in wire.SPOKEN:
        refused = Step("identity", "failed", str(gateway.spoken), "same-release")
        return [reached, refused]
    heard = gateway.last_seen_at is not None and gateway.last_seen_at >= gateway.enrolled_at
    if not heard:
        return [reached, Step("identity", "waiting")]
    older = "older-agent" if gateway.spoken == wire.SPOKEN[0] else ""
    return [reached, Step("identity", "ok", gateway.agent_version, older)]


def _checked(gateway: Gateway, slug: str) -> Iterator[Step]:
    """Return what the agent saw: all that is wrong, or that it is right."""
    found = [check for check in gateway.checks if check["slug"] == slug]
    wrong = [check for check in found if check["state"] != "ok"]
    for check in wrong or found[:1]:
        yield Step(slug, check["state"], check["value"], check["remedy"])
    if not found:
        told = gateway.spoken is not None and gateway.spoken < _REPORTS_CHECKS
        yield Step(slug, "unknown" if told else "waiting")


def _told(gateway: Gateway, slug: str) -> Iterator[Step]:
    return (step for step in _checked(gateway, slug) if step.state in {"ok", "failed"})


def _outside(gateway: Gateway, *, reached: bool) -> Step:
    own = next(_checked(gateway, "outside"))
    if own.state == "waiting" or not (gateway.outward_address or own.value):
        return own
    inside = own.value.split()
    address = gateway.outward_address or inside[0]
    if address in inside and gateway.endpoint_host in inside:
        # The site sees the address that leads to it; tunnels may reach another of the host's.
        address = gateway.endpoint_host
    # Only an address that no interface of the host has is another one's.
    inner = inside[0] if inside and address not in inside else ""
    if reached:
        return Step("outside", "ok", address, inner=inner)
    if inner or own.remedy:
        return Step("outside", "unknown", address, "nat" if inner else own.remedy, inner)
    if _is_address(gateway.endpoint_host) and gateway.endpoint_host != address:
        return Step("outside", "unknown", address, "endpoint-differs")
    return Step("outside", "ok", address)


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdecimal()


def _handshake(
    gateway: Gateway, members: Sequence[PoolGateway], answering: Collection[int] | None
) -> Step:
    """Return whether a tunnel can come up from outside: a customer's has, or the site's probe.

    A port that is silent beside one that answers is kept shut before the host, whoever came in.
    """
    if not members:
        return Step("handshake", "waiting", remedy="serve-line")
    silent = [str(one.listen_port) for one in members if one.probe == Gateway.Probe.SILENT]
    if silent and any(one.probe == Gateway.Probe.ANSWERED for one in members):
        return Step("handshake", "failed", f"UDP {', '.join(silent)}", "port-silent")
    seen = next(_checked(gateway, "handshake"))
    return seen if seen.state in {"ok", "failed"} else _tried(gateway, seen, answering)


def _tried(gateway: Gateway, seen: Step, answering: Collection[int] | None) -> Step:
    """Return what the site's own try says where the host itself could tell nothing."""
    if gateway.probe == Gateway.Probe.ANSWERED:
        return Step("handshake", "ok")
    if gateway.probe == Gateway.Probe.UNSENT:
        return Step("handshake", "unknown", remedy="probe-unsent")
    if gateway.probe == Gateway.Probe.SILENT:
        return Step("handshake", *_silence(gateway, answering))
    return seen


def _silence(
    gateway: Gateway, answering: Collection[int] | None
) -> tuple[Literal["failed", "unknown"], str, str]:
    """Judge that nobody answered: UDP may not leave the shop's host at all, unless it once did."""
    if answering is None:
        answered = Gateway.objects.filter(probe=Gateway.Probe.ANSWERED)
        answering = set(answered.values_list("pk", flat=True))
    others = set(answering) - {gateway.pk}
    return ("failed" if others else "unknown"), "", "no-answer"


def _lines(members: Sequence[PoolGateway]) -> Iterator[Step]:
    if not members:
        yield Step("line", "waiting", remedy="serve-line")
    for member in members:
        name = member.pool.line.name
        if member.reported_at is None:
            yield Step("line", "waiting", name)
        elif member.line_open:
            yield Step("line", "ok", name)
        else:
            yield Step("line", "failed", name, "line-not-open")
