"""The chain of the books: what each entry's hash covers. Pure.

Source: docs/decisions/0032-books-as-a-chain.md
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ferriage.ledger.models import Closing, LedgerTransaction

type Line = tuple[str, str, int, str]
"""Debit, credit, minor units and currency of a transfer."""


def transaction_content(
    transaction: LedgerTransaction, number: int, lines: Sequence[Line]
) -> dict[str, Any]:
    """Return what the hash of a transaction covers: its words and all its transfers."""
    return {
        "number": number,
        "code": transaction.code,
        "source": transaction.source_code,
        "kind": transaction.kind,
        "sequence": transaction.sequence,
        "at": transaction.posted_at.astimezone(UTC).isoformat(),
        "description": transaction.description,
        "transfers": [list(line) for line in lines],
    }


def closing_content(closing: Closing, number: int) -> dict[str, Any]:
    """Return what the hash of a month's closing covers: what every account held then."""
    return {
        "number": number,
        "closing": f"{closing.month:%Y-%m}",
        "code": closing.code,
        "at": closing.closed_at.astimezone(UTC).isoformat(),
        "by": closing.closed_by,
        "balances": closing.balances,
    }
