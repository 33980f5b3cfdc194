from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from ferriage.core.actors import Actor
from ferriage.core.errors import FerriageError
from ferriage.payments import actions, matching, queries
from ferriage.payments.models import InboxEvent
from ferriage.payments.providers.bank import actions as bank
from ferriage.payments.providers.bank import booking, files, receipts

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.payments.models import HandReceipt

WORKER: Final = Actor("system", "worker")
log = structlog.get_logger()


def run(now: datetime) -> int:
    """Handle events that a crash left in the inbox; queue what ended orders owe."""
    left = list(
        InboxEvent.objects.filter(handled_at=None).select_related("account").order_by("pk")[:500]
    )
    handled = sum(_handle(event, now) for event in left)
    handled += sum(_book(receipt, now) for receipt in receipts.left())
    handled += booking.book_kept(now) + files.drop_forgotten(now, WORKER)
    owed = queries.ended_without_refund()
    for order in owed:
        actions.queue_ended(order=order, now=now, actor=WORKER)
    return handled + len(owed)


def _handle(event: InboxEvent, now: datetime) -> bool:
    """Handle one event; one that is refused stays in the inbox and holds up no other."""
    try:
        if event.account is None:
            bank.handle(event=event, now=now)
        else:
            matching.handle(event=event, now=now)
    except FerriageError as refusal:
        log.warning("receipt.refused", receipt=event.pk, reason=refusal.slug)
        return False
    return True


def _book(receipt: HandReceipt, now: datetime) -> bool:
    """Book one typed receipt that a crash left; one that is refused holds up no other."""
    try:
        receipts.book(receipt=receipt, now=now, actor=WORKER)
    except FerriageError as refusal:
        log.warning("receipt.refused", receipt=receipt.code, reason=refusal.slug)
        return False
    return True
