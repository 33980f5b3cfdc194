"""Figures of gateways, lines, alarms and the worker: by gateway and pool, never by device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count
from prometheus_client.registry import Collector

from ferriage.core.models import WorkerRun
from ferriage.fleet import lacking
from ferriage.fleet.alarming import open_alarms
from ferriage.fleet.lookout import ROOMS, healths, served
from ferriage.fleet.models import Alarm, Gateway, Line, Permit, Pool
from ferriage.fleet.queries import is_open, newest_permits
from ferriage.web.metrics.families import counted, gauge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from django.db.models import QuerySet
    from prometheus_client.core import Metric

    from ferriage.fleet.lookout import Health

_MEMBER = ("gateway", "pool")


class Fleet(Collector):
    """What the rows say at an instant."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Return all families, by ten queries, and one more while a gateway lacks anything."""
        yield from self._gateways()
        yield from self._pools()
        yield from self._lines()
        yield from self._alarms()
        yield from self._worker()

    def _gateways(self) -> Iterator[Metric]:
        rows = list(Gateway.objects.exclude(state=Gateway.State.CLOSED).order_by("name"))
        closed = Gateway.objects.filter(state=Gateway.State.CLOSED).count()
        found = {
            "waiting": sum(row.state == Gateway.State.WAITING for row in rows),
            "active": sum(
                row.state == Gateway.State.ACTIVE and row.draining_at is None for row in rows
            ),
            "draining": sum(
                row.state == Gateway.State.ACTIVE and row.draining_at is not None for row in rows
            ),
            "closed": closed,
        }
        yield counted("gateways", "Gateways by state.", "state", found, found)
        active = [row for row in rows if row.state == Gateway.State.ACTIVE]
        yield gauge(
            "gateway_report_age_seconds",
            "Time since the gateway's last report; since its enrolment if there is none.",
            ("gateway",),
            [((row.name,), self._age(row.last_seen_at or row.enrolled_at)) for row in active],
        )
        yield gauge(
            "gateway_warnings",
            "Warnings in the gateway's last report.",
            ("gateway",),
            [((row.name,), len(row.warnings)) for row in active],
        )
        lacks = lacking.of(active)
        yield gauge(
            "gateway_lacks",
            "Things of what the gateway needs that are to be mended, as it reported last.",
            ("gateway",),
            [((row.name,), len(lacks.get(row.pk, ()))) for row in active],
        )

    def _pools(self) -> Iterator[Metric]:
        members = served().select_related("gateway")
        found = [
            ((health.member.gateway.name, health.member.pool.code), _figures(health))
            for health in healths(members, now=self._now)
        ]

        def family(name: str, documentation: str, value: str) -> Metric:
            values = [(labels, figures[value]) for labels, figures in found]
            return gauge(f"pool_{name}", documentation, _MEMBER, values)

        yield family(
            "behind_revisions", "Revisions of the pool that the gateway has not applied.", "behind"
        )
        yield family(
            "behind_seconds",
            "Time since the first of them was committed; 0 when none, or after a restore.",
            "behind_seconds",
        )
        yield family(
            "differs",
            "1 when the gateway has all revisions and runs something else.",
            "differs",
        )
        yield family("refused_records", "Records that the gateway cannot apply.", "refused")
        yield family(
            "deferred_removals",
            "Devices that it keeps until staff allow their removal.",
            "deferred",
        )
        yield family("peers", "Peers of the pool's interface on the gateway.", "peers")
        yield gauge(
            "pool_revision",
            "Newest revision of the pool.",
            ("pool",),
            [((row.code,), row.revision) for row in Pool.objects.order_by("pk")],
        )

    def _lines(self) -> Iterator[Metric]:
        lines = list(Line.objects.order_by("pk"))
        permits = newest_permits(lines)
        yield counted(
            "lines", "Lines by state.", "state", Line.State.values, _tally(r.state for r in lines)
        )
        yield counted(
            "permits",
            "Lines by the state of their newest permit; one whose time is over counts as closed.",
            "state",
            Permit.State.values,
            _tally(self._state(permit) for permit in permits.values()),
        )
        yield gauge(
            "permit_left_seconds",
            "How long the line's permit keeps it open; 0 when it does not.",
            ("line",),
            [
                ((line.code,), self._left(permits.get(line.pk)))
                for line in lines
                if line.state != Line.State.CLOSED
            ],
        )

    def _state(self, permit: Permit) -> str:
        over = permit.state == Permit.State.OPEN and not is_open(permit, at=self._now)
        return str(Permit.State.CLOSED if over else permit.state)

    def _left(self, permit: Permit | None) -> float:
        if permit is None or not is_open(permit, at=self._now):
            return 0.0
        return (permit.open_until - self._now).total_seconds()

    @staticmethod
    def _alarms() -> Iterator[Metric]:
        found = open_alarms().order_by()
        yield counted("alarms_open", "Open alarms.", "kind", Alarm.Kind.values, _by(found, "kind"))
        unseen = found.filter(acknowledged_at=None)
        yield gauge(
            "alarms_unacknowledged",
            "Open alarms that nobody sees to.",
            values=[((), unseen.count())],
        )

    def _worker(self) -> Iterator[Metric]:
        rows = {row.name: row for row in WorkerRun.objects.all()}
        done = [(name, rows[name]) for name in sorted(rows)]
        yield gauge(
            "worker_run_age_seconds",
            "Time since the worker did this last, well or not.",
            ("task",),
            [((name,), self._age(row.ran_at)) for name, row in done],
        )
        yield gauge(
            "worker_run_seconds",
            "How long it took then.",
            ("task",),
            [((name,), row.seconds) for name, row in done],
        )
        yield gauge(
            "worker_failing",
            "1 while it fails; a part that never ran counts as failing.",
            ("task",),
            [
                ((name,), float(name not in rows or rows[name].failure != ""))
                for name in sorted({*ROOMS, *rows})
            ],
        )

    def _age(self, at: datetime | None) -> float:
        return max(0.0, (self._now - at).total_seconds()) if at else 0.0


def _figures(health: Health) -> dict[str, float]:
    member = health.member
    return {
        "behind": health.behind,
        "behind_seconds": health.behind_seconds,
        "differs": int(health.differs),
        "refused": len(member.refused),
        "deferred": member.deferred,
        "peers": member.peers,
    }


def _tally(states: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for state in states:
        found[state] = found.get(state, 0) + 1
    return found


def _by(rows: QuerySet[Alarm], field: str) -> dict[str, int]:
    return dict(rows.values_list(field).annotate(count=Count("pk")))
