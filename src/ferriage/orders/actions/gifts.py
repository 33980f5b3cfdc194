"""Gifts: a term for the account of a number, or a code that its buyer hands on.

Whether a number exists is told to nobody who may not know it: each refusal that has to do with
the recipient reads the same.

Source: docs/decisions/0030-gifts.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import FerriageError
from ferriage.orders.actions.onsale import NotOnSale, TermOutlivesApproval
from ferriage.orders.actions.sales import NotForSale, place
from ferriage.orders.actions.targets import HeldByDispute
from ferriage.orders.models import Order
from ferriage.plans.actions import OtherPlanHeld

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.core.actors import Actor
    from ferriage.plans.models import Price


class NotGivable(FerriageError):
    """The term cannot be given to this number; one answer for every reason."""

    slug = "not-givable"
    status = 422

    def __init__(self) -> None:
        super().__init__(
            _("This term cannot be given to this number now."),
            _("Look at the number again, or buy a gift code and hand that on."),
        )


def give(
    *,
    account: Account,
    recipient: Account | None,
    price: Price,
    now: datetime,
    expires_at: datetime,
    actor: Actor,
) -> Order:
    """Place an order that gives a term to another account.

    The register is asked with the place that the recipient declared, now and when it is paid.

    Args:
        recipient: Whose number was typed; None if it is nobody's.

    Raises:
        NotGivable: There is no such account, or the term may not be sold to it.
        NotForSale: The buyer's account belongs to a closed service.
        PriceGone: Another price holds now.
    """
    if account.account_class != "public":
        raise NotForSale(_("This account belongs to a closed service, which sells nothing."))
    if recipient is None or recipient.account_class != "public" or not recipient.place:
        raise NotGivable
    try:
        return place(
            account=account,
            recipient=recipient,
            price=price,
            place=recipient.place,
            now=now,
            expires_at=expires_at,
            actor=actor,
        )
    except (NotOnSale, TermOutlivesApproval, OtherPlanHeld, HeldByDispute):
        raise NotGivable from None


def name_gift(*, order: Order, gift: Order) -> None:
    """Keep which order bought the code that is about to pay one, in the transaction that settles.

    What payers take back of the gift is looked for in what it paid.
    """
    Order.objects.filter(pk=order.pk, state=Order.State.OPEN).update(gift=gift)
