"""What must hold of balances and coupons besides what their constraints keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Count, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from ferriage.ledger.queries import Finding
from ferriage.orders.models import Balance, BalanceHold, Coupon, Order

GIVEN_BACK: Final = [Order.State.EXPIRED, Order.State.CANCELLED]
"""States of orders that gave back what they had taken."""

if TYPE_CHECKING:
    from collections.abc import Iterator


def check() -> Iterator[Finding]:
    """Yield where a balance reserves, or a coupon counts, something else than was taken of it."""
    reserved = (
        Order.objects.filter(
            state=Order.State.OPEN, account=OuterRef("account"), currency=OuterRef("currency")
        )
        .order_by()
        .values("account")
        .annotate(total=Sum("credit_minor"))
        .values("total")
    )
    held = (
        BalanceHold.objects.filter(balance=OuterRef("pk"), released_at=None)
        .order_by()
        .values("balance")
        .annotate(total=Sum("amount_minor"))
        .values("total")
    )
    heads = Balance.objects.annotate(
        wanted=Coalesce(Subquery(reserved), 0) + Coalesce(Subquery(held), 0)
    )
    for head in heads.exclude(reserved_minor=F("wanted")):
        yield Finding(
            f"balance {head.pk} {head.currency}",
            f"reserves {head.reserved_minor}, should reserve {head.wanted}",
        )
    counted = Coupon.objects.annotate(
        having=Count("orders", filter=~Q(orders__state__in=GIVEN_BACK))
    )
    for coupon in counted.exclude(uses=F("having")):
        yield Finding(coupon.word, f"counts {coupon.uses} uses, has {coupon.having} orders")
