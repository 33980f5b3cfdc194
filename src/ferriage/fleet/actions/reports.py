from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from django.utils.translation import gettext_lazy as _

from ferriage import wire
from ferriage.core import audit
from ferriage.core.actors import Actor
from ferriage.core.compiled import Compiled, update_each
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, NotFound
from ferriage.fleet import site
from ferriage.fleet.actions.forgotten import hold_forgotten
from ferriage.fleet.actions.newcomers import (
    keep_checks,
    show_withheld,
)
from ferriage.fleet.actions.plainreport import check_report
from ferriage.fleet.actions.poolcounters import keep_pools
from ferriage.fleet.actions.restored import notice_restored
from ferriage.fleet.models import Gateway, LeftPool, PoolGateway
from ferriage.fleet.queries import assigned, memberships

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ferriage.core.models import SiteState
    from ferriage.fleet.models import Pool

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
        known = _Known(current, site.STATE.get(), memberships(current))
        rival = _is_rival(current, report, now)
        if rival:
            _note_rival(current, now)
        elif not _seen(current, report):
            _take_over(current, report, known, outward, now, meter)
        allowances = () if rival else _allowances(current, report, now, meter)
        answer = _answer(current, report, known, allowances)
    # Raised outside, or the warning to staff would be rolled back with it.
    if rival:
        raise LeaseHeld(
            _("Another agent reports as this gateway. Nothing was changed."),
            _("Stop one of the two, or enrol this host as a gateway of its own."),
        )
    return answer


@dataclass(frozen=True, slots=True)
class _Known:
    """What is on record of the shop and of the gateway's pools, read once for the whole report."""

    gateway: Gateway
    state: SiteState
    members: Sequence[PoolGateway]

    def of(self, pools: set[str]) -> dict[str, PoolGateway]:
        """Return the gateway's memberships in these pools by the pool's code.

        Raises:
            NotItsPool: It does not serve all of them.
        """
        found = {one.pool.code: one for one in self.members if one.pool.code in pools}
        if found.keys() != pools:
            raise _not_its_pool()
        return found

    def counted(self, pools: set[str]) -> dict[str, Pool]:
        """Return the pools by code in which the gateway may have counted: also those it has left.

        Raises:
            NotItsPool: It never served one of them.
        """
        found = {one.pool.code: one.pool for one in self.members if one.pool.code in pools}
        if found.keys() != pools:
            left = LeftPool.objects.filter(gateway=self.gateway, pool__code__in=pools)
            found |= {row.pool.code: row.pool for row in left.select_related("pool")}
        if found.keys() != pools:
            raise _not_its_pool()
        return found


def _not_its_pool() -> NotItsPool:
    return NotItsPool(_("A gateway reports only the pools that it serves. Nothing was used."))


# --- lease ------------------------------------------------------------------------------------


_ACTIVE: Final = Compiled(
    1,
    lambda pk: Gateway.objects.select_for_update().filter(pk=pk, state=Gateway.State.ACTIVE),
)


def _active(gateway: Gateway) -> Gateway:
    current = _ACTIVE.first(gateway.pk)
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
    known: _Known,
    outward: str,
    now: datetime,
    meter: DeviceMeter | None,
) -> None:
    members = known.of({status.pool for status in report.pools})
    _keep_status(members, report.pools, now)
    show_withheld(gateway, report.format)
    keep_checks(gateway, report, outward, now)
    notice_restored(
        gateway=gateway, pools=report.pools, members=members, epoch=known.state.epoch, now=now
    )
    hold_forgotten(gateway=gateway, pools=report.pools, members=members, now=now)
    if report.usage:
        pools = known.counted({item.pool for item in report.usage})
        keep_pools(gateway=gateway, pools=pools, usage=report.usage, now=now)
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
    update_each(_GATEWAY_FIELDS, [gateway])


_GATEWAY_FIELDS: Final = (
    *("fence", "lease_instance", "lease_until", "report_sequence", "last_seen_at"),
    *("boot_id", "agent_version", "backend", "warnings", "signs"),
    *("spoken", "outward_address", "checks", "checked_at"),
)


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
    gateway: Gateway, report: wire.Report, known: _Known, allowances: tuple[wire.Allowance, ...]
) -> wire.ReportAnswer:
    return wire.ReportAnswer(
        fence=gateway.fence,
        lease_seconds=int(LEASE.total_seconds()),
        acknowledged=report.sequence,
        pools=assigned(known.members, known.state),
        hub_url=site.hub_url(),
        allowances=allowances,
        probe_key=site.probe_public_key(),
    )


# --- what it says of its pools ----------------------------------------------------------------


def _keep_status(
    members: Mapping[str, PoolGateway], pools: Sequence[wire.PoolStatus], now: datetime
) -> None:
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
    update_each(_STATUS_FIELDS, list(members.values()))


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
