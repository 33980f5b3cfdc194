"""Places in the chain, given out under the house's one lock. Always inside a caller's posting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ferriage.core import chain
from ferriage.core.compiled import Compiled, insert
from ferriage.ledger.chain import closing_content, transaction_content
from ferriage.ledger.models import ChainLink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from ferriage.ledger.models import Closing, LedgerTransaction, Transfer


def newest() -> QuerySet[ChainLink]:
    """Return the last entry of the chain, if there is one."""
    return ChainLink.objects.order_by("-number")[:1]


_HEAD: Final = Compiled(0, lambda: newest().values_list("number", "hash"))


def head(read: tuple[int | None, str | None] | None = None) -> tuple[int, str]:
    """Return number and hash of the last entry, as they were read, or read them."""
    number, hash_ = read or _HEAD.first() or (None, None)
    return (0, chain.GENESIS) if number is None or hash_ is None else (number, hash_)


def append(
    made: Sequence[LedgerTransaction],
    rows: Sequence[Sequence[Transfer]],
    *,
    after: tuple[int, str],
) -> None:
    """Append transactions with their transfers, in order, with one insert.

    Args:
        after: Number and hash of the last entry, read in this transaction.
    """
    number, previous = after
    links = []
    for transaction, transfers in zip(made, rows, strict=True):
        number += 1
        lines = [
            (row.debit.name, row.credit.name, row.amount_minor, row.currency) for row in transfers
        ]
        link = _link(number, previous, transaction_content(transaction, number, lines))
        link.transaction = transaction
        links.append(link)
        previous = link.hash
    insert(*links)


def append_closing(closing: Closing) -> ChainLink:
    """Append the closing of a month."""
    number, previous = head()
    link = _link(number + 1, previous, closing_content(closing, number + 1))
    link.closing = closing
    insert(link)
    return link


def _link(number: int, previous: str, content: dict[str, Any]) -> ChainLink:
    return ChainLink(number=number, previous_hash=previous, hash=chain.link(previous, content))
