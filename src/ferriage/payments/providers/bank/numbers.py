"""The bank's own numbers of money that came: one is booked once, whoever was first to book it.

A line is booked under its number and our code, because not every bank's numbers are unique; what
staff type is booked under the number alone. So no constraint sees both: whoever books asks here,
in the transaction that books, and only one writes at a time.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Value
from django.db.models.functions import Replace, Upper

from ferriage.payments.models import InboxEvent, ResellerPayment, StatementLine
from ferriage.payments.providers.bank.actions import PROVIDER

if TYPE_CHECKING:
    from django.db.models import QuerySet


def plain(number: str) -> str:
    """Return a number as numbers are compared: without blanks and in capitals."""
    return "".join(number.split()).upper()


def typed(number: str) -> InboxEvent | None:
    """Return the receipt that staff booked under a number."""
    return InboxEvent.objects.filter(provider=PROVIDER, event_id=plain(number)).first()


def lines(number: str) -> QuerySet[StatementLine]:
    """Return the booked lines that brought money under a number, oldest first."""
    as_compared = Upper(Replace("bank_reference", Value(" "), Value("")))
    return (
        StatementLine.objects.filter(amount_minor__gt=0, state=StatementLine.State.DONE)
        .exclude(bank_reference="")
        .alias(as_compared=as_compared)
        .filter(as_compared=plain(number))
        .order_by("pk")
    )


def resellers_payment(number: str) -> ResellerPayment | None:
    """Return what staff booked under a number as paid by a reseller."""
    return ResellerPayment.objects.filter(
        book_account__startswith="assets:", transaction_id=plain(number)
    ).first()
