"""What came, what was earned, for whom: every figure leads to the entries it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from django.http import Http404
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from ferriage.fleet.models import Gateway
from ferriage.ledger import income
from ferriage.web.shared import barchart

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.http import HttpResponse

    from ferriage.ledger.income import Month
    from ferriage.web.backoffice.access import StaffRequest

_DRAWN: Final = ("received", "earned", "refunded")
NAMES: Final = {
    "received": _("Received"),
    "earned": _("Earned"),
    "refunded": _("Refunded"),
    "other": _("Other"),
    "unearned": _("Unearned"),
    "unallocated": _("Money without an order"),
    "held": _("Vouchers and balances"),
    "queued": _("Refunds queued"),
}
_KINDS: Final = (
    ("service", _("Earned by service")),
    ("partner", _("Shares by partner")),
    ("hosting", _("Hosting by gateway")),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure of a month in minor units, as the entries page knows it."""

    figure: str
    minor: int


@dataclass(frozen=True, slots=True)
class Table:
    """Months by figures, with the sums below; `None` where a sum would say nothing."""

    title: object
    heads: Sequence[object]
    rows: list[tuple[date, list[tuple[object, Cell]]]]
    sums: list[tuple[object, Cell | None]]


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a service leaves after its partners' shares."""

    service: str
    earned_minor: int
    shares_minor: int

    @property
    def left_minor(self) -> int:
        """Earned less shares."""
        return self.earned_minor - self.shares_minor


def dashboard(request: StaffRequest) -> HttpResponse:
    """Show a year, month by month."""
    currencies = income.currencies()
    currency = request.GET.get("currency") or next(iter(currencies), "")
    months = income.months(currency)
    years = sorted({row.month.year for row in months}, reverse=True)
    year = _year(request, years)
    shown = [row for row in months if row.month.year == year]
    context = {
        "currency": currency,
        "currencies": currencies,
        "year": year,
        "years": years,
        "chart": barchart.draw([(row.month, _figures(row, _DRAWN)) for row in shown]),
        "drawn": [(name, NAMES[name]) for name in _DRAWN],
        "tables": [
            _table("", shown, tuple(NAMES), list(NAMES.values())),
            *_named_tables(shown),
        ],
        "contributions": _contributions(shown),
    }
    return render(request, "backoffice/income.html", context)


def entries(request: StaffRequest) -> HttpResponse:
    """List the entries behind a figure of a month, or of a year."""
    figure, currency = request.GET.get("figure", ""), request.GET.get("currency", "")
    year = request.GET.get("year", "")
    month = _month(f"{year}-01" if year else request.GET.get("month", ""))
    found = income.entries(
        figure,
        month=month,
        whole_year=bool(year),
        currency=currency,
        before=_before(request.GET.get("before")),
    )
    signed = [
        (row, row.amount_minor * income.sign(figure, row.debit.name, row.credit.name))
        for row in found.rows
    ]
    query = request.GET.copy()
    query.pop("before", None)
    kind, _colon, name = figure.partition(":")
    context = {
        "title": NAMES.get(kind) or name,
        "when": f"{month:%Y}" if year else f"{month:%Y-%m}",
        "currency": currency,
        "found": found,
        "signed": signed,
        "sums": income.sums(figure, month=month, whole_year=bool(year), currency=currency),
        "query": query.urlencode(),
    }
    return render(request, "backoffice/income_entries.html", context)


def _year(request: StaffRequest, years: list[int]) -> int:
    wanted = request.GET.get("year", "")
    if wanted.isdecimal() and int(wanted) in years:
        return int(wanted)
    return years[0] if years else request.now.year


def _month(text: str) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise Http404 from error


def _before(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _figures(row: Month, names: Iterable[str]) -> list[tuple[str, int]]:
    return [(name, row.figures.get(name, 0)) for name in names]


def _table(
    title: object, shown: list[Month], names: Sequence[str], heads: Sequence[object]
) -> Table:
    rows = [
        (
            row.month,
            [
                (head, Cell(name, minor))
                for head, (name, minor) in zip(heads, _figures(row, names), strict=True)
            ],
        )
        for row in shown
    ]
    sums = [
        (
            head,
            None
            if name in income.LEFT
            else Cell(name, sum(row.figures.get(name, 0) for row in shown)),
        )
        for head, name in zip(heads, names, strict=True)
    ]
    return Table(title, heads, rows, sums)


def _named_tables(shown: list[Month]) -> list[Table]:
    """Return a table for each kind of names that has any."""
    tables = []
    called = dict(Gateway.objects.values_list("code", "name"))
    for kind, title in _KINDS:
        names = sorted({name for row in shown for name in row.figures if _kind(name) == kind})
        if names:
            heads = [called.get(_name(name), _name(name)) for name in names]
            tables.append(_table(title, shown, names, heads))
    return tables


def _contributions(shown: list[Month]) -> list[Contribution]:
    services = sorted(
        {_name(name) for row in shown for name in row.figures if _kind(name) == "service"}
    )
    return [
        Contribution(
            service,
            sum(row.figures.get(f"service:{service}", 0) for row in shown),
            sum(row.figures.get(f"share:{service}", 0) for row in shown),
        )
        for service in services
    ]


def _kind(figure: str) -> str:
    return figure.partition(":")[0]


def _name(figure: str) -> str:
    return figure.partition(":")[2]
