"""How the month of a quota stood when a term began: what was used before is not the term's.

Source: docs/explanation/refunds.md
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import DateTimeField, ExpressionWrapper, F, Q

from ferriage.core.db import writing
from ferriage.devices import conserving, usage
from ferriage.orders import queries
from ferriage.orders.models import Order
from ferriage.plans import quota

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.plans.actions import Extension

PAGE: Final = 500
KEPT: Final = timedelta(days=31) + conserving.MONTHS_KEPT
"""As long as the month itself, which ends a month later at most."""
_TERMS: Final = (Order.Kind.TERM, Order.Kind.CHANGE)


def noted(order: Order, extension: Extension, *, now: datetime) -> dict[str, Any]:
    """Return what an order keeps of the month that runs, where it is a term that begins now."""
    begins = order.kind in _TERMS and extension.starts_at <= now
    if not begins or order.quota_bytes is None:
        return {}
    held = extension.subscription
    fresh = quota.stretch_of(held, now)[0] == extension.starts_at
    used = 0 if fresh else usage.used(held, now)
    return {"data_from_at": now, "data_before_bytes": used}


def note_begun(*, now: datetime) -> int:
    """Note it of terms that were bought ahead and have begun since; returns of how many.

    What is used until this is called is not counted for them, so nobody pays for our being late.
    """
    starts_at = ExpressionWrapper(F("period_starts_at") + F("frozen"), output_field=DateTimeField())
    due = (
        queries.fulfilled()
        .annotate(starts_at=starts_at)
        .filter(
            Q(cut_at=None) | Q(cuts_at__gt=now),
            Q(starts_at__lte=now, ends_at__gt=now),
            kind__in=_TERMS,
            quota_bytes__isnull=False,
            data_from_at=None,
            frozen_from=None,
            period_starts_at__lte=now,
        )
        .order_by("period_starts_at", "pk")
    )
    with writing():
        begun = list(
            due.select_related("subscription__plan").prefetch_related("subscription__periods")[
                :PAGE
            ]
        )
        held = {order.subscription for order in begun if order.subscription}
        standings = usage.standings(held, now) if held else {}
        for order in begun:
            order.data_from_at = now
            order.data_before_bytes = standings[order.subscription_id or 0].used
        Order.objects.bulk_update(begun, ["data_from_at", "data_before_bytes"], batch_size=PAGE)
    return len(begun)


def forget_begun(*, now: datetime) -> int:
    """Forget how months stood that are forgotten themselves; returns of how many terms.

    Nothing is counted by it any more: a later month has nothing before the term.
    """
    with writing():
        old = Order.objects.filter(data_before_bytes__gt=0, data_from_at__lt=now - KEPT)
        return old.update(data_before_bytes=0)
