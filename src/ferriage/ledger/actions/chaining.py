"""Places in the chain, given out under the house's one lock. Always inside a caller's posting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ferriage.core import chain
from ferriage.core.compiled import Compiled, insert
from ferriage.ledger.chain import closing_content, transaction_content
from ferriage.ledger.models import ChainLink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ferriage.ledger.models import Closing, LedgerTransaction, Transfer

_HEAD: Final = Compiled(
    0, lambda: ChainLink.objects.order_by("-number").values_list("number", "hash")[:1]
)


def append(made: Sequence[LedgerTransaction], rows: Sequence[Sequence[Transfer]]) -> None:
    """Append transactions with their transfers, in order, with one read and one insert."""
    number, previous = _head()
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
    number, previous = _head()
    link = _link(number + 1, previous, closing_content(closing, number + 1))
    link.closing = closing
    insert(link)
    return link


def _head() -> tuple[int, str]:
    return _HEAD.first() or (0, chain.GENESIS)


def _link(number: int, previous: str, content: dict[str, Any]) -> ChainLink:
    return ChainLink(number=number, previous_hash=previous, hash=chain.link(previous, content))
