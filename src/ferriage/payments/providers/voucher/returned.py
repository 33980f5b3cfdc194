"""A reseller's payment that its bank took back for good: they owe it again.

The codes stay as they are, for customers hold some of them; what is unsold can be taken back.

Source: docs/how-to/resellers.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Sum

from ferriage.core import audit
from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.payments.models import ResellerPayment, ResellerReturn

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.payments.models import Dispute

UNALLOCATED: Final = "liabilities:unallocated"


def owe_again(*, dispute: Dispute, money: Money, now: datetime, actor: Actor) -> int:
    """Let a lost dispute raise what a reseller owes, in the caller's transaction.

    Returns:
        How much of `money` a reseller had paid with the disputed payment; 0 for any other payment.
    """
    paid = (
        ResellerPayment.objects.filter(
            book_account=UNALLOCATED, transaction_id=dispute.payment.code, currency=money.currency
        )
        .select_related("reseller")
        .first()
    )
    if paid is None:
        return 0
    gone = paid.returns.aggregate(total=Sum("amount_minor"))["total"] or 0
    back = Money(min(money.amount_minor, paid.amount_minor - gone), money.currency)
    if back.amount_minor <= 0:
        return 0
    row = ResellerReturn.objects.create(
        payment=paid, dispute=dispute, amount_minor=back.amount_minor, at=now
    )
    post(
        source_code=row.code,
        kind="reseller-returned",
        transfers=[TransferLine(paid.reseller.receivable, dispute.asset, back)],
        description=f"Payment {paid.code} of reseller {paid.reseller.slug}: taken back for good",
        now=now,
    )
    audit.record(
        now=now,
        actor=actor,
        action="reseller.payment-returned",
        subject=paid.reseller.code,
        payment=paid.code,
        amount=str(back),
    )
    return back.amount_minor
