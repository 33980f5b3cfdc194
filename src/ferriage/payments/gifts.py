"""Gift codes: a voucher that its buyer sees once and hands on.

Settling its order owes what was paid to whoever uses the code. The code is made when the buyer
asks to see it; asked again it is another one, and the one before opens nothing.

Source: docs/decisions/0030-gifts.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Sum
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit, codes
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.hashing import hash_secret
from ferriage.orders.models import Order
from ferriage.payments.models import Dispute, Gift, Voucher, VoucherBatch

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.core.actors import Actor


class NoGiftCode(FerriageError):
    """The order buys no gift code, is not paid, or its code was used."""

    slug = "no-gift-code"


def reveal(*, order: Order, now: datetime, actor: Actor) -> str:
    """Return the code of a paid gift, which is never to be had again; a former one ends.

    Raises:
        NoGiftCode: It is not paid, or somebody used the code.
    """
    plain = codes.random_characters()
    with writing():
        order = Order.objects.select_related("plan").get(pk=order.pk)
        if order.kind != Order.Kind.GIFT or order.state != Order.State.FULFILLED:
            raise NoGiftCode(_("There is no code for this order."), _("Pay it first."))
        if is_disputed(order):
            raise NoGiftCode(
                _("The payment for this gift is disputed."), _("Wait until that is over.")
            )
        gift = Gift.objects.filter(order=order).first() or _made(order, plain, now)
        changed = Voucher.objects.filter(pk=gift.voucher_id, used_at=None).update(
            code_hash=hash_secret("voucher", plain)
        )
        if changed != 1:
            raise NoGiftCode(_("Somebody used this code already."), _("Each one is used once."))
        audit.record(now=now, actor=actor, action="gift.revealed", subject=order.code)
    return plain


def is_disputed(order: Order) -> bool:
    """Tell whether the payment of a gift is disputed or was taken back."""
    held = [Dispute.State.OPEN, Dispute.State.LOST]
    return Dispute.objects.filter(payment__order=order, state__in=held).exists()


def end_code(*, order: Order, now: datetime) -> None:
    """Let a gift's code that nobody used be over; what is owed for it is staff's to write off."""
    VoucherBatch.objects.filter(
        vouchers__in=Voucher.objects.filter(used_at=None, pk__in=_vouchers_of(order))
    ).update(expires_at=now)


def _vouchers_of(order: Order) -> QuerySet[Gift, int]:
    return Gift.objects.filter(order=order).values_list("voucher", flat=True)


def is_used(order: Order) -> bool:
    """Tell whether somebody used the code of a gift."""
    return Gift.objects.filter(order=order, voucher__used_at__isnull=False).exists()


def unrevealed_minor(currency: str) -> int:
    """Return what was paid for gift codes that nobody asked to see yet."""
    sold = Order.objects.filter(
        kind=Order.Kind.GIFT, state=Order.State.FULFILLED, currency=currency
    ).exclude(pk__in=Gift.objects.values("order"))
    return sold.aggregate(total=Sum("amount_minor"))["total"] or 0


def _made(order: Order, plain: str, now: datetime) -> Gift:
    """Make the voucher of a gift. What it is worth stands in the books since its order was paid."""
    batch = VoucherBatch.objects.create(
        name=f"Gift {order.code}",
        plan=order.plan_sold,
        term_months=order.term_months,
        amount_minor=order.list_minor,
        currency=order.currency,
        kind=VoucherBatch.Kind.SOLD if order.amount_minor else VoucherBatch.Kind.FREE,
        paid_per_code_minor=order.amount_minor,
        count=1,
        issued_at=now,
    )
    voucher = Voucher.objects.create(batch=batch, code_hash=hash_secret("voucher", plain))
    return Gift.objects.create(order=order, voucher=voucher, made_at=now)
