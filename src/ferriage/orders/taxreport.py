"""What is owed to authorities for a quarter, and how near the shop is to the Union's threshold.

From the documents, which hold net, tax, rate and place as they were; `papercheck` compares them
with the books. A credit note belongs to the quarter that it is issued in; where its invoice is of
an earlier one it is listed as a correction of that one, as the one stop shop asks for it.

Source: docs/explanation/tax.md
"""

from __future__ import annotations

import csv as csv_format
import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from django.db.models import Count, F, Sum

from ferriage.core.money import Money
from ferriage.ledger.queries import trial_balance
from ferriage.orders.models import Document, Order
from ferriage.orders.tax import EU

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ferriage.orders.models import TaxSetup

THRESHOLD: Final = Money(10_000_00, "EUR")
"""Net sales of a year to consumers in other members up to which they may be taxed at home
(Directive 2006/112/EC, article 59c)."""
_MONTHS: Final = 3
_YEAR: Final = re.compile(r"2[0-9]{3}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Quarter:
    """A quarter of a year in UTC, such as 2026-Q1."""

    year: int
    number: int

    @classmethod
    def of(cls, at: datetime) -> Quarter:
        """Return the quarter of an instant."""
        utc = at.astimezone(UTC)
        return cls(utc.year, (utc.month - 1) // _MONTHS + 1)

    @classmethod
    def read(cls, text: str) -> Quarter | None:
        """Return what `2026-Q1` names, or nothing."""
        year, _dash, number = text.partition("-Q")
        if not _YEAR.fullmatch(year) or number not in {"1", "2", "3", "4"}:
            return None
        return cls(int(year), int(number))

    @property
    def begins_at(self) -> datetime:
        """Its first instant."""
        return datetime(self.year, _MONTHS * (self.number - 1) + 1, 1, tzinfo=UTC)

    @property
    def next(self) -> Quarter:
        """The one that follows."""
        return Quarter(self.year + self.number // 4, self.number % 4 + 1)

    def __str__(self) -> str:
        return f"{self.year}-Q{self.number}"


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """Supplies to a place at a rate; `corrects` is the earlier quarter, or empty."""

    corrects: str
    place: str
    rate_bps: int
    currency: str
    net_minor: int
    tax_minor: int

    @property
    def net(self) -> Money:
        """What was supplied, without tax; below zero where more was taken back."""
        return Money(self.net_minor, self.currency)

    @property
    def tax(self) -> Money:
        """The tax on it."""
        return Money(self.tax_minor, self.currency)


@dataclass(frozen=True, slots=True)
class Watch:
    """How much of the threshold a year has used; `other` is what is in other currencies."""

    year: int
    used: Money
    other: tuple[Money, ...]

    @property
    def percent(self) -> int:
        """Of the threshold, rounded down."""
        return max(self.used.amount_minor, 0) * 100 // THRESHOLD.amount_minor


def report(quarter: Quarter) -> list[Line]:
    """Return a quarter's lines, its own first, then corrections of earlier quarters."""
    rows = Document.objects.filter(
        issued_at__gte=quarter.begins_at, issued_at__lt=quarter.next.begins_at, tax_state="taxed"
    ).values_list(
        "kind",
        "tax_place",
        "tax_rate",
        "currency",
        "net_minor",
        "tax_minor",
        "corrects__issued_at",
    )
    sums: dict[tuple[str, str, int, str], list[int]] = {}
    for kind, place, rate, currency, net, tax, invoiced_at in rows.iterator(chunk_size=2000):
        invoiced = Quarter.of(invoiced_at) if invoiced_at else quarter
        corrects = str(invoiced) if invoiced != quarter else ""
        sign = 1 if kind == "invoice" else -1
        held = sums.setdefault((corrects, place, rate, currency), [0, 0])
        held[0] += sign * net
        held[1] += sign * tax
    return sorted(Line(*key, net, tax) for key, (net, tax) in sums.items())


def csv(quarter: Quarter) -> Iterator[str]:
    """Yield a quarter's lines with a heading, for whoever files the return."""
    yield "quarter,corrects,place,rate_percent,currency,net,tax\n"
    for line in report(quarter):
        out = io.StringIO()
        rate = f"{line.rate_bps / 100:.2f}"
        cells = (quarter, line.corrects, line.place, rate, line.currency)
        writer = csv_format.writer(out, lineterminator="\n")
        writer.writerow((*cells, line.net.decimal(), line.tax.decimal()))
        yield out.getvalue()


def owed() -> list[tuple[str, Money]]:
    """Return what the books owe to each place's authority, in each currency."""
    return [
        (row.name.rpartition(":")[2], Money(-row.balance_minor, row.currency))
        for row in trial_balance()
        if row.name.startswith("liabilities:tax:") and row.balance_minor
    ]


def watch(setup: TaxSetup, year: int) -> Watch | None:
    """Return how near a year is to the threshold; nothing for a seller outside of the Union."""
    if setup.home_place not in EU:
        return None
    signs = {"invoice": 1, "credit": -1}
    # By the order's own place: taxed at home, a sale to another member counts all the same.
    rows = (
        Document.objects.filter(
            issued_at__gte=Quarter(year, 1).begins_at,
            issued_at__lt=Quarter(year + 1, 1).begins_at,
        )
        .exclude(tax_state="reverse")
        .annotate(country=F("order__place"))
        .values_list("kind", "country", "currency")
        .annotate(net=Sum("net_minor"))
        .order_by()
    )
    sums: dict[str, int] = {}
    for kind, place, currency, net in rows:
        if place[:2] in EU and place[:2] != setup.home_place:
            sums[currency] = sums.get(currency, 0) + signs[kind] * net
    euros = Money(sums.pop("EUR", 0), "EUR")
    return Watch(
        year, euros, tuple(Money(minor, code) for code, minor in sorted(sums.items()) if minor)
    )


def untaxed_by_doubt() -> list[tuple[str, str, int]]:
    """Return orders that were fulfilled without anybody knowing the tax: state, place, how many."""
    rows = (
        Order.objects.filter(state=Order.State.FULFILLED, tax_state__in=["unset", "unknown"])
        .filter(refundable_minor__gt=0)
        .exclude(kind=Order.Kind.TOPUP)
        .values_list("tax_state", "place")
        .annotate(number=Count("pk"))
        .order_by("tax_state", "place")
    )
    return list(rows)
