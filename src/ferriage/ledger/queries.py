from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, F, Q, Sum

from ferriage.ledger.models import LedgerAccount, LedgerTransaction, Transfer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

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

    Args:
        at: Count postings up to this instant, inclusive; all of them without it.
    """
    transfers = Transfer.objects.filter(transaction__posted_at__lte=at) if at else Transfer.objects
    debits = _sums(transfers.values_list("debit"))
    credits_ = _sums(transfers.values_list("credit"))
    return [
        AccountBalance(
            account.name, account.currency, debits.get(account.pk, 0), credits_.get(account.pk, 0)
        )
        for account in LedgerAccount.objects.order_by("name", "currency")
    ]


def _sums(transfers: QuerySet[Transfer, tuple[int]]) -> dict[int, int]:
    return dict(transfers.annotate(total=Sum("amount_minor")).order_by())


def balance(name: str, currency: str, at: datetime | None = None) -> int:
    """Return debit less credit of one account; 0 for one that was never named."""
    account = LedgerAccount.objects.filter(name=name, currency=currency).first()
    if account is None:
        return 0
    transfers = Transfer.objects.filter(Q(debit=account) | Q(credit=account))
    if at:
        transfers = transfers.filter(transaction__posted_at__lte=at)
    sums = transfers.aggregate(
        debit=Sum("amount_minor", filter=Q(debit=account)),
        credit=Sum("amount_minor", filter=Q(credit=account)),
    )
    return (sums["debit"] or 0) - (sums["credit"] or 0)


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


def check() -> list[Finding]:
    """Return what is wrong with the books in themselves; empty is right.

    What each order and payment must have posted is checked by the rooms that know them.
    """
    findings = [
        Finding(str(row), "a transfer between currencies")
        for row in Transfer.objects.exclude(
            debit__currency=F("currency"), credit__currency=F("currency")
        )
    ]
    bare = LedgerTransaction.objects.filter(transfers__isnull=True)
    findings += [Finding(row.source_code, "a transaction that moves nothing") for row in bare]
    # What a shop owed before its books began may be more or less than what it had.
    for row in trial_balance():
        if row.name.startswith("equity:"):
            continue
        debit_normal = row.name.startswith(("assets:", "expenses:"))
        wrong_side = row.balance_minor < 0 if debit_normal else row.balance_minor > 0
        if wrong_side:
            findings.append(
                Finding(f"{row.name} {row.currency}", f"is negative: {row.balance_minor}")
            )
    return findings


def _transfers() -> QuerySet[Transfer]:
    return Transfer.objects.select_related("transaction", "debit", "credit")
