"""What is so now and should be looked at: facts from rows, by a flat number of queries.

Source: docs/how-to/run-gateways.md
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import F, OuterRef, Q, Subquery

from ferriage import wire
from ferriage.approvals.actions import ClockBehind, check_clock
from ferriage.core.clock import from_unix
from ferriage.core.models import SiteState, WorkerRun
from ferriage.fleet import lacking
from ferriage.fleet.models import Alarm, Gateway, Line, PoolChange, PoolGateway
from ferriage.fleet.queries import is_open, newest_permits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.fleet.newcomer import Step

SILENT_AFTER: Final = timedelta(seconds=60)
"""Agents report every ten seconds; after six missed reports a person should look."""
LAGS_AFTER: Final = timedelta(seconds=60)
LACKS_AFTER: Final = timedelta(seconds=30)
"""An agent that starts looks again after fifteen seconds; what it finds twice is no start."""
WORKER_LATE_AFTER: Final = timedelta(seconds=60)
HUB_AWAY_AFTER: Final = timedelta(seconds=60)
CLOSES_WITHIN: Final = timedelta(days=14)
LOG_KEPT: Final = timedelta(days=7)
"""What a gateway lacks and the pool's log has no more is at least so old."""
_SILENT_PATIENCE: Final = timedelta(seconds=20)
"""After a stop of the whole shop every gateway is silent until it reports again."""
_RECENT: Final = timedelta(minutes=2)
HUB: Final = "hub"
"""The hub's row among those of what the worker does: whether it answered."""
ROOMS: Final = ("approvals", "fleet", "orders", "payments", "devices", "ledger", "alarms")
"""The worker's parts, in the order in which it asks them."""
_SLOW_BUILD: Final = "slow-build"
_CHANGES: Final = frozenset(wire.SIGNS) - {_SLOW_BUILD}
_KIND = Alarm.Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that is so now and should be looked at.

    `patience` is how long it must have been so before anybody is told; `details` are JSON values
    for people, without secrets and without customers.
    """

    kind: Alarm.Kind
    subject: str
    patience: timedelta = timedelta(0)
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How far one gateway is with one pool, as it reported last.

    `behind` counts revisions, `behind_seconds` since the first of them was committed; `beyond_log`
    says that it is longer than that, since the log no longer has it. It `differs` when it has all
    revisions and yet runs something else, or follows another history. `before_restore` is that
    other history: what it lacks of this one began with the restore, not with a change.
    """

    member: PoolGateway
    behind: int
    behind_seconds: int
    differs: bool
    beyond_log: bool = False
    before_restore: bool = False

    @property
    def late(self) -> bool:
        """Tell whether it is behind for longer than a person should leave it."""
        return self.behind_seconds > LAGS_AFTER.total_seconds()


def healths(members: QuerySet[PoolGateway], *, now: datetime) -> list[Health]:
    """Return the health of memberships, in their order, with two queries."""
    epoch = _epoch()
    missing = PoolChange.objects.filter(pool=OuterRef("pool"), rev=OuterRef("applied_rev") + 1)
    rows = members.select_related("pool__line").annotate(
        lacks_since=Subquery(missing.values("at")[:1])
    )
    return [_health(row, epoch, now) for row in rows]


def _epoch() -> str:
    return SiteState.objects.values_list("epoch", flat=True).first() or ""


def _unlike() -> Q:
    """Return what is true of memberships that may not be in step; of a healthy fleet, of none.

    A refused record is in no digest, so what is refused is among these.
    """
    behind = Q(applied_rev__lt=F("pool__revision"))
    other = ~Q(applied_digest=F("pool__digest")) | ~Q(applied_epoch=_epoch())
    return behind | other | Q(deferred__gt=0)


def _health(member: PoolGateway, epoch: str, now: datetime) -> Health:
    behind = max(0, member.pool.revision - member.applied_rev)
    since: datetime | None = getattr(member, "lacks_since", None)
    before_restore = member.applied_epoch not in {"", epoch}
    beyond_log = behind > 0 and since is None and not before_restore
    seconds = 0
    if behind and not before_restore:
        seconds = int((now - since if since else LOG_KEPT).total_seconds())
    return Health(
        member=member,
        behind=behind,
        behind_seconds=max(0, seconds),
        differs=member.reported_at is not None and _differs(member, epoch),
        beyond_log=beyond_log,
        before_restore=before_restore,
    )


def _differs(member: PoolGateway, epoch: str) -> bool:
    if member.applied_epoch != epoch:
        return True
    # What it refuses or keeps makes the digest another one, and has an alarm of its own.
    explained = member.refused or member.deferred
    same_rev = member.applied_rev == member.pool.revision
    return same_rev and not explained and member.applied_digest != member.pool.digest


def is_silent(gateway: Gateway, now: datetime) -> bool:
    """Tell whether a gateway that should report has not done so for a minute."""
    seen = gateway.last_seen_at or gateway.enrolled_at
    active = gateway.state == Gateway.State.ACTIVE
    return active and (seen is None or now - seen > SILENT_AFTER)


def served() -> QuerySet[PoolGateway]:
    """Return the memberships of active gateways in pools whose line is not closed."""
    return (
        PoolGateway.objects.filter(gateway__state=Gateway.State.ACTIVE)
        .exclude(pool__line__state=Line.State.CLOSED)
        .order_by("gateway", "interface")
    )


def facts(*, now: datetime, by_worker: bool) -> list[Fact]:
    """Return all that should be looked at now, of every kind that is found by looking.

    Args:
        by_worker: The worker itself asks, so it is late only where something fails.
    """
    return [
        *_of_gateways(now),
        *_of_lines(now),
        *_of_worker(now, by_worker=by_worker),
        *_of_hub(now),
        *_of_clock(now),
    ]


LOOKED_FOR: Final = tuple(
    kind
    for kind in _KIND
    if kind not in {_KIND.METERING, _KIND.UNPLACED, _KIND.UNSERVED, _KIND.OTHER_HISTORY}
)
"""The kinds that `facts` returns whole; others are raised when they happen."""


# --- gateways ---------------------------------------------------------------------------------


def _of_gateways(now: datetime) -> Iterator[Fact]:
    by_gateway: dict[int, list[Health]] = defaultdict(list)
    for health in healths(served().filter(_unlike()), now=now):
        by_gateway[health.member.gateway_id].append(health)
    active = list(Gateway.objects.filter(state=Gateway.State.ACTIVE).order_by("pk"))
    lacks = lacking.of(active)
    for gateway in active:
        pools, steps = by_gateway[gateway.pk], lacks.get(gateway.pk, [])
        for fact in _of_gateway(gateway, pools, steps, now):
            fact.details["name"] = gateway.name
            yield fact


def _of_gateway(
    gateway: Gateway, pools: list[Health], lacks: list[Step], now: datetime
) -> Iterator[Fact]:
    code = gateway.code
    if is_silent(gateway, now):
        seen = gateway.last_seen_at
        details = {"since": seen.isoformat(timespec="seconds") if seen else ""}
        yield Fact(
            kind=_KIND.GATEWAY_SILENT, subject=code, patience=_SILENT_PATIENCE, details=details
        )
    else:
        yield from _lag(code, pools)
        yield from _changes(gateway, now)
        yield from _lack(code, lacks)
    if any(sign["kind"] == _SLOW_BUILD for sign in gateway.signs):
        # It is no other program while nobody hears of it: an end now would open anew later.
        yield Fact(kind=_KIND.SLOW_BUILD, subject=code)
    refused = _by_line((h, len(h.member.refused)) for h in pools)
    if refused:
        yield Fact(kind=_KIND.GATEWAY_REFUSES, subject=code, details={"lines": refused})
    kept = _by_line((h, h.member.deferred) for h in pools)
    if kept:
        yield Fact(kind=_KIND.REMOVALS_DEFERRED, subject=code, details={"lines": kept})
    if gateway.rival_at is not None and now - gateway.rival_at < _RECENT:
        yield Fact(kind=_KIND.SECOND_AGENT, subject=code)


def _lag(code: str, pools: list[Health]) -> Iterator[Fact]:
    late = [h for h in pools if h.late]
    other = [h for h in pools if h.differs]
    if not late and not other:
        return
    # A digest is judged between two looks at the data plane, and a pool that was just assigned
    # has never been reported: these two only count once they have stood.
    sure = any(h.member.reported_at is not None for h in late)
    details = {
        "behind": _by_line((h, h.behind) for h in late),
        "differs": sorted({h.member.pool.line.name for h in other}),
    }
    yield Fact(
        kind=_KIND.GATEWAY_LAGS,
        subject=code,
        patience=timedelta(0) if sure else LAGS_AFTER,
        details=details,
    )


def _by_line(counts: Iterable[tuple[Health, int]]) -> dict[str, int]:
    """Return the sums of what there is in all pools of each line."""
    found: dict[str, int] = defaultdict(int)
    for health, count in counts:
        if count:
            found[health.member.pool.line.name] += count
    return dict(found)


def _changes(gateway: Gateway, now: datetime) -> Iterator[Fact]:
    changes: dict[str, int] = {}
    for sign in gateway.signs:
        if sign["kind"] in _CHANGES and now - from_unix(sign["at"]) < _RECENT:
            changes[sign["kind"]] = changes.get(sign["kind"], 0) + sign["count"]
    if changes:
        details = {"changes": changes}
        yield Fact(kind=_KIND.FOREIGN_CHANGES, subject=gateway.code, details=details)


def _lack(code: str, lacks: list[Step]) -> Iterator[Fact]:
    if lacks:
        details = {"lacks": [[step.slug, step.value] for step in lacks]}
        yield Fact(kind=_KIND.GATEWAY_LACKS, subject=code, patience=LACKS_AFTER, details=details)


# --- the shop itself --------------------------------------------------------------------------


def _of_lines(now: datetime) -> Iterator[Fact]:
    lines = list(Line.objects.filter(state=Line.State.IN_SERVICE).order_by("pk"))
    permits = newest_permits(lines)
    for line in lines:
        permit = permits.get(line.pk)
        if permit and is_open(permit, at=now) and permit.open_until - now <= CLOSES_WITHIN:
            details = {
                "name": line.name,
                "until": permit.open_until.isoformat(timespec="seconds"),
            }
            yield Fact(kind=_KIND.LINE_CLOSING, subject=line.code, details=details)


def _of_worker(now: datetime, *, by_worker: bool) -> Iterator[Fact]:
    rows = {row.name: row for row in WorkerRun.objects.filter(name__in=ROOMS)}
    if by_worker:
        late = [
            row
            for row in rows.values()
            if row.failure and _older(row.done_at, now, WORKER_LATE_AFTER)
        ]
    else:
        late = [row for row in rows.values() if _older(row.ran_at, now, WORKER_LATE_AFTER)]
    if not late and (rows or by_worker):
        return
    last = max((row.ran_at for row in rows.values()), default=None)
    details = {
        "parts": sorted(row.name for row in late),
        "last": last.isoformat(timespec="seconds") if last else "",
        "failure": next((row.failure for row in late if row.failure), ""),
    }
    yield Fact(kind=_KIND.WORKER_LATE, subject="worker", details=details)


def _older(at: datetime | None, now: datetime, than: timedelta) -> bool:
    return at is None or now - at > than


def _of_hub(now: datetime) -> Iterator[Fact]:
    row = WorkerRun.objects.filter(name=HUB).exclude(failure="").first()
    if row and _older(row.done_at, now, HUB_AWAY_AFTER):
        # One that never answered may be starting still.
        patience = timedelta(0) if row.done_at else HUB_AWAY_AFTER
        details = {"failure": row.failure}
        yield Fact(kind=_KIND.HUB_AWAY, subject=HUB, patience=patience, details=details)


def _of_clock(now: datetime) -> Iterator[Fact]:
    try:
        check_clock(now=now)
    except ClockBehind as refusal:
        yield Fact(
            kind=_KIND.CLOCK_WRONG, subject="site", details={"failure": str(refusal.message)}
        )
