from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage import wire
from ferriage.core import audit
from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, NotFound
from ferriage.fleet import site
from ferriage.fleet.actions.forgotten import hold_forgotten
from ferriage.fleet.actions.newcomers import (
    FormatRefused,
    keep_checks,
    plain_checks,
    show_withheld,
)
from ferriage.fleet.actions.plain import counts, fits
from ferriage.fleet.models import Gateway, PoolGateway, PoolUsage
from ferriage.fleet.queries import assignments

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

LEASE: Final = timedelta(seconds=60)
RIVAL_SHOWN: Final = timedelta(hours=1)
RIVAL_WARNING: Final = "A second agent with this gateway's identity was refused."
_MOST_TEXT: Final = 300
_MOST_ROWS: Final = 20_000


class LeaseHeld(FerriageError):
    """Another agent holds this gateway's identity; this one must change nothing."""

    slug = "lease"


class NotItsPool(FerriageError):
    """A gateway reported a pool that it does not serve."""

    slug = "pool"
    status = 403


class ReportWrong(FerriageError):
    """A report that no agent of this release could send."""

    slug = "report-wrong"
    status = 422


def take_report(
    *, gateway: Gateway, report: wire.Report, outward: str = "", now: datetime
) -> wire.ReportAnswer:
    """Take over what a gateway says of itself, and renew its agent's lease.

    A report whose sequence was seen before is acknowledged again and changes nothing.

    Args:
        outward: The address that it came from; empty when that cannot be told.

    Raises:
        LeaseHeld: Another instance holds the lease; only a warning to staff is kept.
        NotItsPool: It names a pool of somebody else; nothing of it is used.
        FormatRefused: Its agent is more than one minor version away.
        ReportWrong: It holds values that cannot be.
        NotFound: The gateway is not active.
    """
    _check(report)
    with writing():
        current = _active(gateway)
        rival = _is_rival(current, report, now)
        if rival:
            _note_rival(current, now)
        elif not _seen(current, report):
            _take_over(current, report, outward, now)
        answer = _answer(current, report)
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
    runs = gateway.lease_until is not None and now < gateway.lease_until
    return runs and gateway.lease_instance != report.instance


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


def _take_over(gateway: Gateway, report: wire.Report, outward: str, now: datetime) -> None:
    _keep_status(gateway, report.pools, now)
    show_withheld(gateway, report.format)
    keep_checks(gateway, report, outward, now)
    hold_forgotten(gateway=gateway, pools=report.pools, now=now)
    _keep_usage(gateway, report.usage, now)
    if gateway.lease_instance != report.instance:
        gateway.fence += 1
        gateway.lease_instance = report.instance
    gateway.lease_until = now + LEASE
    gateway.report_sequence = report.sequence
    gateway.last_seen_at = now
    gateway.boot_id = report.boot_id
    gateway.agent_version = report.agent_version
    gateway.backend = report.backend
    gateway.warnings = _warnings(gateway, report, now)
    gateway.save()


def _warnings(gateway: Gateway, report: wire.Report, now: datetime) -> list[str]:
    own = [_short(text) for text in report.warnings]
    rival = gateway.rival_at is not None and now - gateway.rival_at < RIVAL_SHOWN
    return [RIVAL_WARNING, *own] if rival else own


def _answer(gateway: Gateway, report: wire.Report) -> wire.ReportAnswer:
    return wire.ReportAnswer(
        fence=gateway.fence,
        lease_seconds=int(LEASE.total_seconds()),
        acknowledged=report.sequence,
        pools=assignments(gateway),
        hub_url=site.hub_url(),
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
        member.reported_at = now
        changed.append(member)
    PoolGateway.objects.bulk_update(changed, _STATUS_FIELDS)


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
    "reported_at",
)


def _members(gateway: Gateway, pools: set[str]) -> dict[str, PoolGateway]:
    rows = PoolGateway.objects.filter(gateway=gateway, pool__code__in=pools)
    members = {member.pool.code: member for member in rows.select_related("pool")}
    if members.keys() != pools:
        raise NotItsPool(_("A gateway reports only the pools that it serves. Nothing was used."))
    return members


def _keep_usage(gateway: Gateway, usage: Iterable[wire.Usage], now: datetime) -> None:
    """Keep the greatest absolute value of each incarnation; a final one changes no more."""
    members = _members(gateway, {item.pool for item in usage})
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


# --- what cannot be ---------------------------------------------------------------------------


def _check(report: wire.Report) -> None:
    """Refuse what would not fit the tables, before the database does."""
    if report.format not in wire.SPOKEN:
        raise FormatRefused(report.format)
    plain = (
        _plain_head(report),
        _plain_pools(report),
        _plain_usage(report),
        plain_checks(report.checks),
    )
    if not all(plain):
        raise ReportWrong(_("The report holds values that cannot be. Nothing of it was used."))


def _plain_head(report: wire.Report) -> bool:
    return (
        report.instance != ""
        and fits(Gateway.lease_instance.field, report.instance)
        and fits(Gateway.boot_id.field, report.boot_id)
        and fits(Gateway.agent_version.field, report.agent_version)
        and fits(Gateway.backend.field, report.backend)
        and counts(report.sequence)
        and max(len(report.pools), len(report.usage), len(report.warnings)) <= _MOST_ROWS
    )


def _plain_pools(report: wire.Report) -> bool:
    return all(
        fits(PoolGateway.applied_epoch.field, status.epoch)
        and fits(PoolGateway.applied_digest.field, status.digest)
        and counts(status.rev, status.permit_serial)
        and 0 <= status.peers < 1 << 31
        and len(status.refused) <= _MOST_ROWS
        and _plain_deferred(status.deferred)
        for status in report.pools
    )


def _plain_deferred(kept: wire.Deferred | None) -> bool:
    return kept is None or (
        fits(PoolGateway.deferred_digest.field, kept.digest)
        and counts(kept.snapshot_rev)
        and 0 < kept.count < 1 << 31
    )


def _plain_usage(report: wire.Report) -> bool:
    # Only pool sums exist until plans have quotas, so a row that names a device is refused.
    return all(
        item.incarnation != ""
        and fits(PoolUsage.incarnation.field, item.incarnation)
        and counts(item.bytes_down, item.bytes_up)
        and not item.device
        for item in report.usage
    )
