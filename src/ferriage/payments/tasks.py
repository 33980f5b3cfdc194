from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from ferriage.core.actors import Actor
from ferriage.core.errors import FerriageError
from ferriage.payments import actions, queries
from ferriage.payments.models import InboxEvent
from ferriage.payments.providers.bank import booking
from ferriage.payments.providers.bank.actions import handle

if TYPE_CHECKING:
    from datetime import datetime

WORKER: Final = Actor("system", "worker")
log = structlog.get_logger()


def run(now: datetime) -> int:
    """Handle receipts that a crash left in the inbox; queue what ended orders owe."""
    left = list(InboxEvent.objects.filter(handled_at=None).order_by("pk")[:500])
    handled = sum(_handle(event, now) for event in left)
    handled += booking.book_kept(now)
    owed = queries.ended_without_refund()
    for order in owed:
        actions.queue_ended(order=order, now=now, actor=WORKER)
    return handled + len(owed)


def _handle(event: InboxEvent, now: datetime) -> bool:
    """Handle one receipt; one that is refused stays in the inbox and holds up no other."""
    try:
        handle(event=event, now=now)
    except FerriageError as refusal:
        log.warning("receipt.refused", receipt=event.pk, reason=refusal.slug)
        return False
    return True
