from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from django.utils.translation import gettext_lazy as _

from ferriage import wire
from ferriage.core import audit
from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, NotFound
from ferriage.fleet import site
from ferriage.fleet.actions.forgotten import hold_forgotten
from ferriage.fleet.actions.newcomers import (
    keep_checks,
    show_withheld,
)
from ferriage.fleet.actions.plainreport import check_report
from ferriage.fleet.actions.restored import notice_restored
from ferriage.fleet.models import Gateway, PoolGateway, PoolUsage
from ferriage.fleet.queries import assignments

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

LEASE: Final = timedelta(seconds=60)
RIVAL_SHOWN: Final = timedelta(hours=1)
RIVAL_WARNING: Final = "A second agent with this gateway's identity was refused."
_MOST_TEXT: Final = 300


class LeaseHeld(FerriageError):
    """Another agent holds this gateway's identity; this one must change nothing."""

    slug = "lease"


class NotItsPool(FerriageError):
    """A gateway reported a pool that it does not serve."""

    slug = "pool"
    status = 403


class DeviceMeter(Protocol):
    """Keeps what a report tells of single devices. Rooms above know devices; this one does not."""

    def keep(self, *, gateway: Gateway, rows: Sequence[wire.Usage], now: datetime) -> None:
        """Take over the rows inside the report's transaction; the gateway is as it was before."""

    def allowances(
        self, *, gateway: Gateway, rows: Sequence[wire.Usage], now: datetime
    ) -> tuple[wire.Allowance, ...]:
        """Return how far counters may run, once the report is taken over, or was before."""


def take_report(
    *,
    gateway: Gateway,
    report: wire.Report,
    outward: str = "",
    now: datetime,
    meter: DeviceMeter | None = None,
) -> wire.ReportAnswer:
    """Take over what a gateway says of itself, and renew its agent's lease.

    A report whose sequence was seen before is acknowledged again and changes nothing.

    Args:
        meter: Takes what is told of single devices; without one such a report is refused.
        outward: The address that it came from; empty when that cannot be told.

    Raises:
        LeaseHeld: Another instance holds the lease; only a warning to staff is kept.
        NotItsPool: It names a pool of somebody else; nothing of it is used.
        FormatRefused: Its agent is more than one minor version away.
        ReportWrong: It holds values that cannot be.
        NotFound: The gateway is not active.
    """
    check_report(report, known_fence=gateway.fence, devices=meter is not None)
    with writing():
        current = _active(gateway)
        rival = _is_rival(current, report, now)
        if rival:
            _note_rival(current, now)
        elif not _seen(current, report):
            _take_over(current, report, outward, now, meter)
        answer = _answer(current, report, () if rival else _allowances(current, report, now, meter))
    # Raised outside, or the warning to staff would be rolled back with it.
    if rival:
        raise LeaseHeld(
            _("Another agent reports as this gateway. Nothing was changed."),
            _("Stop one of the two, or enrol this host as a gateway of its own."),
        )
    return answer


# --- lease ------------------------------------------------------------------------------------


def _active(gateway: Gateway) -> Gateway:
    rows = Gateway.objects.select_for_update().filter(pk=gateway.pk, state=Gateway.State.ACTIVE)
    current = rows.first()
    if current is None:
        raise NotFound(_("There is no such gateway."))
    return current


def _is_rival(gateway: Gateway, report: wire.Report, now: datetime) -> bool:
    """Tell whether another agent's lease runs.

    A copy of a whole machine has the same instance. It is told by its boot and by a fence of before
    the boot that was seen last: of two such machines only the one that started last may go on.
    """
    runs = gateway.lease_until is not None and now < gateway.lease_until
    other = gateway.lease_instance != report.instance
    past = gateway.boot_id != report.boot_id and report.fence < gateway.fence
    return runs and (other or past)


def _take_lease(gateway: Gateway, report: wire.Report, now: datetime) -> None:
    """Renew the lease, or give it to another agent or another boot with a higher fence."""
    former = gateway.lease_instance
    # A database that was restored may have forgotten the last ones.
    gateway.fence = max(gateway.fence, report.fence)
    if (former, gateway.boot_id) != (report.instance, report.boot_id):
        gateway.fence += 1
    gateway.lease_instance = report.instance
    gateway.lease_until = now + LEASE
    if former not in {"", report.instance}:
        actor = Actor("gateway", gateway.code)
        audit.record(
            now=now,
            actor=actor,
            action="gateway.agent_changed",
            subject=gateway.code,
            fence=gateway.fence,
        )


def _note_rival(gateway: Gateway, now: datetime) -> None:
    told = gateway.rival_at is not None and now - gateway.rival_at < RIVAL_SHOWN
    gateway.rival_at = now
    if RIVAL_WARNING not in gateway.warnings:
        gateway.warnings = [RIVAL_WARNING, *gateway.warnings]
    gateway.save(update_fields=["rival_at", "warnings"])
    if not told:
        actor = Actor("gateway", gateway.code)
        audit.record(now=now, actor=actor, action="gateway.rival_refused", subject=gateway.code)


def _seen(gateway: Gateway, report: wire.Report) -> bool:
    same = gateway.lease_instance == report.instance
    return same and report.sequence <= gateway.report_sequence


def _take_over(
    gateway: Gateway,
    report: wire.Report,
    outward: str,
    now: datetime,
    meter: DeviceMeter | None,
) -> None:
    _keep_status(gateway, report.pools, now)
    show_withheld(gateway, report.format)
    keep_checks(gateway, report, outward, now)
    notice_restored(gateway=gateway, pools=report.pools, now=now)
    hold_forgotten(gateway=gateway, pools=report.pools, now=now)
    _keep_usage(gateway, report.usage, now)
    if meter is not None:
        meter.keep(gateway=gateway, rows=_of_devices(report), now=now)
    _take_lease(gateway, report, now)
    gateway.report_sequence = report.sequence
    gateway.last_seen_at = now
    gateway.boot_id = report.boot_id
    gateway.agent_version = report.agent_version
    gateway.backend = report.backend
    gateway.warnings = _warnings(gateway, report, now)
    gateway.signs = _signs(report)
    gateway.save()


def _warnings(gateway: Gateway, report: wire.Report, now: datetime) -> list[str]:
    own = [_short(text) for text in report.warnings]
    rival = gateway.rival_at is not None and now - gateway.rival_at < RIVAL_SHOWN
    return [RIVAL_WARNING, *own] if rival else own


def _signs(report: wire.Report) -> list[dict[str, str | int]]:
    return [
        {"kind": _short(s.kind), "pool": _short(s.pool), "count": s.count, "at": s.at}
        for s in report.signs
    ]


def _allowances(
    gateway: Gateway, report: wire.Report, now: datetime, meter: DeviceMeter | None
) -> tuple[wire.Allowance, ...]:
    if meter is None:
        return ()
    return meter.allowances(gateway=gateway, rows=_of_devices(report), now=now)


def _of_devices(report: wire.Report) -> list[wire.Usage]:
    return [item for item in report.usage if item.device]


def _answer(
    gateway: Gateway, report: wire.Report, allowances: tuple[wire.Allowance, ...]
) -> wire.ReportAnswer:
    return wire.ReportAnswer(
        fence=gateway.fence,
        lease_seconds=int(LEASE.total_seconds()),
        acknowledged=report.sequence,
        pools=assignments(gateway),
        hub_url=site.hub_url(),
        allowances=allowances,
        probe_key=site.probe_public_key(),
    )


# --- what it says of its pools ----------------------------------------------------------------


def _keep_status(gateway: Gateway, pools: Iterable[wire.PoolStatus], now: datetime) -> None:
    members = _members(gateway, {status.pool for status in pools})
    changed = []
    for status in pools:
        member = members[status.pool]
        member.applied_epoch = status.epoch
        member.applied_rev = status.rev
        member.applied_digest = status.digest
        member.permit_serial = status.permit_serial
        member.line_open = status.line_open
        member.peers = status.peers
        member.refused = [
            {"device": _short(refused.device), "reason": _short(refused.reason)}
            for refused in status.refused
        ]
        kept = status.deferred
        member.deferred = kept.count if kept else 0
        member.deferred_rev = kept.snapshot_rev if kept else 0
        member.deferred_digest = kept.digest if kept else ""
        _keep_since(member, status)
        member.reported_at = now
        changed.append(member)
    PoolGateway.objects.bulk_update(changed, _STATUS_FIELDS)


def _keep_since(member: PoolGateway, status: wire.PoolStatus) -> None:
    """Keep what the gateway knows of a history that this database has lost."""
    off = status.waiting
    member.waiting = off.count if off else 0
    member.waiting_rev = off.snapshot_rev if off else 0
    member.waiting_digest = off.digest if off else ""
    member.since = [
        {"device": _short(row.device), "what": row.what, "until": row.until} for row in status.since
    ]


def _short(text: str) -> str:
    return text.replace("\0", "")[:_MOST_TEXT]


_STATUS_FIELDS: Final = (
    "applied_epoch",
    "applied_rev",
    "applied_digest",
    "permit_serial",
    "line_open",
    "peers",
    "refused",
    "deferred",
    "deferred_rev",
    "deferred_digest",
    "waiting",
    "waiting_rev",
    "waiting_digest",
    "since",
    "reported_at",
)


def _members(gateway: Gateway, pools: set[str]) -> dict[str, PoolGateway]:
    rows = PoolGateway.objects.filter(gateway=gateway, pool__code__in=pools)
    members = {member.pool.code: member for member in rows.select_related("pool")}
    if members.keys() != pools:
        raise NotItsPool(_("A gateway reports only the pools that it serves. Nothing was used."))
    return members


def _keep_usage(gateway: Gateway, usage: Sequence[wire.Usage], now: datetime) -> None:
    """Keep the greatest absolute value of each pool's incarnation; a final one changes no more."""
    members = _members(gateway, {item.pool for item in usage})
    usage = [item for item in usage if not item.device]
    rows = PoolUsage.objects.filter(
        gateway=gateway, incarnation__in={item.incarnation for item in usage}
    )
    known = {(row.pool_id, row.incarnation): row for row in rows}
    changed = {}
    for item in usage:
        pool = members[item.pool].pool
        key = (pool.pk, item.incarnation)
        row = known.setdefault(
            key, PoolUsage(gateway=gateway, pool=pool, incarnation=item.incarnation)
        )
        if not row.final:
            _grow(row, item, now)
            changed[key] = row
    PoolUsage.objects.bulk_create(
        changed.values(),
        update_conflicts=True,
        unique_fields=["gateway", "pool", "incarnation"],
        update_fields=["bytes_down", "bytes_up", "final", "updated_at"],
    )


def _grow(row: PoolUsage, item: wire.Usage, now: datetime) -> None:
    row.bytes_down = max(row.bytes_down, item.bytes_down)
    row.bytes_up = max(row.bytes_up, item.bytes_up)
    row.final = item.final
    row.updated_at = now
