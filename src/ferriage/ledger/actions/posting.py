from __future__ import annotations

from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db import IntegrityError
from django.db.models import Q, QuerySet, Subquery
from django.utils.translation import gettext_lazy as _

from ferriage.core.compiled import Compiled, insert
from ferriage.core.db import joining
from ferriage.core.errors import FerriageError
from ferriage.ledger.actions.chaining import append, head, newest
from ferriage.ledger.actions.flows import add_up
from ferriage.ledger.models import Closing, LedgerAccount, LedgerTransaction, Transfer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date, datetime

    from ferriage.core.money import Money


_FEW: Final = 8
"""So many accounts one sale names at most; for more Django writes the SQL anew each time."""


class AlreadyPosted(FerriageError):
    """The same source was posted before with the same kind and sequence."""

    slug = "already-posted"


class PostingWrong(FerriageError):
    """A posting that the books do not take."""

    slug = "posting-wrong"
    status = 422


class MonthClosed(FerriageError):
    """The instant lies in a month that is closed, whose entries stay as they are."""

    slug = "month-closed"


@dataclass(frozen=True, slots=True)
class TransferLine:
    """An amount to move: the debit account receives what the credit account gives."""

    debit: str
    credit: str
    money: Money


@dataclass(frozen=True, slots=True)
class Posting:
    """One transaction to be: unique on (source code, kind, sequence)."""

    source_code: str
    kind: str
    transfers: tuple[TransferLine, ...]
    description: str
    sequence: int = 0


def post(
    *,
    source_code: str,
    kind: str,
    transfers: Sequence[TransferLine],
    description: str,
    now: datetime,
    sequence: int = 0,
) -> LedgerTransaction:
    """Post transfers under one transaction; accounts are opened as they are first named.

    The books are their own record, so no audit entry is written.

    Args:
        source_code: What is posted: an order, a payment, a batch.
        kind: What of it; unique with the source and the sequence.

    Raises:
        AlreadyPosted: This was posted before; nothing was written.
        PostingWrong: No transfer, an amount that is not above zero, an account to itself, or
            an unknown root.
        MonthClosed: `now` lies in a month that is closed.
    """
    posting = Posting(source_code, kind, tuple(transfers), description, sequence)
    return post_all([posting], now=now)[0]


def post_all(postings: Sequence[Posting], *, now: datetime) -> list[LedgerTransaction]:
    """Post many transactions with a fixed number of statements; all of them or none.

    They take their places in the chain and are added to the sums of their month at once.

    Raises:
        AlreadyPosted: One of them was posted before.
        PostingWrong, MonthClosed: As `post`.
    """
    for posting in postings:
        _check(posting)
    if not postings:
        return []
    try:
        with joining():
            books = _books({name for one in postings for name in _names(one)}, now)
            _refuse_closed(books)
            made = [
                LedgerTransaction(
                    source_code=posting.source_code,
                    kind=posting.kind,
                    sequence=posting.sequence,
                    posted_at=now,
                    description=posting.description,
                )
                for posting in postings
            ]
            insert(*made)
            rows = _transfer(made, postings, books)
            add_up(rows, now)
            append(made, rows, after=books.head)
    except IntegrityError as error:
        raise AlreadyPosted(_("This was posted before; nothing was written.")) from error
    return made


def _check(posting: Posting) -> None:
    if not posting.transfers or any(t.money.amount_minor <= 0 for t in posting.transfers):
        raise PostingWrong(_("A posting moves at least one amount above zero."))
    if any(line.debit == line.credit for line in posting.transfers):
        raise PostingWrong(_("A posting moves its amount between two accounts."))


# --- what is asked of the books before ---------------------------------------------------------


class _Books(NamedTuple):
    """The accounts that are posted to; the head of the chain; the closed month, if it is one."""

    accounts: list[LedgerAccount]
    head: tuple[int, str]
    closed: date | None


def _books(names: set[str], now: datetime) -> _Books:
    """Return what a posting needs to know, with one statement unless all its accounts are new."""
    few = len(names) <= _FEW
    found: list[Any] = _of_few(len(names))(now, *names) if few else list(_of_many(names, now))
    if found:
        return _Books(found, head((found[0].last_number, found[0].last_hash)), found[0].closed)
    return _Books([], head(), _closing_over(now).values_list("month", flat=True).first())


@cache
def _of_few(count: int) -> Compiled[LedgerAccount]:
    """Return the query of so many accounts by name."""

    def build(now: Any, *names: Any) -> QuerySet[LedgerAccount]:
        named = reduce(or_, (Q(name=name) for name in names))
        return _with_books(LedgerAccount.objects.filter(named), now)

    return Compiled(count + 1, build)


def _of_many(names: set[str], now: datetime) -> QuerySet[LedgerAccount]:
    # No chain of conditions: SQLite takes a thousand at most.
    return _with_books(LedgerAccount.objects.filter(name__in=names), now)


def _with_books(accounts: QuerySet[LedgerAccount], now: Any) -> QuerySet[LedgerAccount]:
    """Return accounts with the head of the chain and the closing of the month beside each."""
    return accounts.annotate(
        last_number=Subquery(newest().values("number")),
        last_hash=Subquery(newest().values("hash")),
        closed=Subquery(_closing_over(now).values("month")),
    )


def _closing_over(now: Any) -> QuerySet[Closing]:
    return Closing.objects.filter(until__gt=now).order_by("until")[:1]


def _refuse_closed(books: _Books) -> None:
    """Refuse an instant of a closed month in words; a trigger does so to whoever does not ask."""
    if books.closed is not None:
        raise MonthClosed(
            _("%(month)s is closed: nothing more can be posted in it.")
            % {"month": f"{books.closed:%Y-%m}"},
            _("Post it today. If the host's clock is wrong, set it right first."),
        )


def _names(posting: Posting) -> Iterator[str]:
    for line in posting.transfers:
        yield line.debit
        yield line.credit


# --- writing it --------------------------------------------------------------------------------


def _transfer(
    made: Sequence[LedgerTransaction], postings: Sequence[Posting], books: _Books
) -> list[list[Transfer]]:
    """Write the transfers; return them by transaction."""
    lines = (line for posting in postings for line in posting.transfers)
    accounts = _opened(lines, books.accounts)
    rows = [
        [
            Transfer(
                transaction=transaction,
                debit=accounts[line.debit, line.money.currency],
                credit=accounts[line.credit, line.money.currency],
                amount_minor=line.money.amount_minor,
                currency=line.money.currency,
            )
            for line in posting.transfers
        ]
        for transaction, posting in zip(made, postings, strict=True)
    ]
    insert(*(row for some in rows for row in some))
    return rows


def _opened(
    lines: Iterable[TransferLine], known: Sequence[LedgerAccount]
) -> dict[tuple[str, str], LedgerAccount]:
    """Return the accounts that lines name, opened where they are new."""
    wanted = dict.fromkeys(
        (name, line.money.currency) for line in lines for name in (line.debit, line.credit)
    )
    found = {(account.name, account.currency): account for account in known}
    new = [
        LedgerAccount(name=name, currency=cur) for name, cur in wanted if (name, cur) not in found
    ]
    for account in new:
        _check_name(account.name)
    LedgerAccount.objects.bulk_create(new)
    return found | {(account.name, account.currency): account for account in new}


def _check_name(name: str) -> None:
    root, _colon, rest = name.partition(":")
    if root not in LedgerAccount.ROOTS or not rest:
        raise PostingWrong(
            _("%(name)s is no account of the books.") % {"name": name},
            _("Accounts begin with one of: %(roots)s.") % {"roots": ", ".join(LedgerAccount.ROOTS)},
        )
