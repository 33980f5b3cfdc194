"""What cannot be about the counting of bytes is shown to staff until one of them saw to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import StaleState
from ferriage.devices.models import MeterAlarm

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor


def raise_alarm(
    *,
    kind: MeterAlarm.Kind,
    subject: str,
    details: dict[str, Any],
    now: datetime,
    actor: Actor,
) -> None:
    """Show an alarm to staff; one that is shown already counts on, with the newest details.

    Args:
        subject: Code of the gateway, or of the device, that it is about.
        details: JSON values; no account.
    """
    with writing():
        shown = MeterAlarm.objects.filter(kind=kind, subject=subject, settled_at=None)
        if shown.update(times=F("times") + 1, last_at=now, details=details):
            return
        MeterAlarm.objects.create(
            kind=kind, subject=subject, details=details, raised_at=now, last_at=now
        )
        audit.record(now=now, actor=actor, action="meter.alarm_raised", subject=subject, kind=kind)


def settle_alarm(*, alarm: MeterAlarm, now: datetime, actor: Actor) -> MeterAlarm:
    """Take an alarm away that somebody saw to; should it come again, it is a new one.

    Raises:
        StaleState: Somebody else took it away.
    """
    with writing():
        shown = MeterAlarm.objects.filter(pk=alarm.pk, settled_at=None)
        if shown.update(settled_at=now) != 1:
            raise StaleState(_("Somebody else has seen to this already."), _("Look again."))
        audit.record(
            now=now,
            actor=actor,
            action="meter.alarm_settled",
            subject=alarm.subject,
            kind=alarm.kind,
        )
    alarm.refresh_from_db()
    return alarm


def open_alarms() -> list[MeterAlarm]:
    """Return what nobody saw to yet, oldest first."""
    return list(MeterAlarm.objects.filter(settled_at=None).order_by("pk"))
