"""What settling an order comes to, and the one way in which an order changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from django.utils.translation import gettext_lazy as _

from ferriage.core.compiled import update
from ferriage.core.errors import FerriageError, StaleState
from ferriage.orders.models import Order

if TYPE_CHECKING:
    from ferriage.approvals.facts import Verdict
    from ferriage.plans.actions import Extension

RefusalReason = Literal[
    "order-fulfilled",
    "order-expired",
    "order-cancelled",
    "not-authorised",
    "term-outlives-approval",
    "place-contradicted",
    "other-plan-held",
    "change-overtaken",
    "addon-overtaken",
]


@dataclass(frozen=True, slots=True)
class Settled:
    """The order is fulfilled: money posted, term extended, gateways told.

    A top-up and a gift code extend no term.
    """

    order: Order
    extension: Extension | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The order does not take the money; nothing of the order was changed.

    `verdict` is the register's word when the reason is `not-authorised`, or its word on the place
    that the payment presumes when that stands against the customer's (`place-contradicted`).
    """

    reason: RefusalReason
    verdict: Verdict | None = None


class NotPaid(FerriageError):
    """The order cannot be settled, and `verdict` says why; the balance stays as it was."""

    slug = "not-paid"

    def __init__(self, refused: Refused) -> None:
        super().__init__(
            _("This order cannot be paid any more."),
            _("Nothing was taken from your balance. Place a new order."),
        )
        self.reason = refused.reason
        self.verdict = refused.verdict


def state_refuses(order: Order) -> RefusalReason | None:
    """Return why the state of an order stands against settling it; its time is the caller's."""
    if order.state in {Order.State.FULFILLED, Order.State.PAID}:
        return "order-fulfilled"
    if order.state == Order.State.CANCELLED:
        return "order-cancelled"
    if order.state == Order.State.EXPIRED or order.account is None:
        return "order-expired"
    return None


def change(order: Order, old: str, **values: object) -> None:
    """Change an order by compare-and-set, in the database and on the object.

    Raises:
        StaleState: Another writer was first.
    """
    if update(Order, {"pk": order.pk, "state": old}, **values) != 1:
        raise StaleState(_("This order was changed just now."), _("Look again."))
    for name, value in values.items():
        setattr(order, name, value)
