"""To whom goes what is unused of an order. Beside `models.py`, which names it."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class OwedTo(models.TextChoices):
    """Who is owed what is unused: not always whoever holds the order.

    A code that somebody gave was paid by them, and one from a reseller by the reseller.
    """

    PAYER = "payer", _("whoever holds the order")
    GIVER = "giver", _("whoever gave the code")
    RESELLER = "reseller", _("the reseller of the code")


CONSTRAINTS: Final = (
    models.CheckConstraint(
        condition=Q(owed_to=OwedTo.PAYER)
        | Q(
            owed_to__in=[OwedTo.GIVER, OwedTo.RESELLER],
            kind="term",
            recipient__isnull=True,
            credit_minor=0,
        ),
        name="orders_order_owed_to",
    ),
)
