"""What comes back to somebody of the gift codes that they bought, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Exists, OuterRef, Sum

from ferriage.core.money import Money
from ferriage.orders.balancemodels import GIFT_RETURNED
from ferriage.orders.models import BalanceMove, Order
from ferriage.payments.models import Payment, Refund
from ferriage.payments.providers.bank.models import HandReceipt
from ferriage.web.portal.purse import way_back

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

NOTICE_DAYS: Final = 30
"""So long the account's page tells of it; the page of the order does so for ever."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """What of a gift's price comes back to its giver; `goes` says how its payment takes it."""

    order: Order
    money: Money
    to_balance: Money
    goes: str


def given_back(
    orders: Sequence[Order], *, now: datetime, days: int | None = NOTICE_DAYS
) -> tuple[GivenBack, ...]:
    """Return what came back of gift codes, with a fixed number of queries.

    Args:
        days: Only what came back so lately.
    """
    gifts = {one.pk: one for one in orders if one.kind == Order.Kind.GIFT}
    if not gifts:
        return ()
    backs = Refund.objects.filter(payment__order__in=gifts, kind=Refund.Kind.GIFT)
    moves = BalanceMove.objects.filter(
        source_code__in=[one.code for one in gifts.values()], kind=GIFT_RETURNED
    )
    if days is not None:
        since = now - timedelta(days=days)
        backs, moves = backs.filter(created_at__gte=since), moves.filter(moved_at__gte=since)
    by_payment = dict(
        backs.order_by().values_list("payment__order").annotate(total=Sum("amount_minor"))
    )
    to_balance = dict(
        moves.order_by().values_list("source_code").annotate(total=Sum("amount_minor"))
    )
    goes = _goes(list(by_payment))
    return tuple(
        GivenBack(
            one,
            Money(by_payment.get(one.pk, 0) + to_balance.get(one.code, 0), one.currency),
            Money(to_balance.get(one.code, 0), one.currency),
            goes.get(one.pk, ""),
        )
        for one in gifts.values()
        if one.pk in by_payment or one.code in to_balance
    )


def _goes(orders: list[int]) -> dict[int | None, str]:
    """Return by order where money that its payment takes back goes."""
    payments = Payment.objects.filter(order__in=orders, outcome="settled").annotate(
        in_cash=Exists(HandReceipt.objects.filter(payment=OuterRef("pk"), kind="cash"))
    )
    return {
        one.order_id: way_back(one, in_cash=one.in_cash)
        for one in payments.select_related("account")
    }
