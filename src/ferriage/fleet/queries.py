from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from django.db.models import Max, OuterRef, Subquery

from ferriage import wire
from ferriage.approvals import queries as register
from ferriage.approvals.facts import LineFacts
from ferriage.approvals.packs import Packs
from ferriage.approvals.site import packs_in_force
from ferriage.core import clock
from ferriage.core.compiled import Compiled
from ferriage.core.models import AuditEntry
from ferriage.fleet import site
from ferriage.fleet.models import Gateway, Line, Permit, PoolGateway

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.approvals.facts import CustomerClass, Use, Verdict
    from ferriage.approvals.packs import Pack
    from ferriage.core.models import SiteState


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


def judge_line(
    *, line: Line, at: datetime, customer_place: str | None = None, begins: bool = False
) -> Verdict:
    """Ask the register about a line: for its permit, or for a customer of one place.

    Args:
        begins: It would be opened by it, so what a waiting rule pack denies is denied already.

    Raises:
        PackError: A rule pack cannot be used, so nothing may be opened or sold.
    """
    facts = line_facts(line)
    return register.judge(line=facts, at=at, customer_place=customer_place, begins=begins)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A verdict that a rule pack would change: on a line's permit, or on a sale in a place."""

    line: Line
    customer_place: str | None
    before: Verdict
    after: Verdict

    @property
    def closes(self) -> bool:
        """Tell whether what was allowed would be denied."""
        return self.before.allowed and not self.after.allowed

    @property
    def opens(self) -> bool:
        """Tell whether what was denied would be allowed."""
        return self.after.allowed and not self.before.allowed


def turns(pack: Pack, *, at: datetime) -> list[Turn]:
    """Return which verdicts on the shop's lines a pack would change, in order of lines.

    Each line that is not closed is judged twice, for its permit and for each place that it is
    sold in: by the packs that were accepted, and by them with this one in its place.
    """
    accepted = Packs(packs_in_force().by_place)
    old = register.load_register(packs=accepted)
    new = register.load_register(packs=accepted.with_pack(pack))
    found = []
    for line in (
        Line.objects.exclude(state=Line.State.CLOSED).select_related("party").order_by("pk")
    ):
        facts = line_facts(line)
        for place in (None, *line.sell_places):
            before = old.judge(line=facts, at=at, customer_place=place)
            after = new.judge(line=facts, at=at, customer_place=place)
            if _outcome(before) != _outcome(after):
                found.append(Turn(line=line, customer_place=place, before=before, after=after))
    return found


def _outcome(verdict: Verdict) -> tuple[object, ...]:
    """Return what of a verdict somebody would notice; a denial's instant is only when it was."""
    return verdict.allowed, verdict.reasons, verdict.allowed and verdict.valid_until


_NEWEST: Final = Compiled(1, lambda line: Permit.objects.filter(line=line).order_by("-pk")[:1])


def newest_permits(lines: Iterable[Line]) -> dict[int, Permit]:
    """Return each line's newest permit by the line's primary key, with one query."""
    of_lines = [line.pk for line in lines]
    if len(of_lines) == 1:
        return {permit.line_id: permit for permit in _NEWEST(*of_lines)}
    newest = (
        Permit.objects.filter(line__in=of_lines)
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


def lines_to_serve(place: str = "") -> QuerySet[Line]:
    """Return the lines that a gateway may be let serve, by name.

    Args:
        place: Where its host stands; empty returns those of all places.
    """
    lines = Line.objects.exclude(state=Line.State.CLOSED).order_by("name", "pk")
    return lines.filter(enter_place=place) if place else lines


def served(lines: Iterable[Line]) -> set[int]:
    """Return by primary key which of the lines an enrolled gateway serves, with one query.

    One that is silent or draining is among them: there is a host that comes back, or that is known.
    """
    members = PoolGateway.objects.filter(
        pool__line__in=[line.pk for line in lines], gateway__state=Gateway.State.ACTIVE
    )
    return set(members.order_by().values_list("pool__line", flat=True))


def ports_of(gateway: Gateway) -> list[int]:
    """Return the UDP ports at which tunnels reach a gateway: those it listens on, or its first."""
    members = PoolGateway.objects.filter(gateway=gateway).order_by("listen_port")
    return list(members.values_list("listen_port", flat=True)) or [gateway.endpoint_port]


def standing_of(gateway: Gateway) -> wire.Standing:
    """Return what staff have decided about a gateway, and when."""
    if gateway.state == Gateway.State.CLOSED:
        closed = AuditEntry.objects.filter(action="gateway.closed", subject=gateway.code)
        at = closed.order_by("-sequence").values_list("at", flat=True).first()
        return wire.Standing("closed", clock.unix(at) if at else 0)
    if gateway.draining_at is not None:
        return wire.Standing("draining", clock.unix(gateway.draining_at))
    return wire.Standing("serving")


_SIGNING: Final = Compiled(
    1,
    lambda code: (
        Gateway.objects.filter(code=code)
        .exclude(state=Gateway.State.WAITING)
        .exclude(signing_key="")[:1]
    ),
)


def signing_gateway(code: str) -> Gateway | None:
    """Return the gateway of a code, if it signs with a key of its own; a closed one too."""
    return _SIGNING.first(code)


def _memberships(gateway: Gateway) -> QuerySet[PoolGateway]:
    newest = Permit.objects.filter(line=OuterRef("pool__line")).order_by("-pk")
    return (
        PoolGateway.objects.filter(gateway=gateway)
        .select_related("pool__line")
        .annotate(newest_permit=Subquery(newest.values("payload")[:1]))
        .order_by("interface")
    )


_MEMBERSHIPS: Final = Compiled(1, _memberships)


def memberships(gateway: Gateway) -> list[PoolGateway]:
    """Return a gateway's pools in order of interfaces, with all that a report is compared with.

    Each has its pool and line, and as `newest_permit` what was signed last for the line.
    """
    return _MEMBERSHIPS(gateway)


def assignments(gateway: Gateway) -> tuple[wire.PoolAssignment, ...]:
    """Return the pools that a gateway serves, as the agent is told."""
    return assigned(memberships(gateway), site.STATE.get())


def assigned(members: Iterable[PoolGateway], state: SiteState) -> tuple[wire.PoolAssignment, ...]:
    """Return those of a gateway's pools whose line is not closed, as the agent is told.

    Args:
        members: As `memberships` reads them.
    """
    gateway4, gateway6 = site.gateway_addresses(state)
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
        for member in members
        if member.pool.line.state != Line.State.CLOSED
    )
