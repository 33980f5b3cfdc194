"""A code of a reseller's that was not used up: they owe so much less, and pay the customer back.

The customer paid the reseller, at a price that the shop does not know, so no money of the shop's
goes to them: a note says which share of the term was not used, and they ask the reseller with it.

Source: docs/decisions/0068-resold-codes.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Sum

from ferriage.core import audit
from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.orders.earning import unused_bps
from ferriage.orders.owedmodels import OwedTo
from ferriage.payments.models import ResellerCredit, Voucher

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.orders.models import Order
    from ferriage.payments.models import Refund


def is_resold(order: Order) -> bool:
    """Tell whether what is unused of an order is a reseller's."""
    return order.owed_to == OwedTo.RESELLER


def owe_less(*, refund: Refund, order: Order, now: datetime, actor: Actor) -> ResellerCredit:
    """Let a refund lower what a reseller owes, in the transaction that wrote it.

    Who has paid for all their codes has so much in advance.
    """
    voucher = Voucher.objects.select_related("batch__reseller").get(payment=refund.payment)
    reseller = voucher.batch.reseller
    assert reseller is not None  # noqa: S101 -- their code paid the order
    noted = ResellerCredit.objects.filter(refund__payment=refund.payment)
    before = noted.aggregate(total=Sum("unused_bps"))["total"] or 0
    assert order.ends_really_at is not None  # noqa: S101 -- it was ended
    credit = ResellerCredit.objects.create(
        reseller=reseller,
        refund=refund,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        unused_bps=unused_bps(order, order.ends_really_at) - before,
        at=now,
    )
    money = Money(refund.amount_minor, refund.currency)
    post(
        source_code=credit.code,
        kind="reseller-credited",
        transfers=[TransferLine("liabilities:refunds", reseller.receivable, money)],
        description=f"Refund {refund.code}: reseller {reseller.slug} owes less",
        now=now,
    )
    audit.record(
        now=now,
        actor=actor,
        action="reseller.credited",
        subject=reseller.code,
        credit=credit.code,
        amount=str(money),
    )
    return credit
