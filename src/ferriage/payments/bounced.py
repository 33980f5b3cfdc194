"""A refund that could not be delivered: it is owed again, and queued again.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.money import Money
from ferriage.ledger import queries as ledger
from ferriage.ledger.actions import TransferLine, post
from ferriage.payments import bounds
from ferriage.payments.capture import change_once
from ferriage.payments.models import Refund

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor


def bounce_refund(*, refund: Refund, into: str, now: datetime, actor: Actor) -> Refund:
    """Queue a paid refund again whose money came back into an account of the books.

    If its payer took money back meanwhile, what is left of it.

    Raises:
        StaleState: It is not paid, or a dispute paid it.
    """
    with writing():
        change_once(
            Refund.objects.filter(pk=refund.pk, state=Refund.State.PAID, dispute=None).update(
                state=Refund.State.QUEUED, paid_at=None, paid_reference=""
            )
        )
        before = ledger.posted(source_codes=[refund.code], kind="refund-returned")[refund.code]
        money = Money(refund.amount_minor, refund.currency)
        post(
            source_code=refund.code,
            kind="refund-returned",
            transfers=[TransferLine(into, "liabilities:refunds", money)],
            description=f"Refund {refund.code} came back",
            sequence=before.count,
            now=now,
        )
        audit.record(
            now=now, actor=actor, action="refund.returned", subject=refund.code, amount=str(money)
        )
        refund.refresh_from_db()
        bounds.cut_down(refund=refund, now=now, actor=actor)
    refund.refresh_from_db()
    return refund
