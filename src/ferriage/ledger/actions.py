from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import IntegrityError
from django.utils.translation import gettext_lazy as _

from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.ledger.models import LedgerAccount, LedgerTransaction, Transfer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.core.money import Money


_CHUNK: Final = 500


class AlreadyPosted(FerriageError):
    """The same source was posted before with the same kind and sequence."""

    slug = "already-posted"


class PostingWrong(FerriageError):
    """A posting that the books do not take."""

    slug = "posting-wrong"
    status = 422


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
    """
    posting = Posting(source_code, kind, tuple(transfers), description, sequence)
    return post_all([posting], now=now)[0]


def post_all(postings: Sequence[Posting], *, now: datetime) -> list[LedgerTransaction]:
    """Post many transactions with a fixed number of statements; all of them or none.

    Raises:
        AlreadyPosted: One of them was posted before.
        PostingWrong: As `post`.
    """
    for posting in postings:
        _check(posting)
    try:
        with writing():
            made = LedgerTransaction.objects.bulk_create(
                [
                    LedgerTransaction(
                        source_code=posting.source_code,
                        kind=posting.kind,
                        sequence=posting.sequence,
                        posted_at=now,
                        description=posting.description,
                    )
                    for posting in postings
                ],
                batch_size=_CHUNK,
            )
            _transfer(made, postings)
    except IntegrityError as error:
        raise AlreadyPosted(_("This was posted before; nothing was written.")) from error
    return made


def _check(posting: Posting) -> None:
    if not posting.transfers or any(t.money.amount_minor <= 0 for t in posting.transfers):
        raise PostingWrong(_("A posting moves at least one amount above zero."))
    if any(line.debit == line.credit for line in posting.transfers):
        raise PostingWrong(_("A posting moves its amount between two accounts."))


def _transfer(made: Sequence[LedgerTransaction], postings: Sequence[Posting]) -> None:
    accounts: dict[tuple[str, str], LedgerAccount] = {}
    rows = []
    for transaction, posting in zip(made, postings, strict=True):
        for line in posting.transfers:
            currency = line.money.currency
            for name in (line.debit, line.credit):
                if (name, currency) not in accounts:
                    accounts[name, currency] = _account(name, currency)
            rows.append(
                Transfer(
                    transaction=transaction,
                    debit=accounts[line.debit, currency],
                    credit=accounts[line.credit, currency],
                    amount_minor=line.money.amount_minor,
                    currency=currency,
                )
            )
    Transfer.objects.bulk_create(rows, batch_size=_CHUNK)


def _account(name: str, currency: str) -> LedgerAccount:
    root = name.partition(":")[0]
    if root not in LedgerAccount.ROOTS or not name.partition(":")[2]:
        raise PostingWrong(
            _("%(name)s is no account of the books.") % {"name": name},
            _("Accounts begin with one of: %(roots)s.") % {"roots": ", ".join(LedgerAccount.ROOTS)},
        )
    return LedgerAccount.objects.get_or_create(name=name, currency=currency)[0]
