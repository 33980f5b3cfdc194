"""A posting is corrected by its mirror image: once, with a reason, and nothing is edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage.core.actors import Actor
from ferriage.core.models import AuditEntry
from ferriage.core.money import Money
from ferriage.ledger import queries, reversing
from ferriage.ledger.actions import TransferLine, post
from ferriage.ledger.models import LedgerTransaction

if TYPE_CHECKING:
    from datetime import datetime

pytestmark = pytest.mark.django_db
OLGA = Actor("staff", "olga")


def bill(now: datetime, *lines: tuple[str, str, int], source: str = "bill_1") -> LedgerTransaction:
    """Post a hosting bill of 12, and what it cost to pay it."""
    lines = lines or (
        ("expenses:hosting", "assets:bank", 1200),
        ("expenses:fees", "assets:bank", 30),
    )
    return post(
        source_code=source,
        kind="cost",
        transfers=[TransferLine(debit, credit, Money(m, "CNY")) for debit, credit, m in lines],
        description="Hosting",
        now=now,
    )


def undo(transaction: LedgerTransaction, now: datetime, reason: str = "Typed twice") -> None:
    reversing.reverse(transaction=transaction, reason=reason, now=now, actor=OLGA)


def test_mirror_image_leaves_every_account_as_it_was(now: datetime) -> None:
    wrong = bill(now)
    undo(wrong, now)

    assert [row.balance_minor for row in queries.trial_balance()] == [0, 0, 0]
    undone = queries.entries(wrong.code)
    assert [(row.debit.name, row.credit.name, row.amount_minor) for row in undone] == [
        ("assets:bank", "expenses:hosting", 1200),
        ("assets:bank", "expenses:fees", 30),
    ]
    assert undone[0].transaction.description == "Undoes cost bill_1: Typed twice"
    assert len(queries.entries("bill_1")) == 2
    entry = AuditEntry.objects.get(action="ledger.reversed")
    assert (entry.subject, entry.details["reason"]) == (wrong.code, "Typed twice")


def test_posting_is_undone_once_and_what_undid_it_never(now: datetime) -> None:
    wrong = bill(now)
    undo(wrong, now)

    with pytest.raises(reversing.NotReversible, match="undone before"):
        undo(wrong, now)
    mirror = LedgerTransaction.objects.get(kind="reversal")
    with pytest.raises(reversing.NotReversible, match="a correction itself"):
        undo(mirror, now)
    assert LedgerTransaction.objects.count() == 2


@pytest.mark.parametrize("account", reversing.FOLLOWING)
def test_what_follows_orders_and_payments_is_not_undone_in_the_books_alone(
    now: datetime, account: str
) -> None:
    for line in (("assets:bank", account, 5), (account, "income:ferry", 5)):
        posting = bill(now, line, source=line[0])
        with pytest.raises(reversing.NotReversible, match="Correct it there"):
            undo(posting, now)
        assert reversing.undoable(queries.entries(line[0])) == []


@pytest.mark.parametrize("kind", reversing.KEEPERS)
def test_what_a_row_stands_for_is_not_undone_in_the_books_alone(now: datetime, kind: str) -> None:
    posting = post(
        source_code="row_1",
        kind=kind,
        transfers=[TransferLine("assets:bank", "assets:receivable:kiosk", Money(5, "CNY"))],
        description="Follows a row",
        now=now,
    )
    with pytest.raises(reversing.NotReversible, match="outside the books") as refused:
        undo(posting, now)
    assert refused.value.remedy == reversing.KEEPERS[kind]
    assert reversing.undoable(queries.entries("row_1")) == []


@pytest.mark.parametrize("reason", ["", "  ", "x" * 121])
def test_correction_has_a_reason(now: datetime, reason: str) -> None:
    with pytest.raises(reversing.NotReversible, match="reason"):
        undo(bill(now), now, reason)


def test_what_can_be_undone_is_offered_until_it_was(now: datetime) -> None:
    wrong = bill(now)
    assert reversing.undoable(queries.entries("bill_1")) == [wrong]
    undo(wrong, now)
    assert reversing.undoable(queries.entries("bill_1")) == []
    assert reversing.undoable(queries.entries(wrong.code)) == []
