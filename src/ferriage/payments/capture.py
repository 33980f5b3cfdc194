"""From money that came to what it did: shared by every provider.

The receipt is posted to `liabilities:unallocated` first. If the order takes it, settlement moves
it on; if not, it becomes a refund, or stays where it is until staff decide. All in the caller's
transaction, so a refused settlement never rolls back the receipt.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.compiled import update
from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.ledger.actions import Posting, TransferLine, post, post_all
from ferriage.orders.actions import Refused, settle
from ferriage.payments.models import Payment, Refund

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor

Outcome = Literal["settled", "refund", "unallocated", "credited", "returned", "duplicate"]


@dataclass(frozen=True, slots=True)
class Captured:
    """What became of money that came. `reason` is a slug, empty when it settled its order."""

    payment: Payment
    outcome: Outcome
    reason: str = ""


def post_receipt(payment: Payment, *, from_accounts: list[tuple[str, int]], now: datetime) -> None:
    """Post what was received to `liabilities:unallocated`, from the accounts that hold it."""
    post_all([receipt_of(payment, from_accounts)], now=now)


def receipt_of(payment: Payment, from_accounts: list[tuple[str, int]]) -> Posting:
    """Return what is posted of money that came, by the accounts that hold it."""
    lines = tuple(
        TransferLine(account, "liabilities:unallocated", Money(minor, payment.currency))
        for account, minor in from_accounts
        if minor
    )
    text = f"Payment {payment.code} by {payment.provider}"
    return Posting(payment.code, "receipt", lines, text)


def settle_or_refund(
    payment: Payment,
    *,
    refundable_minor: int,
    receipt: Posting,
    payer_place: str = "",
    parked: frozenset[str] = frozenset(),
    now: datetime,
    actor: Actor,
) -> Captured:
    """Post what was received, and settle the payment's order; what it does not take is queued.

    Args:
        receipt: As `receipt_of` makes it; posted with the sale at once where there is one.
        payer_place: Where the means of payment presumes the payer; empty presumes nothing.
        parked: Reasons for which the money waits for staff instead.
    """
    assert payment.order is not None  # noqa: S101 -- only called for a matched payment
    result = settle(
        order=payment.order,
        refundable_minor=refundable_minor,
        receipt=[receipt],
        payer_place=payer_place,
        now=now,
        actor=actor,
    )
    if isinstance(result, Refused) and result.reason in parked:
        finish(payment, outcome="unallocated", now=now, actor=actor, reason=result.reason)
        return Captured(payment, "unallocated", result.reason)
    if isinstance(result, Refused):
        assert payment.received_minor is not None  # noqa: S101 -- a constraint of captured payments
        received = Money(payment.received_minor, payment.currency)
        finish(payment, outcome="refund", now=now, actor=actor, reason=result.reason)
        owe_back(payment, received, kind=Refund.Kind.NOT_SETTLED, reason=result.reason, now=now)
        return Captured(payment, "refund", result.reason)
    finish(payment, outcome="settled", now=now, actor=actor)
    return Captured(payment, "settled")


def finish(
    payment: Payment, *, outcome: Outcome, now: datetime, actor: Actor, reason: str = ""
) -> None:
    """Note what became of a captured payment."""
    payment.outcome = outcome
    payment.reason = reason
    update(Payment, {"pk": payment.pk}, outcome=outcome, reason=reason)
    audit.record(
        now=now,
        actor=actor,
        action="payment.captured",
        subject=payment.code,
        provider=payment.provider,
        outcome=outcome,
        reason=reason,
    )


def owe_back(payment: Payment, money: Money, *, kind: str, reason: str, now: datetime) -> Refund:
    """Move what came, or is left of it, from unallocated to refunds, and queue it."""
    post(
        source_code=payment.code,
        kind="owed",
        transfers=[TransferLine("liabilities:unallocated", "liabilities:refunds", money)],
        description=f"Payment {payment.code}: to be refunded",
        now=now,
    )
    return Refund.objects.create(
        payment=payment,
        kind=kind,
        amount_minor=money.amount_minor,
        currency=money.currency,
        reason=reason,
        created_at=now,
    )


def change_once(changed: int) -> None:
    """Refuse unless a compare-and-set changed its one row.

    Raises:
        StaleState: Another writer was first.
    """
    if changed != 1:
        raise StaleState(_("This was changed just now."), _("Look again."))
