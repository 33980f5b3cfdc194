"""Which payment a line took back: by its reference, or by the number of the line that brought it.

Source: docs/decisions/0057-recalls.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Q

from ferriage.payments import recalls
from ferriage.payments.models import Payment, Refund
from ferriage.payments.providers.bank import reference as references
from ferriage.payments.providers.bank.actions import PROVIDER
from ferriage.payments.providers.bank.models import StatementLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

_TELLING: Final = 6
"""A shorter number of the bank's could stand in a text by chance."""


def payment_taken_back(line: StatementLine) -> Payment | None:
    """Return the one payment of exactly this amount that a bank says it took back.

    By what its payer quoted, or by the bank's own number of the line that brought it. Of several
    that quoted the same, one that waits to go back is the one; where none does, staff must say.
    """
    same = Payment.objects.filter(
        provider=PROVIDER, received_minor=-line.amount_minor, currency=line.currency
    )
    named = came_by(references.found_in(line.text)) & same
    found = [one for one in named.order_by("pk") if not recalls.is_taken(one)]
    numbered = _brought_by_number(line, same)
    if len(found) > 1 and len(told := [one for one in found if one in numbered]) == 1:
        return told[0]
    waiting = [one for one in found if len(found) > 1 and _waits(one)]
    found = waiting[:1] or found or numbered
    return found[0] if len(found) == 1 and not recalls.is_taken(found[0]) else None


def came_by(quoted: Sequence[str]) -> QuerySet[Payment]:
    """Return the payments that came by one of these references: a second one has none of its own.

    What came again for another one stands for that.
    """
    asked = Payment.objects.filter(reference__in=quoted, order__isnull=False).values("order")
    mine = Q(reference__in=quoted) | Q(order__in=asked, reference=None)
    came = Payment.objects.filter(provider=PROVIDER, state=Payment.State.CAPTURED)
    return came.filter(mine).exclude(outcome="returned")


def _waits(payment: Payment) -> bool:
    """Tell whether all of a payment waits to go back, or for staff; then nobody is held for it."""
    if payment.outcome == "unallocated":
        return True
    came = payment.received_minor or 0
    whole = payment.refunds.filter(state=Refund.State.QUEUED, amount_minor=came)
    return payment.outcome == "refund" and whole.exists()


def _brought_by_number(line: StatementLine, same: QuerySet[Payment]) -> list[Payment]:
    """Return the payments whose line has a number that stands in the text of this one."""
    brought = StatementLine.objects.filter(
        account=line.account,
        payment__in=same,
        amount_minor=-line.amount_minor,
        booked_on__lte=line.booked_on,
    ).select_related("payment")
    said = line.text.casefold()
    return [
        one.payment
        for one in brought
        if one.payment
        and len(one.bank_reference) >= _TELLING
        and one.bank_reference.casefold() in said
    ]
