"""What no agent of this release could report: refused before anything of a report is used."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from ferriage import wire
from ferriage.core.errors import FerriageError
from ferriage.fleet.actions.newcomers import FormatRefused, plain_checks
from ferriage.fleet.actions.plain import carried, counts, fits
from ferriage.fleet.models import Gateway, PoolCurrent, PoolGateway, PoolUsage

_MOST_ROWS: Final = 20_000
_MOST_SIGNS: Final = 1000
_FARTHEST_FENCE: Final = 1_000_000
"""How far an agent's fence may be ahead of what a restored database knows: no boots come to more,
and none that lies brings the next one near the end of the numbers."""
_LAST_INSTANT: Final = 250_000_000_000
"""Somewhat before the year 10000, where dates end."""


class ReportWrong(FerriageError):
    """A report that no agent of this release could send."""

    slug = "report-wrong"
    status = 422


def check_report(report: wire.Report, *, known_fence: int, devices: bool) -> None:
    """Refuse what would not fit the tables, before the database does.

    Args:
        known_fence: The gateway's fence as it is on record.
        devices: Whether rows of single devices are taken.

    Raises:
        FormatRefused: Its agent is more than one minor version away.
        ReportWrong: It holds values that cannot be.
    """
    if report.format not in wire.SPOKEN:
        raise FormatRefused(report.format)
    plain = (
        _plain_head(report),
        _plain_pools(report),
        _plain_usage(report, devices=devices),
        plain_checks(report.checks),
        report.fence <= known_fence + _FARTHEST_FENCE,
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
        and counts(report.sequence, report.fence)
        and max(len(report.pools), len(report.usage), len(report.warnings)) <= _MOST_ROWS
        and _plain_signs(report)
    )


def _plain_signs(report: wire.Report) -> bool:
    instants = all(0 <= sign.at <= _LAST_INSTANT for sign in report.signs)
    return (
        instants and all(counts(s.count) for s in report.signs) and len(report.signs) <= _MOST_SIGNS
    )


def _plain_pools(report: wire.Report) -> bool:
    return all(
        fits(PoolGateway.applied_epoch.field, status.epoch)
        and fits(PoolGateway.applied_digest.field, status.digest)
        and counts(status.rev, status.permit_serial)
        and 0 <= status.peers < 1 << 31
        and len(status.refused) <= _MOST_ROWS
        and _plain_deferred(status.deferred)
        and _plain_deferred(status.waiting)
        and _plain_since(status)
        for status in report.pools
    )


def _plain_deferred(kept: wire.Deferred | None) -> bool:
    return kept is None or (
        fits(PoolGateway.deferred_digest.field, kept.digest)
        and counts(kept.snapshot_rev)
        and 0 < kept.count < 1 << 31
    )


def _plain_since(status: wire.PoolStatus) -> bool:
    head = status.head
    return (head is None or counts(head.rev)) and (
        len(status.since) <= _MOST_ROWS
        and all(0 <= row.until <= _LAST_INSTANT for row in status.since)
    )


def _plain_usage(report: wire.Report, *, devices: bool) -> bool:
    return all(
        item.incarnation != ""
        and fits(PoolUsage.incarnation.field, item.incarnation)
        and carried(item.bytes_down, item.bytes_up)
        and 0 <= item.resets_at <= _LAST_INSTANT
        and (not item.device or devices)
        and fits(PoolCurrent.subject.field, item.device)
        for item in report.usage
    )
