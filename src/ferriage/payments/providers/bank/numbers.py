"""The bank's own numbers of money that came: one is booked once, whoever was first to book it.

A line is booked under its number and our code, because not every bank's numbers are unique; what
staff type is booked under the number alone. So no constraint sees both: whoever books asks here,
in the transaction that books, and only one writes at a time.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Value
from django.db.models.functions import Replace, Upper

from ferriage.core.money import Money
from ferriage.payments.models import InboxEvent, Payment, ResellerPayment, StatementLine
from ferriage.payments.providers.bank.actions import ACCOUNT, PROVIDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import QuerySet

_MOST: Final = 5000
"""SQLite takes some ten thousand parameters at once; a file may name more by chance."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What staff booked by hand under a bank's number, and where it lies in the books.

    `payment` is a customer's; without it, `code` names what a reseller paid.
    """

    money: Money
    book_account: str
    code: str
    payment: Payment | None = None


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


def by_hand(references: Iterable[str]) -> dict[str, Typed]:
    """Return by its number what staff booked by hand, of anybody, and no line was yet.

    Not every bank's numbers are unique: what one line was booked as, no second one is.
    """
    booked: dict[str, Typed] = {}
    for part in parts({plain(reference) for reference in references if reference}):
        events = InboxEvent.objects.filter(
            provider=PROVIDER, event_id__in=part, payment__isnull=False
        )
        told = StatementLine.objects.filter(payment__in=events.values("payment"))
        for event in events.exclude(payment__in=told.values("payment")).select_related("payment"):
            assert event.payment is not None  # noqa: S101 -- filtered by
            money = Money(event.raw["amount_minor"], event.raw["currency"])
            lies_in = event.raw.get("account", ACCOUNT)
            booked[event.event_id] = Typed(money, lies_in, event.payment.code, event.payment)
        paid = ResellerPayment.objects.filter(
            book_account__startswith="assets:", transaction_id__in=part
        )
        noted = StatementLine.objects.filter(outcome="duplicate", note__in=paid.values("code"))
        for row in paid.exclude(code__in=noted.values("note")):
            money = Money(row.amount_minor, row.currency)
            booked.setdefault(row.transaction_id, Typed(money, row.book_account, row.code))
    return booked


def parts(named: set[str]) -> Iterator[list[str]]:
    """Return what a query asks for in parts that a database takes."""
    ordered = sorted(named)
    for start in range(0, len(ordered), _MOST):
        yield ordered[start : start + _MOST]
