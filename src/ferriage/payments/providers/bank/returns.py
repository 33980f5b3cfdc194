"""Which payment a line took back: by its reference, or by the number of the line that brought it.

Source: docs/decisions/0057-recalls.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage.payments import recalls
from ferriage.payments.models import Payment
from ferriage.payments.providers.bank import reference as references
from ferriage.payments.providers.bank.actions import PROVIDER
from ferriage.payments.providers.bank.models import StatementLine

if TYPE_CHECKING:
    from django.db.models import QuerySet

_TELLING: Final = 6
"""A shorter number of the bank's could stand in a text by chance."""


def payment_taken_back(line: StatementLine) -> Payment | None:
    """Return the one payment of exactly this amount that a bank says it took back.

    By what its payer quoted, or by the bank's own number of the line that brought it.
    """
    same = Payment.objects.filter(
        provider=PROVIDER, received_minor=-line.amount_minor, currency=line.currency
    )
    named = same.filter(reference__in=references.found_in(line.text))
    found = [*named[:2]] or _brought_by_number(line, same)
    return found[0] if len(found) == 1 and not recalls.is_taken(found[0]) else None


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
