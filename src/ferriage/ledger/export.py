"""The books as text that programs we did not write can check."""

from __future__ import annotations

import csv as csv_format
import io
import re
from collections import Counter
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Final

from ferriage.core.money import Money
from ferriage.ledger.models import LedgerAccount, LedgerTransaction, Transfer
from ferriage.ledger.queries import trial_balance

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOTS: Final = {
    "assets": "Assets",
    "liabilities": "Liabilities",
    "income": "Income",
    "expenses": "Expenses",
    "equity": "Equity",
}


_NO_DAY: Final = date(2000, 1, 1)
"""Where the books begin that hold nothing."""


def beancount() -> Iterator[str]:
    """Yield the books line by line for `bean-check`: every account opened, every balance asserted.

    Beancount asserts a balance at the beginning of a day, so ours stand on the day after the
    last posting. Days are UTC.
    """
    accounts = list(LedgerAccount.objects.order_by("name", "currency"))
    names = _names(accounts)
    first, last = _days()
    yield 'option "title" "Ferriage"'
    if accounts:  # Books that hold nothing have no currency yet.
        yield f'option "operating_currency" "{accounts[0].currency}"'
    yield ""
    for currency in sorted({account.currency for account in accounts}):
        yield f"{first} commodity {currency}"
    for name in sorted(set(names.values())):
        yield f"{first} open {name}"
    for transaction in LedgerTransaction.objects.order_by("posted_at", "pk").prefetch_related(
        "transfers"
    ):
        yield ""
        yield from _transaction(transaction, names)
    yield ""
    for (name, currency), minor in sorted(_balances(accounts, names).items()):
        amount = Money(minor, currency).decimal()
        yield f"{last + timedelta(days=1)} balance {name}  {amount} {currency}"


def csv() -> Iterator[str]:
    """Yield one line a transfer, with a heading."""
    heading = (
        "posted_at",
        "transaction",
        "kind",
        "source",
        "debit",
        "credit",
        "amount",
        "currency",
    )
    yield _csv_line(heading)
    for row in (
        Transfer.objects.select_related("transaction", "debit", "credit")
        .order_by("pk")
        .iterator(chunk_size=2000)
    ):
        yield _csv_line(
            (
                row.transaction.posted_at.isoformat(),
                row.transaction.code,
                row.transaction.kind,
                row.transaction.source_code,
                row.debit.name,
                row.credit.name,
                Money(row.amount_minor, row.currency).decimal(),
                row.currency,
            )
        )


def _transaction(transaction: LedgerTransaction, names: dict[int, str]) -> Iterator[str]:
    day = transaction.posted_at.astimezone(UTC).date()
    yield f'{day} * "{_quoted(transaction.description)}"'
    yield f'  source: "{_quoted(transaction.source_code)}"'
    yield f'  kind: "{_quoted(transaction.kind)}"'
    for row in transaction.transfers.all():
        amount = Money(row.amount_minor, row.currency).decimal()
        yield f"  {names[row.debit_id]}  {amount} {row.currency}"
        yield f"  {names[row.credit_id]}  -{amount} {row.currency}"


def _names(accounts: list[LedgerAccount]) -> dict[int, str]:
    return {account.pk: _beancount_name(account.name) for account in accounts}


def _balances(accounts: list[LedgerAccount], names: dict[int, str]) -> dict[tuple[str, str], int]:
    """Return balances by Beancount's name, under which two of our accounts may fall together."""
    ours = {(account.name, account.currency): names[account.pk] for account in accounts}
    sums: Counter[tuple[str, str]] = Counter()
    for row in trial_balance():
        sums[ours[row.name, row.currency], row.currency] += row.balance_minor
    return dict(sums)


def _beancount_name(name: str) -> str:
    """Return `liabilities:unearned:my_vpn` as Liabilities:Unearned:My-vpn."""
    root, *rest = name.split(":")
    return ":".join([_ROOTS[root], *(_component(part) for part in rest)])


def _component(part: str) -> str:
    """Return a part in Beancount's alphabet: a capital or digit, then letters, digits, hyphens."""
    plain = re.sub(r"[^A-Za-z0-9-]", "-", part)
    return plain[:1].upper() + plain[1:] if plain[:1].isalnum() else f"X{plain}"


def _days() -> tuple[date, date]:
    posted = LedgerTransaction.objects.order_by("posted_at").values_list("posted_at", flat=True)
    first, last = posted.first(), posted.last()
    if first is None or last is None:
        return _NO_DAY, _NO_DAY
    return first.astimezone(UTC).date(), last.astimezone(UTC).date()


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _csv_line(cells: tuple[str, ...]) -> str:
    line = io.StringIO()
    csv_format.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
