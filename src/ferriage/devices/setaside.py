"""Bytes that were told faster than they can have been used: staff count them, or drop them.

Until then they take nothing of any quota. Who rules on them says why; nobody is cut before.

Source: docs/explanation/quotas.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState
from ferriage.devices.models import Incarnation, UsageDay, UsageMonth
from ferriage.devices.usagemodels import MOST_RULED
from ferriage.plans import quota

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.core.actors import Actor


class ReasonMissing(FerriageError):
    """Nobody rules on a customer's bytes without saying why."""

    slug = "reason-missing"
    status = 422


class NoQuota(FerriageError):
    """The plan has no quota any more that bytes could be counted against."""

    slug = "no-quota"


class TooMany(FerriageError):
    """More bytes than any line carries in a month."""

    slug = "too-many-bytes"


def waiting() -> QuerySet[Incarnation]:
    """Return the counters with bytes that nobody has ruled on, those told last first."""
    rows = Incarnation.objects.filter(
        Q(aside_down__gt=F("dropped_down")) | Q(aside_up__gt=F("dropped_up"))
    )
    return rows.select_related("gateway", "device__subscription__plan__service").order_by(
        "-told_at", "-pk"
    )


def count(*, row: Incarnation, waits: int, reason: str, now: datetime, actor: Actor) -> Incarnation:
    """Count what waits as used, in the month and on the day on which the counter was told last.

    Of a month that goes on the quota falls at once; gateways hear of it with their next report.

    Args:
        waits: The bytes that were ruled on; more may have been set aside since.

    Raises:
        NoQuota: The plan has none now.
        TooMany: The month would come to more than anybody can use.
        ReasonMissing: No reason was given.
        StaleState: More was set aside since, or somebody else was first.
    """
    with writing():
        found = _found(row, waits, reason)
        down, up = found.aside_down - found.dropped_down, found.aside_up - found.dropped_up
        found.aside_down, found.aside_up = found.dropped_down, found.dropped_up
        found.save(update_fields=["aside_down", "aside_up"])
        _post(found, down, up, now)
        _record("meter.aside_counted", found, waits, reason, now, actor)
    return found


def drop(*, row: Incarnation, waits: int, reason: str, now: datetime, actor: Actor) -> Incarnation:
    """Never count what waits.

    Args:
        waits: The bytes that were ruled on; more may have been set aside since.

    Raises:
        ReasonMissing: No reason was given.
        StaleState: More was set aside since, or somebody else was first.
    """
    with writing():
        found = _found(row, waits, reason)
        found.dropped_down, found.dropped_up = found.aside_down, found.aside_up
        found.save(update_fields=["dropped_down", "dropped_up"])
        _record("meter.aside_dropped", found, waits, reason, now, actor)
    return found


def _found(row: Incarnation, waits: int, reason: str) -> Incarnation:
    if not reason.strip():
        raise ReasonMissing(_("Say why; the reason stays on record."))
    found = waiting().filter(pk=row.pk).first()
    if found is None or found.waits != waits:
        raise StaleState(
            _("Somebody has ruled on these bytes, or more were set aside."), _("Look again.")
        )
    return found


def _post(row: Incarnation, down: int, up: int, now: datetime) -> None:
    subscription = row.device.subscription
    if subscription.plan.quota_bytes is None:
        raise NoQuota(_("This plan has no quota any more."), _("Drop them instead."))
    begins_at, ends_at = quota.stretch_of(subscription, row.told_at)
    month, _made = UsageMonth.objects.get_or_create(
        subscription=subscription,
        begins_at=begins_at,
        defaults={"ends_at": ends_at, "used_at": now},
    )
    if month.bytes_used + down + up > MOST_RULED:
        raise TooMany(
            _("Nobody can have used so much in a month."),
            _("Drop them instead: the gateway made them up."),
        )
    UsageMonth.objects.filter(pk=month.pk).update(
        bytes_used=F("bytes_used") + down + up, used_at=now
    )
    day, _made = UsageDay.objects.get_or_create(
        device=row.device, month=month, on=row.told_at.date()
    )
    UsageDay.objects.filter(pk=day.pk).update(
        bytes_down=F("bytes_down") + down, bytes_up=F("bytes_up") + up
    )


def _record(
    action: str, row: Incarnation, waits: int, reason: str, now: datetime, actor: Actor
) -> None:
    audit.record(
        now=now,
        actor=actor,
        action=action,
        subject=row.device.subscription.code,
        gateway=row.gateway.code,
        bytes=waits,
        reason=reason,
    )
