"""What a coupon takes off a price. Pure integers; one coupon an order, off the price copied in.

A share is rounded down to the minor unit, so the rest of the price is rounded up. An amount takes
off no more than the price: nothing is ever below 0, and nothing is left over for another order.

Source: docs/explanation/money.md
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from django.db.models import Prefetch

from ferriage.core.codes import normalise
from ferriage.orders.models import Coupon
from ferriage.plans.models import Plan

if TYPE_CHECKING:
    from django.db.models import QuerySet

WHOLE_BPS: Final = 10_000
_WORD: Final = re.compile(r"[0-9A-Z]{3,24}")


def discount(*, list_minor: int, off_bps: int | None, off_minor: int | None) -> int:
    """Return what a share in basis points, or an amount, takes off a price."""
    if off_bps is not None:
        return list_minor * off_bps // WHOLE_BPS
    return min(off_minor or 0, list_minor)


def discount_of(coupon: Coupon, list_minor: int) -> int:
    """Return what a coupon takes off a price of its currency."""
    return discount(list_minor=list_minor, off_bps=coupon.off_bps, off_minor=coupon.off_minor)


def key_of(text: str) -> str:
    """Return a word as it is looked up: capitals and digits, like signs made one; empty if none."""
    plain = normalise(text)
    return plain if _WORD.fullmatch(plain) else ""


def coupon_by_word(text: str) -> Coupon | None:
    """Return the coupon of a word as somebody typed it, or nothing."""
    key = key_of(text)
    return Coupon.objects.filter(key=key).first() if key else None


def coupons() -> QuerySet[Coupon]:
    """Return all coupons, newest first, with the plans that they are for."""
    plans = Plan.objects.select_related("service").order_by("service__position", "pk")
    return Coupon.objects.prefetch_related(Prefetch("plans", queryset=plans)).order_by("-pk")
