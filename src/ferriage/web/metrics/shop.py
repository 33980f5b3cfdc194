"""Figures of orders, money that waits, and the books: sums only, no customer anywhere."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from django.db.models import Count
from prometheus_client.registry import Collector

from ferriage.fleet import site
from ferriage.fleet.models import Alarm
from ferriage.ledger import chart
from ferriage.ledger.queries import trial_balance
from ferriage.orders.models import Order
from ferriage.payments.models import InboxEvent, Payment, Refund
from ferriage.payments.providers.bank.queries import waiting_lines
from ferriage.payments.queries import OVER
from ferriage.web.metrics.families import counted, gauge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from django.db.models import QuerySet
    from prometheus_client.core import Metric

    from ferriage.ledger.queries import AccountBalance


class Shop(Collector):
    """What the rows say at an instant."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Return all families, by ten queries at most."""
        yield counted(
            "orders",
            "Orders by state.",
            "state",
            Order.State.values,
            _by_state(Order.objects.all()),
        )
        yield from self._waiting()
        yield from _books(trial_balance())
        yield gauge(
            "alarms_untold",
            "Alarms that opened and that alarms.command was not told of yet; 0 without one.",
            values=[((), _untold())],
        )

    def _waiting(self) -> Iterator[Metric]:
        payments = Payment.objects.filter(state__in=[Payment.State.CREATED, Payment.State.PENDING])
        yield gauge(
            "payments_waiting",
            "Payments that were begun and neither came nor failed.",
            values=[((), payments.count())],
        )
        yield gauge(
            "payments_to_ask",
            "Payments whose provider should have been asked by now.",
            values=[((), payments.filter(ask_at__lt=self._now).count())],
        )
        refunds = _by_state(Refund.objects.exclude(state__in=OVER))
        unpaid = [state for state in Refund.State.values if state not in OVER]
        yield counted("refunds_waiting", "Refunds not paid yet.", "state", unpaid, refunds)
        yield gauge(
            "inbox_unhandled",
            "What providers said and the worker has not dealt with yet.",
            values=[((), InboxEvent.objects.filter(handled_at=None).count())],
        )
        yield gauge(
            "statement_lines_waiting",
            "Lines of bank statements that match nothing and wait for staff.",
            values=[((), waiting_lines().count())],
        )


def _books(balances: list[AccountBalance]) -> Iterator[Metric]:
    off, suspense = Counter[str](), Counter[str]()
    for account in balances:
        off[account.currency] += account.balance_minor
        if account.name == chart.UNALLOCATED:
            suspense[account.currency] -= account.balance_minor
    yield gauge(
        "ledger_imbalance_minor",
        "Debits less credits over all accounts, in minor units: anything but 0 is wrong.",
        ("currency",),
        [((currency,), off[currency]) for currency in sorted(off)],
    )
    yield gauge(
        "suspense_minor",
        "Money that belongs to no order yet, in minor units.",
        ("currency",),
        [((currency,), suspense[currency]) for currency in sorted(off)],
    )


def _by_state(rows: QuerySet[Order] | QuerySet[Refund]) -> dict[str, int]:
    return dict(rows.order_by().values_list("state").annotate(count=Count("pk")))


def _untold() -> int:
    if not site.alarm_command():
        return 0
    return Alarm.objects.filter(told_opened_at=None, opened_at__isnull=False, ended_at=None).count()
