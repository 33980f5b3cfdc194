"""Gift codes: a voucher that its buyer sees once and hands on.

Settling its order owes what was paid to whoever uses the code. The code is made when the buyer
asks to see it; asked again it is another one, and the one before opens nothing.

Source: docs/decisions/0030-gifts.md, docs/decisions/0064-claims-on-money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Sum
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit, codes
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.hashing import hash_secret
from ferriage.orders import actions as orders
from ferriage.orders import claims
from ferriage.orders.models import Order
from ferriage.payments.models import Dispute, Gift, Voucher, VoucherBatch

if TYPE_CHECKING:
    from datetime import datetime

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
        gift = _gift_of(order) or _made(order, plain, now)
        if _is_over(gift, now):
            raise NoGiftCode(_("The payment for this gift was taken back."), _("Its code is over."))
        changed = Voucher.objects.filter(pk=gift.voucher_id, used_at=None).update(
            code_hash=hash_secret("voucher", plain)
        )
        if changed != 1:
            raise NoGiftCode(_("Somebody used this code already."), _("Each one is used once."))
        audit.record(now=now, actor=actor, action="gift.revealed", subject=order.code)
    return plain


def is_disputed(order: Order) -> bool:
    """Tell whether the payment of a gift is disputed.

    Also a payment that brought to a balance what the gift was paid with from there. Of what was
    lost so far a code knows: it ended, or so much less is owed of the term that it pays.
    """
    still = Dispute.objects.filter(state=Dispute.State.OPEN)
    own = still.filter(payment__order=order, payment__outcome="settled")
    return own.exists() or claims.holds_gift(order)


def end_code(*, order: Order, now: datetime) -> bool:
    """Let a gift's code that nobody used be over; what is owed for it is staff's to write off.

    One that nobody asked to see is made for that. Tells whether it ended: an order may buy no code,
    and a code may have been used.
    """
    if order.kind != Order.Kind.GIFT or order.state != Order.State.FULFILLED:
        return False
    gift = _gift_of(order) or _made(order, codes.random_characters(), now)
    if gift.voucher.used_at is not None or _is_over(gift, now):
        return False
    VoucherBatch.objects.filter(pk=gift.voucher.batch_id).update(expires_at=now)
    return True


def end_codes(*, dispute: Dispute, refunded: int, now: datetime, actor: Actor) -> int:
    """Let codes be over that a dispute's money paid from a balance, as it is being lost.

    The newest first, and no more than what is lost: what balances still hold of it is not. One of
    which a part is lost stays good. What no unused code covers is owed to nobody who used one.

    Args:
        refunded: How much of it was owed back, and went by the dispute.

    Returns:
        What that covers of the loss: nobody is owed it, so it comes back to nobody.
    """
    sold, whole = claims.gifts_of(dispute.code)
    lost = whole = max(whole - refunded, 0)
    for order, minor in sold:
        if lost <= 0:
            break
        if minor <= lost and end_code(order=order, now=now):
            lost -= minor
            audit.record(
                now=now, actor=actor, action="gift.ended", subject=order.code, source=dispute.code
            )
        elif not is_used(order):
            lost -= owe_less(order=order, minor=min(minor, lost), now=now)
    for order, minor in sold:
        lost -= owe_less(order=order, minor=min(minor, lost), now=now)
    return whole - lost


def owe_less(*, order: Order, minor: int, now: datetime) -> int:
    """Owe so much less of the term that a gift's code paid, or will pay; returns how much.

    The term is theirs and goes on, but nothing goes back of it that its payer took back. A code
    that nobody used ends with the last part of its price.
    """
    if minor <= 0 or order.kind != Order.Kind.GIFT or order.state != Order.State.FULFILLED:
        return 0
    gift = _gift_of(order)
    payment = gift.voucher.payment if gift else None
    if payment is not None and payment.order is not None:
        return orders.note_lost(order=payment.order, minor=minor)
    if gift is not None and _is_over(gift, now):
        return 0
    noted = orders.note_lost(order=order, minor=minor)
    order.refresh_from_db()
    if order.lost_minor == order.refundable_minor:
        end_code(order=order, now=now)
    return noted


def _gift_of(order: Order) -> Gift | None:
    return (
        Gift.objects.select_related("voucher__batch", "voucher__payment__order")
        .filter(order=order)
        .first()
    )


def _is_over(gift: Gift, now: datetime) -> bool:
    ends_at = gift.voucher.batch.expires_at
    return ends_at is not None and ends_at <= now


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
