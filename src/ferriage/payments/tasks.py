from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from ferriage.core.actors import Actor
from ferriage.core.errors import FerriageError
from ferriage.payments import actions, asking, inbox, matching, queries, refunding, settlement
from ferriage.payments.models import InboxEvent
from ferriage.payments.providers.bank import actions as bank
from ferriage.payments.providers.bank import booking, files, receipts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from ferriage.payments.models import HandReceipt

WORKER: Final = Actor("system", "worker")
log = structlog.get_logger()


def run(now: datetime) -> int:
    """Handle events that a crash left in the inbox, and do what providers must be asked for.

    Providers are asked last, and no transaction is open meanwhile: one that hangs keeps nothing
    waiting but the others, and those for some seconds at most.
    """
    return _all(
        [
            partial(_handle_left, now),
            partial(_book_left, now),
            partial(booking.book_kept, now),
            partial(files.drop_forgotten, now, WORKER),
            partial(_queue_owed, now),
            partial(asking.ask_due, now),
            partial(refunding.send_due, now=now, actor=WORKER),
            partial(settlement.read_due, now),
            partial(inbox.forget_bodies, now),
        ]
    )


def _handle_left(now: datetime) -> int:
    left = InboxEvent.objects.filter(handled_at=None).select_related("account").order_by("pk")
    return _all([partial(_handle, event, now) for event in left[:500]])


def _book_left(now: datetime) -> int:
    return _all([partial(_book, receipt, now) for receipt in receipts.left()])


def _queue_owed(now: datetime) -> int:
    owed = queries.ended_without_refund()
    for order in owed:
        actions.queue_ended(order=order, now=now, actor=WORKER)
    return len(owed)


def _all(steps: Iterable[Callable[[], int]]) -> int:
    """Do every step, whatever becomes of the others; returns how much was done.

    Raises:
        ExceptionGroup: What no step expected, after all of them were tried.
    """
    done = 0
    faults: list[Exception] = []
    for step in steps:
        try:
            done += step()
        except Exception as fault:  # noqa: BLE001 -- told below, after the other steps' turn
            faults.append(fault)
    if faults:
        raise ExceptionGroup("payments", faults)
    return done


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
