from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.db.models import Max

from ferriage import wire
from ferriage.approvals import queries as register
from ferriage.approvals.facts import LineFacts
from ferriage.fleet import site
from ferriage.fleet.models import Line, Permit, PoolGateway

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.approvals.facts import CustomerClass, Use, Verdict
    from ferriage.fleet.models import Gateway


def line_facts(line: Line) -> LineFacts:
    """Return a line as the register judges it."""
    return LineFacts(
        code=line.code,
        operator=register.party_facts(line.party),
        enter=line.enter_place,
        exit=line.exit_place,
        sell_places=tuple(line.sell_places),
        customer_class=cast("CustomerClass", line.customer_class),
        use=cast("Use", line.use),
    )


def judge_line(*, line: Line, at: datetime, customer_place: str | None = None) -> Verdict:
    """Ask the register about a line: for its permit, or for a customer of one place.

    Raises:
        PackError: A rule pack cannot be used, so nothing may be opened or sold.
    """
    return register.judge(line=line_facts(line), at=at, customer_place=customer_place)


def newest_permits(lines: Iterable[Line]) -> dict[int, Permit]:
    """Return each line's newest permit by the line's primary key, with one query."""
    newest = (
        Permit.objects.filter(line__in=[line.pk for line in lines])
        .values("line")
        .annotate(newest=Max("pk"))
        .values("newest")
    )
    return {permit.line_id: permit for permit in Permit.objects.filter(pk__in=newest)}


def open_lines(*, at: datetime) -> list[Line]:
    """Return the lines whose permit in force at the instant is open."""
    lines = list(Line.objects.filter(state=Line.State.IN_SERVICE).order_by("pk"))
    permits = newest_permits(lines)
    return [line for line in lines if is_open(permits.get(line.pk), at=at)]


def is_open(permit: Permit | None, *, at: datetime) -> bool:
    """Tell whether a permit lets traffic pass at the instant."""
    return permit is not None and permit.state == Permit.State.OPEN and at < permit.open_until


def assignments(gateway: Gateway) -> tuple[wire.PoolAssignment, ...]:
    """Return the pools that a gateway serves, as the agent is told."""
    memberships = list(
        PoolGateway.objects.filter(gateway=gateway)
        .exclude(pool__line__state=Line.State.CLOSED)
        .select_related("pool__line")
        .order_by("interface")
    )
    if not memberships:
        return ()
    gateway4, gateway6 = site.gateway_addresses()
    return tuple(
        wire.PoolAssignment(
            pool=member.pool.code,
            line=member.pool.line.code,
            interface=member.interface,
            listen_port=member.listen_port,
            gateway4=gateway4,
            gateway6=gateway6,
            mtu=member.pool.mtu,
        )
        for member in memberships
    )
