"""The reconciler: whoever does not call back is asked.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.payments import matching
from ferriage.payments.models import Payment
from ferriage.payments.providers.contract import ProviderDown
from ferriage.payments.schedule import next_ask_of_payment

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.orders.models import Order

PAGE: Final = 50
log = structlog.get_logger()


def ask_due(now: datetime) -> int:
    """Ask providers about the open payments whose time has come; returns how many were asked.

    A provider that does not answer is left alone for this time; its payments are due later.
    """
    due = Payment.objects.filter(ask_at__lte=now).select_related("account", "order")
    down: set[int | None] = set()
    asked = 0
    for payment in due.order_by("ask_at", "pk")[:PAGE]:
        if payment.account_id in down or not _take(payment, now):
            continue
        try:
            asked += _ask(payment, now)
        except ProviderDown:
            down.add(payment.account_id)
        except FerriageError as refusal:
            log.warning("payment.not-asked", payment=payment.code, reason=refusal.slug)
    return asked


def ask_soon(*, order: Order, now: datetime) -> None:
    """Let an order's payments be asked about now: its customer came back from the provider.

    Only those that were not asked about yet, so that nobody who opens the page again and again
    makes us ask as often.
    """
    waiting = Payment.objects.filter(order=order, ask_at__gt=now, asked=0)
    if waiting.exists():
        with writing():
            waiting.update(ask_at=now)


def _take(payment: Payment, now: datetime) -> bool:
    """Move a payment's next question on before it is asked, and tell whether we were first."""
    following = next_ask_of_payment(payment.asked, payment.created_at, now)
    with writing():
        same = Payment.objects.filter(pk=payment.pk, ask_at=payment.ask_at, asked=payment.asked)
        return same.update(ask_at=following, asked=payment.asked + 1) == 1


def _ask(payment: Payment, now: datetime) -> bool:
    assert payment.account is not None  # noqa: S101 -- only payments over the net are asked about
    matching.look(payment.account, payment, now)
    return True
