from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from django.db.models import Max, OuterRef, Subquery

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


@dataclass(frozen=True, slots=True)
class LastOpen:
    """When a line was opened last, and the true instant at which that ended; None while open."""

    opened_at: datetime
    closed_at: datetime | None


def last_open(lines: Iterable[Line], *, at: datetime) -> dict[int, LastOpen]:
    """Return by primary key when each line was open last, with three queries.

    An open permit ends at its own instant, noticed by anybody or not, or when the next one was
    written. A line that never was open is left out.
    """
    rows = Permit.objects.filter(line__in=[line.pk for line in lines])
    opened = rows.filter(state=Permit.State.OPEN).values("line").annotate(newest=Max("pk"))
    opens = Permit.objects.in_bulk([row["newest"] for row in opened])
    following = (
        Permit.objects.filter(line=OuterRef("line"), pk__gt=OuterRef("pk"))
        .order_by("pk")
        .values("written_at")[:1]
    )
    followed = dict(
        Permit.objects.filter(pk__in=opens)
        .annotate(followed_at=Subquery(following))
        .values_list("pk", "followed_at")
    )
    found = {}
    for permit in opens.values():
        ends = [permit.open_until, *filter(None, [followed[permit.pk]])]
        closed_at = min(ends)
        found[permit.line_id] = LastOpen(permit.written_at, closed_at if closed_at <= at else None)
    return found


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
