"""What must hold of an order's columns about the data used of it. Beside `models.py`."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import F, Q

CONSTRAINTS: Final = (
    models.CheckConstraint(
        condition=Q(data_before_bytes=0) | Q(data_from_at__isnull=False, quota_bytes__isnull=False),
        name="orders_order_data_begun",
    ),
    models.CheckConstraint(
        condition=Q(counts_to_at__isnull=True)
        | Q(
            data_from_at__isnull=False,
            cut_at__isnull=False,
            counts_to_at__gt=F("cut_at"),
            counts_to_at__lte=F("period_ends_at"),
        ),
        name="orders_order_counts_to",
    ),
)
TO_BEGIN: Final = models.Index(
    fields=["period_starts_at"],
    condition=Q(
        state="fulfilled",
        kind__in=["term", "change"],
        quota_bytes__isnull=False,
        data_from_at__isnull=True,
    ),
    name="orders_order_to_begin",
)
"""Terms with a quota of which it is not noted yet how their month stood when they began."""
TO_FORGET: Final = models.Index(
    fields=["data_from_at"], condition=Q(data_before_bytes__gt=0), name="orders_order_to_forget"
)
"""Terms of which it is noted, and was not nothing."""
