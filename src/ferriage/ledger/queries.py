from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncMonth

from ferriage.ledger import chart
from ferriage.ledger.models import Closing, LedgerAccount, LedgerTransaction, MonthFlow, Transfer
from ferriage.ledger.months import begins_at, ends_at, month_of, next_month

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date, datetime

    from django.db.models import QuerySet


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """One account's sums. `balance_minor` is debit less credit: positive for what we have."""

    name: str
    currency: str
    debit_minor: int
    credit_minor: int

    @property
    def balance_minor(self) -> int:
        """Debit less credit."""
        return self.debit_minor - self.credit_minor


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the books that may not be, in words."""

    account: str
    message: str


@dataclass(frozen=True, slots=True)
class Posted:
    """What was posted of one source and kind: the sum, and in how many transactions."""

    total_minor: int
    count: int


def trial_balance(at: datetime | None = None) -> list[AccountBalance]:
    """Return every account's sums, by name and currency; debits and credits sum alike.

    Whole months come from their sums, so that it takes no longer with more transactions.

    Args:
        at: Count postings up to this instant, inclusive; all of them without it.
    """
    debits, credits_ = Counter[int](), Counter[int]()
    for debit, credit, minor in _pairs(at):
        debits[debit] += minor
        credits_[credit] += minor
    return [
        AccountBalance(account.name, account.currency, debits[account.pk], credits_[account.pk])
        for account in LedgerAccount.objects.order_by("name", "currency")
    ]


def _pairs(at: datetime | None) -> Iterator[tuple[int, int, int]]:
    """Yield debit, credit and amount: of whole months, and of the one that `at` cuts."""
    flows = MonthFlow.objects.filter(month__lt=month_of(at)) if at else MonthFlow.objects
    yield from _by_pair(flows.values_list("debit", "credit"))
    if at:
        begun = Transfer.objects.filter(
            transaction__posted_at__gte=begins_at(month_of(at)), transaction__posted_at__lte=at
        )
        yield from _by_pair(begun.values_list("debit", "credit"))


def _by_pair(
    rows: QuerySet[MonthFlow, tuple[int, int]] | QuerySet[Transfer, tuple[int, int]],
) -> list[tuple[int, int, int]]:
    return list(rows.annotate(total=Sum("amount_minor")).order_by())


def balance(name: str, currency: str, at: datetime | None = None) -> int:
    """Return debit less credit of one account; 0 for one that was never named."""
    account = LedgerAccount.objects.filter(name=name, currency=currency).first()
    if account is None:
        return 0
    found = 0
    for debit, credit, minor in _pairs(at):
        found += minor * ((debit == account.pk) - (credit == account.pk))
    return found


def entries(source_code: str) -> list[Transfer]:
    """Return the transfers posted for one source, in order of posting."""
    return list(_transfers().filter(transaction__source_code=source_code).order_by("pk"))


def entries_of_account(
    name: str, *, before_pk: int | None = None, limit: int = 100
) -> list[Transfer]:
    """Return an account's transfers, newest first, a page at a time by primary key."""
    found = _transfers().filter(Q(debit__name=name) | Q(credit__name=name))
    if before_pk is not None:
        found = found.filter(pk__lt=before_pk)
    return list(found.order_by("-pk")[:limit])


def posted(*, source_codes: Sequence[str], kind: str) -> dict[str, Posted]:
    """Return by source what was posted of a kind so far; zero for those that have nothing."""
    rows = (
        Transfer.objects.filter(transaction__source_code__in=source_codes, transaction__kind=kind)
        .values("transaction__source_code")
        .annotate(total=Sum("amount_minor"), count=Count("transaction", distinct=True))
        .values_list("transaction__source_code", "total", "count")
        .order_by()
    )
    found = {source: Posted(total, count) for source, total, count in rows}
    return {source: found.get(source, Posted(0, 0)) for source in source_codes}


def posted_in_all(*, kinds: Sequence[str], currency: str) -> int:
    """Return the sum of everything posted of some kinds in one currency."""
    found = Transfer.objects.filter(transaction__kind__in=kinds, currency=currency)
    return found.aggregate(total=Sum("amount_minor"))["total"] or 0


def closed_until() -> datetime | None:
    """Return the first instant that may still be posted at; none while no month is closed."""
    return Closing.objects.order_by("-until").values_list("until", flat=True).first()


def month_to_close(now: datetime) -> date | None:
    """Return the first month that is over and not closed; none when there is none."""
    month = next_to_close()
    return month if month is not None and ends_at(month) <= now else None


def next_to_close() -> date | None:
    """Return the month after the last closed one, or the first with an entry; none without any."""
    closed = Closing.objects.order_by("-month").values_list("month", flat=True).first()
    first = MonthFlow.objects.order_by("month").values_list("month", flat=True).first()
    return next_month(closed) if closed else first


def check() -> list[Finding]:
    """Return what is wrong with the books in themselves; empty is right.

    It reads every transfer. What each order and payment must have posted is checked by the rooms
    that know them.
    """
    findings = [
        Finding(str(row), "a transfer between currencies")
        for row in Transfer.objects.exclude(
            debit__currency=F("currency"), credit__currency=F("currency")
        )
    ]
    bare = LedgerTransaction.objects.filter(transfers__isnull=True)
    findings += [Finding(row.source_code, "a transaction that moves nothing") for row in bare]
    loose = LedgerTransaction.objects.filter(link__isnull=True)
    findings += [Finding(row.source_code, "a transaction outside the chain") for row in loose]
    return [*findings, *_sums_that_differ(), *_account_findings()]


def _sums_that_differ() -> Iterator[Finding]:
    """Compare the sums that pages read with the transfers they were made of."""
    kept = {
        (flow.month, flow.debit_id, flow.credit_id): (flow.amount_minor, flow.entries)
        for flow in MonthFlow.objects.all()
    }
    rows = (
        Transfer.objects.annotate(month=TruncMonth("transaction__posted_at", tzinfo=UTC))
        .values_list("month", "debit", "credit")
        .annotate(total=Sum("amount_minor"), count=Count("pk"))
        .order_by()
    )
    made = {(month.date(), *pair): (total, count) for month, *pair, total, count in rows}
    names = dict(LedgerAccount.objects.values_list("pk", "name"))
    for key in sorted(kept.keys() | made.keys()):
        if kept.get(key) != made.get(key):
            month, debit, credit = key
            yield Finding(
                f"{names[debit]} from {names[credit]}",
                f"{month:%Y-%m} is kept as {kept.get(key)}, its entries make {made.get(key)}",
            )


def _account_findings() -> Iterator[Finding]:
    for row in trial_balance():
        entry = chart.entry_of(row.name)
        wrong_side = (
            row.balance_minor < 0 if chart.grows_on_debit(row.name) else (row.balance_minor > 0)
        )
        if entry is None:
            yield Finding(f"{row.name} {row.currency}", "is not in the chart of accounts")
        elif wrong_side and entry.never_negative:
            yield Finding(f"{row.name} {row.currency}", f"is negative: {row.balance_minor}")


def _transfers() -> QuerySet[Transfer]:
    return Transfer.objects.select_related("transaction", "debit", "credit")
