"""Which subscription an order is for: named when it is placed, and looked up when it is settled.

Source: docs/explanation/subscriptions.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import FerriageError
from ferriage.orders.models import Order
from ferriage.plans import several

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.plans.models import Plan, Subscription


class WrongSubscription(FerriageError):
    """The subscription is another account's, or of another service."""

    slug = "wrong-subscription"
    status = 404


def chosen(
    account: Account,
    plan: Plan,
    *,
    extends: Subscription | None,
    beside: bool,
    now: datetime,
) -> Subscription | None:
    """Return what a purchase is to go onto; None where it begins one.

    Args:
        extends: The one that the customer named.
        beside: The customer asked for another one. Said neither, the house proposes.

    Raises:
        WrongSubscription: It is not the account's, or not of the plan's service.
    """
    if extends is None:
        return None if beside else several.proposed(account, plan, now=now)
    mine = extends.account_id == account.pk and extends.service_id == plan.service_id
    if beside or not mine:
        raise WrongSubscription(
            _("There is no such subscription to extend."), _("Choose one of yours, or a new one.")
        )
    return extends


def target_of(
    order: Order, *, now: datetime, by: several.Holdings = several.ASKED
) -> Subscription | None:
    """Return the subscription that an open order goes onto now; None where it begins one."""
    assert order.holder is not None  # noqa: S101 -- an order without an account is not settled
    if order.extends_id is not None:
        return by.named(order.extends_id)
    if order.beside or order.kind == Order.Kind.GIFT:
        return None  # a gift code is for nobody known yet
    return several.proposed(order.holder, order.plan_sold, now=now, by=by)
