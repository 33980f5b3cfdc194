from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from ferriage.core.actors import Actor
from ferriage.core.errors import FerriageError
from ferriage.payments import actions, asking, inbox, matching, queries, refunding, settlement
from ferriage.payments.models import InboxEvent
from ferriage.payments.providers.bank import actions as bank

if TYPE_CHECKING:
    from datetime import datetime

WORKER: Final = Actor("system", "worker")
log = structlog.get_logger()


def run(now: datetime) -> int:
    """Handle events that a crash left in the inbox, and do what providers must be asked for.

    Providers are asked last, and no transaction is open meanwhile: one that hangs keeps nothing
    waiting but the others, and those for some seconds at most.
    """
    left = list(
        InboxEvent.objects.filter(handled_at=None).select_related("account").order_by("pk")[:500]
    )
    handled = sum(_handle(event, now) for event in left)
    owed = queries.ended_without_refund()
    for order in owed:
        actions.queue_ended(order=order, now=now, actor=WORKER)
    asked = asking.ask_due(now) + refunding.send_due(now=now, actor=WORKER)
    return handled + len(owed) + asked + settlement.read_due(now) + inbox.forget_bodies(now)


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
