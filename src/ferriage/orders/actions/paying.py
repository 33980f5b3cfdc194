"""Paying an order without a payment: from the account's balance, or because nothing is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.orders import balance
from ferriage.orders.actions.outcomes import NotPaid, Refused
from ferriage.orders.actions.sales import settle
from ferriage.orders.models import Order

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor


class NotFromBalance(FerriageError):
    """The order is not open, or a balance does not pay such orders."""

    slug = "not-from-balance"


def pay_from_balance(
    *, order: Order, minor: int | None = None, now: datetime, actor: Actor
) -> Order:
    """Pay an open order from the balance of its account, wholly or in part.

    What is to be paid is reserved at once, so that no other order can spend it; it moves when the
    order is settled, which is now if nothing else is due.

    Args:
        minor: How much of the order; 0 takes back what was reserved, None is as much as there is.

    Raises:
        NotFromBalance: The order is not open, or tops the balance up itself.
        BalanceTooLow: The balance holds less.
        NotPaid: Nothing else is due, but the order cannot be settled now; nothing was changed.
    """
    with writing():
        order = _open(order, now)
        assert order.account is not None  # noqa: S101 -- checked by `_open`
        left = balance.available(order.account, order.currency) + order.credit_minor
        most = order.amount_minor - order.value_minor
        wanted = min(most, left) if minor is None else minor
        if not 0 <= wanted <= most:
            raise NotFromBalance(
                _("That is more than the order costs."), _("Nothing was taken from your balance.")
            )
        balance.reserve(order=order, minor=wanted, now=now)
        audit.record(
            now=now,
            actor=actor,
            action="order.credited",
            subject=order.code,
            credit_minor=wanted,
        )
        return settle_if_nothing_due(order=order, now=now, actor=actor)


def settle_if_nothing_due(*, order: Order, now: datetime, actor: Actor) -> Order:
    """Settle an open order that no payment is due for: paid from the balance, or by a coupon.

    Raises:
        NotPaid: It cannot be settled now; the caller's transaction must be given up.
    """
    with writing():
        order = Order.objects.get(pk=order.pk)
        if order.due_minor or order.state != Order.State.OPEN:
            return order
        result = settle(order=order, refundable_minor=0, now=now, actor=actor)
        if isinstance(result, Refused):
            raise NotPaid(result)
    return result.order


def _open(order: Order, now: datetime) -> Order:
    order = Order.objects.select_related("account").get(pk=order.pk)
    is_open = order.state == Order.State.OPEN and order.expires_at > now
    if not is_open or order.account is None or order.kind == Order.Kind.TOPUP:
        raise NotFromBalance(
            _("This order cannot be paid from the balance."), _("Nothing was taken from it.")
        )
    return order
