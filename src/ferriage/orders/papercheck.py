"""Where tax and documents do not agree with the orders and the books; empty is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count, Max, Sum

from ferriage.ledger.queries import Finding, trial_balance
from ferriage.orders import tax
from ferriage.orders.models import Document, Series, TaxRemittance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet


def check() -> list[Finding]:
    """Return what is wrong: tax that the books do not hold, numbers that are missing."""
    return [*_tax(), *_numbers()]


def _tax() -> Iterator[Finding]:
    """Compare what the books owe to authorities with the orders and with the documents."""
    held: dict[str, int] = {}
    for row in trial_balance():
        if row.name.startswith("liabilities:tax:"):
            held[row.currency] = held.get(row.currency, 0) - row.balance_minor
    for currency, minor in sorted(held.items()):
        paid = _sum(TaxRemittance.objects.filter(currency=currency), "amount_minor")
        expected = tax.owed_to_authorities(currency)
        documents = Document.objects.filter(currency=currency)
        written = _sum(documents.filter(kind="invoice"), "tax_minor") - _sum(
            documents.filter(kind="credit"), "tax_minor"
        )
        for source, due in (("the orders", expected), ("the documents", written)):
            if minor + paid != due:
                yield Finding(
                    f"liabilities:tax {currency}", f"holds {minor + paid}, by {source} {due}"
                )


def _numbers() -> Iterator[Finding]:
    counted = Series.objects.annotate(
        written=Count("documents"), last=Max("documents__number")
    ).order_by("pk")
    for series in counted:
        if not series.taken == series.written == (series.last or 0):
            name = f"{series.kind} {series.year}"
            yield Finding(name, f"{series.written} documents under {series.taken} numbers")


def _sum(rows: QuerySet[Document] | QuerySet[TaxRemittance], field: str) -> int:
    total: int | None = rows.aggregate(total=Sum(field))["total"]
    return total or 0
