"""What came, what was earned and what is owed, month by month, from the sums that posting keeps.

A figure is a set of movements between accounts. The same rule picks the sums that make a figure and
the entries that are listed behind it, so that what is shown can be added up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ferriage.ledger import chart
from ferriage.ledger.models import LedgerAccount, MonthFlow, Transfer
from ferriage.ledger.months import month_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from django.db.models import QuerySet

type Sign = int
"""1 when a movement adds to a figure, -1 when it takes from it, 0 when it is none of it.

What `other` counts of a movement may be more than one time its amount.
"""

_MOST_AT_ONCE: Final = 2000
"""Entries that are read at once to find those of one month."""


@dataclass(frozen=True, slots=True)
class Month:
    """The figures of one month, by name: `received`, `earned`, `service:home`, `partner:anna`.

    All are what moved in the month, but those of `LEFT` are what was left at its end.
    """

    month: date
    figures: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries behind a figure, newest first, and where the next page begins."""

    rows: list[Transfer]
    before: int | None


@dataclass(frozen=True, slots=True)
class Sums:
    """What all entries behind a figure come to, and what there was before them.

    `before_minor` is None for a figure that is only what moved.
    """

    moved_minor: int
    before_minor: int | None

    @property
    def left_minor(self) -> int:
        """What the figure is when they are added."""
        return self.moved_minor + (self.before_minor or 0)


def _is_money(account: str) -> bool:
    return account.startswith("assets:") and not account.startswith("assets:receivable")


def _received(debit: str, credit: str) -> Sign:
    """Tell what came from others: no owner's money, and nothing that was counted before.

    Money that a bank took back and sent again comes a second time as any money does; what it was
    counted as leaves by the same rule, and so does what was lost before an order took it.
    """
    came = _is_money(debit) and not _is_money(credit)
    again = credit == chart.REFUNDS or credit.startswith("equity:")
    return int(came and not again) - int(_is_money(credit) and debit == chart.UNALLOCATED)


def _refunded(debit: str, credit: str) -> Sign:
    """Tell what went back; a refund that nobody took comes out of it again."""
    went = _is_money(credit) and debit == chart.REFUNDS
    return int(went) - int(_is_money(debit) and credit == chart.REFUNDS)


def _earned(debit: str, credit: str) -> Sign:
    return credit.startswith("income:") - debit.startswith("income:")


def _in(*accounts: str) -> Callable[[str, str], Sign]:
    return lambda debit, credit: (credit in accounts) - (debit in accounts)


_LEFT: Final[Mapping[str, Callable[[str, str], Sign]]] = {
    "unearned": _in(chart.UNEARNED),
    "unallocated": _in(chart.UNALLOCATED),
    "held": _in(chart.CREDITS, chart.VOUCHERS),
    "queued": _in(chart.REFUNDS),
}
LEFT: Final = frozenset(_LEFT)
"""The figures that are what was left at the end of a month."""


def _other(debit: str, credit: str) -> Sign:
    """Return what of a movement no other figure explains, such as tax or what resellers owe."""
    explained = (_earned, _refunded, *_LEFT.values())
    return _received(debit, credit) - sum(figure(debit, credit) for figure in explained)


WHOLE: Final[Mapping[str, Callable[[str, str], Sign]]] = {
    "received": _received,
    "earned": _earned,
    "refunded": _refunded,
    "other": _other,
    **_LEFT,
}
"""The figures of the shop as a whole.

What was received since the first month is all that was earned, refunded and other, and what is left
of each figure in `LEFT`.
"""


_KINDS: Final = {
    "income:": "service",
    "liabilities:partner:": "partner",
    "expenses:partner-share:": "share",
    "expenses:hosting:": "hosting",
}
"""What the names in accounts are names of."""


def sign(figure: str, debit: str, credit: str) -> Sign:
    """Return what a movement from `credit` to `debit` is to a figure."""
    if figure in WHOLE:
        return WHOLE[figure](debit, credit)
    kind, _colon, name = figure.partition(":")
    if kind == "service":
        account = chart.income_of(name)
        return (credit == account) - (debit == account)
    if kind == "partner":
        return int(credit == chart.partner(name) and debit.startswith("expenses:partner-share:"))
    if kind == "share":
        return int(debit == chart.partner_share(name))
    if kind == "hosting":
        return (debit == chart.hosting(name)) - (credit == chart.hosting(name))
    return 0


def figures_of(debit: str, credit: str) -> set[str]:
    """Return the figures that a movement may be part of, the shop's and those of its own names."""
    found = set(WHOLE)
    for account in (debit, credit):
        for beginning, kind in _KINDS.items():
            if account.startswith(beginning):
                found.add(f"{kind}:{account.removeprefix(beginning)}")
    return found


def currencies() -> list[str]:
    """Return the currencies of the books, in the order of the alphabet."""
    return sorted(set(LedgerAccount.objects.values_list("currency", flat=True)))


def months(currency: str) -> list[Month]:
    """Return every month in which something moved, oldest first; one query."""
    rows = MonthFlow.objects.filter(debit__currency=currency).values_list(
        "month", "debit__name", "credit__name", "amount_minor"
    )
    by_month: dict[date, Counter[str]] = {}
    for month, debit, credit, minor in rows.order_by("month"):
        sums = by_month.setdefault(month, Counter())
        for figure in figures_of(debit, credit):
            if direction := sign(figure, debit, credit):
                sums[figure] += direction * minor
    left, found = dict.fromkeys(_LEFT, 0), []
    for month, sums in by_month.items():
        left = {name: minor + sums[name] for name, minor in left.items()}
        found.append(Month(month, {**sums, **left}))
    return found


def sums(figure: str, *, month: date, whole_year: bool = False, currency: str) -> Sums:
    """Return what the entries behind a figure come to, however many pages they fill; one query.

    Args:
        whole_year: Those of the month's year instead.
    """
    first = month.replace(month=1) if whole_year else month
    last = month.replace(month=12) if whole_year else month
    flows = MonthFlow.objects.filter(month__lte=last, debit__currency=currency)
    if figure not in LEFT:
        flows = flows.filter(month__gte=first)
    found = flows.values_list("month", "debit__name", "credit__name", "amount_minor")
    before = moved = 0
    for of_month, debit, credit, minor in found:
        if of_month < first:
            before += sign(figure, debit, credit) * minor
        else:
            moved += sign(figure, debit, credit) * minor
    return Sums(moved, before if figure in LEFT else None)


def entries(
    figure: str,
    *,
    month: date,
    whole_year: bool = False,
    currency: str,
    before: int | None = None,
    limit: int = 50,
) -> Entries:
    """Return the entries that a figure's sum of a month was made of, a page at a time.

    The sums say between which numbers they stand, and each pair of accounts is asked by an index of
    its own, so that old months are found as fast as new ones.

    Args:
        whole_year: Those of the month's year instead.
    """
    when = {"month__year": month.year} if whole_year else {"month": month}
    flows = MonthFlow.objects.filter(**when, debit__currency=currency)
    if before is not None:
        flows = flows.filter(first_id__lt=before)
    rows: list[Transfer] = []
    for flow in flows.select_related("debit", "credit").order_by("-last_id"):
        if len(rows) > limit and rows[limit].pk > flow.last_id:
            break  # What is left is older than the page.
        if sign(figure, flow.debit.name, flow.credit.name):
            rows += _of_flow(flow, before, limit + 1)
            rows.sort(key=lambda row: -row.pk)
    return _page(rows, limit)


def _of_flow(flow: MonthFlow, before: int | None, most: int) -> list[Transfer]:
    """Return the newest entries of a sum, up to so many.

    Months are told apart here: a database that is asked for one may walk all transactions instead
    of the pair's index. Hardly ever is another month's entry between two of one.
    """
    last = flow.last_id if before is None else min(flow.last_id, before - 1)
    pair = _rows().filter(debit=flow.debit_id, credit=flow.credit_id, pk__gte=flow.first_id)
    found: list[Transfer] = []
    size = most
    while len(found) < most:
        page = list(pair.filter(pk__lte=last)[:size])
        found += [row for row in page if month_of(row.transaction.posted_at) == flow.month]
        if len(page) < size:
            break
        last, size = page[-1].pk - 1, min(2 * size, _MOST_AT_ONCE)
    return found[:most]


def entries_of_account(
    account: LedgerAccount, *, before: int | None = None, limit: int = 50
) -> Entries:
    """Return an account's entries, a page at a time.

    Each side is asked by an index of its own; asked for together they would be sorted anew.
    """
    rows: list[Transfer] = []
    for side in ("debit", "credit"):
        found = _rows().filter(**{side: account})
        if before is not None:
            found = found.filter(pk__lt=before)
        rows += found[: limit + 1]
    rows.sort(key=lambda row: -row.pk)
    return _page(rows, limit)


def _rows() -> QuerySet[Transfer]:
    return Transfer.objects.select_related("transaction", "debit", "credit").order_by("-pk")


def _page(rows: list[Transfer], limit: int) -> Entries:
    shown = rows[:limit]
    return Entries(shown, shown[-1].pk if len(rows) > limit else None)
