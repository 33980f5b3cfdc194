"""Alarms: raised from facts, ended by silence, acknowledged by people.

Any room above may raise one: `raise_alarm` says that something is so now, as often as it is seen,
and nobody has to say that it ended. Opening and ending write no audit entry, since the row itself
is the record; that somebody has looked does.

Source: docs/decisions/0045-alarms-are-rows.md
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import StaleState
from ferriage.fleet.lookout import Fact
from ferriage.fleet.models import Alarm

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.core.actors import Actor

LINGERS: Final = timedelta(minutes=2)
"""An alarm that nobody has seen for so long has ended: one that comes and goes stays one."""
LINGERS_LONGER: Final = {
    Alarm.Kind.FOREIGN_CHANGES: timedelta(minutes=10),
    Alarm.Kind.METERING: timedelta(hours=24),
}
"""For what happens at an instant, instead of being so for a while."""
KEPT: Final = timedelta(days=90)
_REFRESH: Final = timedelta(seconds=30)
"""An alarm that is seen all the time is written this often, since it lingers far longer."""


def raise_alarm(
    *,
    kind: Alarm.Kind,
    subject: str,
    now: datetime,
    patience: timedelta = timedelta(0),
    **details: Any,
) -> None:
    """Say that something is so now: opens an alarm, or keeps the one that is open from ending.

    It ends by itself when nobody has said so for `LINGERS` (`LINGERS_LONGER` for some kinds).

    Args:
        subject: Code of a gateway or line, or the name of a part of the shop; 64 characters.
        patience: How long it must have been so before anybody is told.
        details: JSON values without customers: `name` is shown for the subject, `said` below it.
    """
    raise_alarms([Fact(kind=kind, subject=subject, patience=patience, details=details)], now=now)


def raise_alarms(facts: Iterable[Fact], *, now: datetime) -> None:
    """Say that several things are so, with three statements however many there are."""
    told = {(str(fact.kind), fact.subject): fact for fact in facts}
    if not told:
        return
    with writing():
        rows = Alarm.objects.filter(ended_at=None, kind__in={kind for kind, _ in told})
        known = {(row.kind, row.subject): row for row in rows}
        Alarm.objects.bulk_create(
            _new(fact, now) for name, fact in told.items() if name not in known
        )
        changed = [
            known[name]
            for name, fact in told.items()
            if name in known and _see(known[name], fact, now)
        ]
        Alarm.objects.bulk_update(
            changed, ["details", "noticed_at", "seen_at", "opened_at"], batch_size=500
        )


def forget_unopened(*, kinds: Iterable[Alarm.Kind], facts: Iterable[Fact]) -> None:
    """Forget what was noticed, not opened, and is so no more.

    Args:
        kinds: Of which `facts` are all that there are.
    """
    still = {(str(fact.kind), fact.subject) for fact in facts}
    waiting = Alarm.objects.filter(opened_at=None, kind__in=list(kinds))
    gone = [row.pk for row in waiting if (row.kind, row.subject) not in still]
    if gone:
        with writing():
            Alarm.objects.filter(pk__in=gone, opened_at=None).delete()


def settle_alarms(*, now: datetime) -> int:
    """End what nobody sees any more, forget what ended long ago; return how many ended."""
    quiet = Q(seen_at__lt=now - LINGERS) & ~Q(kind__in=list(LINGERS_LONGER))
    for kind, lingers in LINGERS_LONGER.items():
        quiet |= Q(kind=kind, seen_at__lt=now - lingers)
    over = Alarm.objects.filter(quiet, ended_at=None)
    old = Alarm.objects.filter(ended_at__lt=now - KEPT)
    if not (over.exists() or old.exists()):
        return 0
    with writing():
        over.filter(opened_at=None).delete()
        old.delete()
        return over.update(ended_at=now)


def acknowledge_alarm(*, alarm: Alarm, now: datetime, actor: Actor) -> Alarm:
    """Note who has seen an alarm; it goes on until what it tells of has ended.

    Raises:
        StaleState: It has ended, or somebody has acknowledged it already.
    """
    with writing():
        rows = Alarm.objects.filter(pk=alarm.pk, ended_at=None, acknowledged_at=None)
        if rows.update(acknowledged_at=now, acknowledged_by=actor.code) != 1:
            raise StaleState(_("This alarm has ended, or somebody has seen to it already."))
        audit.record(
            now=now,
            actor=actor,
            action="alarm.acknowledged",
            subject=alarm.subject,
            kind=str(alarm.kind),
        )
    alarm.refresh_from_db()
    return alarm


def _new(fact: Fact, now: datetime) -> Alarm:
    return Alarm(
        kind=fact.kind,
        subject=fact.subject,
        details=fact.details,
        noticed_at=now,
        seen_at=now,
        opened_at=None if fact.patience else now,
    )


def _see(row: Alarm, fact: Fact, now: datetime) -> bool:
    """Take over that it is so still; True when that is worth a write."""
    unseen = now - row.seen_at
    waits = row.opened_at is None
    opens = waits and unseen <= LINGERS and now - row.noticed_at >= fact.patience
    stale = unseen >= _REFRESH
    if opens:
        row.opened_at = now
    elif waits and unseen > LINGERS:
        # Nobody looked meanwhile, so nobody knows that it stood all the time.
        row.noticed_at = now
    row.seen_at, row.details = now, fact.details
    return opens or stale
