"""Two who write SQL at once: one seals a transaction while the other adds a transfer to it.

No action of the house does either outside its own posting; whoever holds the database may.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, connection, connections
from django.db.transaction import atomic

from ferriage.core import chain
from ferriage.ledger.chain import transaction_content
from ferriage.ledger.models import ChainLink, LedgerAccount, LedgerTransaction, Transfer

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from ferriage.config import Config

JANUARY = datetime(2026, 1, 10, 12, tzinfo=UTC)
ACCOUNTS = (1, 2)
LINE = ("assets:bank", "liabilities:unallocated", 1000, "CNY")


@pytest.fixture
def unsealed(own_database: Config) -> LedgerTransaction:  # noqa: ARG001 -- rows go there
    """A transaction with one transfer that somebody wrote by SQL and did not seal."""
    debit, credit = (
        LedgerAccount.objects.create(pk=pk, name=name, currency="CNY")
        for pk, name in zip(ACCOUNTS, LINE[:2], strict=True)
    )
    made = LedgerTransaction.objects.create(
        source_code="raw", kind="raw", posted_at=JANUARY, description="By SQL"
    )
    Transfer.objects.create(
        transaction=made, debit=debit, credit=credit, amount_minor=1000, currency="CNY"
    )
    return made


def link_of(made: LedgerTransaction) -> ChainLink:
    return ChainLink(
        number=1,
        transaction=made,
        previous_hash=chain.GENESIS,
        hash=chain.link(chain.GENESIS, transaction_content(made, 1, [LINE])),
    )


def add_to(
    made: LedgerTransaction, mine: BaseDatabaseWrapper, isolation: str, told: list[str]
) -> None:
    """Add one more transfer by another connection, and tell what the database said."""
    try:
        with mine.cursor() as cursor:
            if mine.vendor == "postgresql":
                cursor.execute(f"BEGIN ISOLATION LEVEL {isolation}")
                cursor.execute("SELECT count(*) FROM ledger_transaction")
            else:
                cursor.execute("BEGIN IMMEDIATE")
            cursor.execute(
                "INSERT INTO ledger_transfer"
                " (transaction_id, debit_id, credit_id, amount_minor, currency)"
                " VALUES (%s, %s, %s, 5, 'CNY')",
                [made.pk, *ACCOUNTS],
            )
            cursor.execute("COMMIT")
        told.append("added")
    except DatabaseError as refusal:
        told.append(str(refusal))
    finally:
        mine.close()


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_transfer_that_was_added_while_its_entry_is_sealed_is_refused(
    unsealed: LedgerTransaction, isolation: str
) -> None:
    told: list[str] = []
    mine = connections["default"].copy()
    mine.inc_thread_sharing()
    other = threading.Thread(target=add_to, args=[unsealed, mine, isolation, told])

    with atomic():
        link_of(unsealed).save()
        other.start()
        other.join(timeout=1)
    other.join()

    assert told != ["added"]
    assert Transfer.objects.filter(transaction=unsealed).count() == 1
    assert connection.vendor == "sqlite" or told[0].startswith(
        ("a transaction in the chain", "the books are written")
    )
