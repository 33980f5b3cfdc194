"""The books as text that programs we did not write can check."""

from __future__ import annotations

import csv as csv_format
import io
import re
from datetime import UTC, date, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Prefetch

from ferriage.core.chain import GENESIS
from ferriage.core.money import Money
from ferriage.ledger import verify
from ferriage.ledger.chain import closing_content, transaction_content
from ferriage.ledger.models import (
    ChainLink,
    LedgerAccount,
    LedgerTransaction,
    MonthFlow,
    Transfer,
)
from ferriage.ledger.months import next_month
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


_CHUNK: Final = 2000
_NO_DAY: Final = date(2000, 1, 1)
"""Where the books begin that hold nothing."""


def beancount() -> Iterator[str]:
    """Yield the books line by line for `bean-check`: every account opened, every balance asserted.

    Beancount asserts a balance at the beginning of a day, so ours stand on the first day of each
    month and on the day after the last posting. Days are UTC.
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
    for transaction in (
        LedgerTransaction.objects.order_by("posted_at", "pk")
        .prefetch_related(Prefetch("transfers", queryset=Transfer.objects.order_by("pk")))
        .iterator(chunk_size=_CHUNK)
    ):
        yield ""
        yield from _transaction(transaction, names)
    yield ""
    for day, balances in _balances(accounts, names, last + timedelta(days=1)):
        for (name, currency), minor in sorted(_with_below(balances).items()):
            yield f"{day} balance {name}  {Money(minor, currency).decimal()} {currency}"


def chain() -> Iterator[str]:
    """Yield the chain of the books for `ferriage ledger verify`, and a last line that ends it."""
    count, head = 0, GENESIS
    links = ChainLink.objects.order_by("number").select_related("transaction", "closing")
    for link in links.prefetch_related(
        "transaction__transfers__debit", "transaction__transfers__credit"
    ).iterator(chunk_size=_CHUNK):
        count, head = link.number, link.hash
        yield verify.line(_content(link), hash_=link.hash, previous=link.previous_hash)
    balances = [[row.name, row.currency, row.balance_minor] for row in trial_balance()]
    held = sorted(row for row in balances if row[2])
    yield verify.end_line(count=count, head=head, balances=held)


def _content(link: ChainLink) -> dict[str, Any]:
    if link.closing is not None:
        return closing_content(link.closing, link.number)
    assert link.transaction is not None  # noqa: S101 -- a constraint of the table
    transfers = sorted(link.transaction.transfers.all(), key=lambda row: row.pk)
    lines = [(row.debit.name, row.credit.name, row.amount_minor, row.currency) for row in transfers]
    return transaction_content(link.transaction, link.number, lines)


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
        .iterator(chunk_size=_CHUNK)
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


def _balances(
    accounts: list[LedgerAccount], names: dict[int, str], end: date
) -> Iterator[tuple[date, dict[tuple[str, str], int]]]:
    """Yield what every account holds as each month begins, and at the end.

    By Beancount's name, under which two of our accounts may fall together.
    """
    keys = {account.pk: (names[account.pk], account.currency) for account in accounts}
    sums = dict.fromkeys(keys.values(), 0)
    for month, flows in groupby(MonthFlow.objects.order_by("month"), key=lambda flow: flow.month):
        for flow in flows:
            sums[keys[flow.debit_id]] += flow.amount_minor
            sums[keys[flow.credit_id]] -= flow.amount_minor
        if next_month(month) < end:
            yield next_month(month), sums
    yield end, sums


def _with_below(sums: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Return what Beancount says that each account holds: with every account below it."""
    whole = dict.fromkeys(sums, 0)
    for (name, currency), minor in sums.items():
        parts = name.split(":")
        for depth in range(1, len(parts) + 1):
            above = (":".join(parts[:depth]), currency)
            if above in whole:
                whole[above] += minor
    return whole


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
