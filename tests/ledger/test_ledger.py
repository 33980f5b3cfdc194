from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, connection
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from ferriage.cli.books import balance_lines
from ferriage.core.money import Money
from ferriage.ledger import export, queries
from ferriage.ledger.actions import AlreadyPosted, PostingWrong, TransferLine, post
from ferriage.ledger.models import LedgerAccount, LedgerTransaction, Transfer

if TYPE_CHECKING:
    from datetime import datetime

pytestmark = pytest.mark.django_db


def _line(debit: str, credit: str, minor: int, currency: str = "CNY") -> TransferLine:
    return TransferLine(debit, credit, Money(minor, currency))


def _sale(now: datetime, source: str = "ord_1", minor: int = 1000) -> LedgerTransaction:
    return post(
        source_code=source,
        kind="sale",
        transfers=[_line("assets:bank", "liabilities:unearned", minor)],
        description='A sale of "one month"',
        now=now,
    )


def test_posting_moves_an_amount_between_two_accounts(now: datetime) -> None:
    _sale(now)

    assert queries.balance("assets:bank", "CNY") == 1000
    assert queries.balance("liabilities:unearned", "CNY") == -1000
    assert [row.amount_minor for row in queries.entries("ord_1")] == [1000]
    assert queries.check() == []


def test_posting_may_name_any_number_of_accounts(now: datetime) -> None:
    bills = [
        _line(f"expenses:hosting:gw_{number}", "liabilities:payable:hosting", 5)
        for number in range(1500)
    ]
    for source in ("bill_1", "bill_2"):
        post(source_code=source, kind="bills", transfers=bills, description="", now=now)

    assert queries.balance("liabilities:payable:hosting", "CNY") == -2 * 1500 * 5
    assert queries.balance("expenses:hosting:gw_1499", "CNY") == 10
    assert queries.check() == []


def test_printed_balance_has_the_sign_of_the_side_that_an_account_grows_on(now: datetime) -> None:
    _sale(now)
    _sale(now, "ord_back", 1)
    refund = _line("liabilities:unearned", "assets:bank", 1)
    post(source_code="ref_1", kind="refund", transfers=[refund], description="", now=now)

    assert [line.split() for line in balance_lines()] == [
        ["assets:bank", "10.00", "CNY"],
        ["liabilities:unearned", "10.00", "CNY"],
    ]


def test_same_source_is_posted_once(now: datetime) -> None:
    _sale(now)

    with pytest.raises(AlreadyPosted):
        _sale(now)

    assert queries.balance("assets:bank", "CNY") == 1000


@pytest.mark.parametrize(
    "line",
    [
        _line("assets:bank", "liabilities:unearned", 0),
        _line("assets:bank", "liabilities:unearned", -5),
        _line("money:bank", "liabilities:unearned", 5),
        _line("assets:", "liabilities:unearned", 5),
        _line("assets:bank", "assets:bank", 5),
    ],
)
def test_posting_that_moves_nothing_or_names_no_account_is_refused(
    now: datetime, line: TransferLine
) -> None:
    with pytest.raises(PostingWrong):
        post(source_code="x", kind="sale", transfers=[line], description="", now=now)

    assert Transfer.objects.count() == 0


def test_balance_of_a_past_instant_leaves_out_what_came_later(now: datetime) -> None:
    _sale(now)
    _sale(now + timedelta(days=2), source="ord_2")

    assert queries.balance("assets:bank", "CNY", at=now + timedelta(days=1)) == 1000


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_transfer SET amount_minor = 1",
        "DELETE FROM ledger_transfer",
        "UPDATE ledger_transaction SET source_code = 'x'",
        "DELETE FROM ledger_transaction",
        "UPDATE ledger_account SET name = 'income:vpn' WHERE name = 'liabilities:unearned'",
        "DELETE FROM ledger_account",
    ],
)
def test_database_refuses_to_change_what_was_posted(now: datetime, statement: str) -> None:
    _sale(now)

    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_database_refuses_a_transfer_between_currencies(now: datetime) -> None:
    _sale(now)
    transaction = LedgerTransaction.objects.create(source_code="x", kind="x", posted_at=now)
    yuan = LedgerAccount.objects.get(name="assets:bank", currency="CNY")
    euro = LedgerAccount.objects.create(name="liabilities:unearned", currency="EUR")

    with pytest.raises(DatabaseError, match="one currency"):
        Transfer.objects.create(
            transaction=transaction, debit=yuan, credit=euro, amount_minor=1, currency="CNY"
        )


def test_account_on_the_wrong_side_is_found(now: datetime) -> None:
    post(
        source_code="x",
        kind="refund",
        transfers=[_line("liabilities:refunds", "assets:bank", 5)],
        description="",
        now=now,
    )

    assert {finding.account for finding in queries.check()} == {
        "assets:bank CNY",
        "liabilities:refunds CNY",
    }


def _bean_check(path: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("bean-check")
    return subprocess.run(
        [str(program), str(path)], capture_output=True, text=True, check=False, timeout=60
    )


def test_bean_check_accepts_the_export_and_refuses_an_altered_one(
    now: datetime, tmp_path: Path
) -> None:
    _sale(now)
    post(
        source_code="ord_1",
        kind="earned",
        transfers=[_line("liabilities:unearned", "income:my-vpn", 333)],
        description="earned",
        now=now + timedelta(days=10),
    )
    good, bad = tmp_path / "good.beancount", tmp_path / "bad.beancount"
    text = "\n".join(export.beancount()) + "\n"
    good.write_text(text)
    bad.write_text(text.replace("3.33", "3.34", 1))

    assert _bean_check(good).stderr == ""
    assert _bean_check(good).returncode == 0
    assert _bean_check(bad).returncode != 0


def test_bean_check_accepts_books_that_hold_nothing(db: None, tmp_path: Path) -> None:  # noqa: ARG001 -- asks for the database
    empty = tmp_path / "empty.beancount"
    empty.write_text("\n".join(export.beancount()) + "\n")
    assert "currency" not in empty.read_text()

    assert _bean_check(empty).returncode == 0


def test_bean_check_accepts_services_of_any_short_name_and_currency(
    now: datetime, tmp_path: Path
) -> None:
    names = ["my_vpn", "my-vpn", "My-vpn", "-vpn", "_vpn", "3-vpn", "v"]
    for number, name in enumerate(names):
        post(
            source_code=f"ord_{number}",
            kind="earned",
            transfers=[
                _line("liabilities:unearned", f"income:{name}", 100 + number, currency)
                for currency in ("CNY", "EUR", "JPY", "KWD")
            ],
            description="earned",
            now=now + timedelta(days=number),
        )
    path = tmp_path / "names.beancount"
    path.write_text("\n".join(export.beancount()) + "\n")

    assert _bean_check(path).stderr == ""
    assert _bean_check(path).returncode == 0


def test_bean_check_accepts_accounts_that_stand_below_others(now: datetime, tmp_path: Path) -> None:
    names = ["assets:bank", "assets:bank:wrycy", "assets:bank:wrycy:test", "assets:bank-2"]
    names += ["assets:stripe", "assets:stripe:test", "assets:receivable:kiosk"]
    for number, name in enumerate(names):
        for month in range(2):
            post(
                source_code=f"ord_{number}_{month}",
                kind="receipt",
                transfers=[
                    _line(name, "liabilities:unearned", 100 * 2**number + month, currency)
                    for currency in ("CNY", "EUR")[: 1 + number % 2]
                ],
                description="came",
                now=now + timedelta(days=35 * month),
            )
    path = tmp_path / "below.beancount"
    text = "\n".join(export.beancount()) + "\n"
    path.write_text(text)

    assert _bean_check(path).stderr == ""
    assert _bean_check(path).returncode == 0
    # 2 months of 1.00, 2.00 and 4.00, and 0.01 more in the second: the parent's are its children's.
    assert "balance Assets:Bank  14.03 CNY" in text
    assert "balance Assets:Bank:Wrycy  12.02 CNY" in text
    assert "balance Assets:Bank:Wrycy  4.01 EUR" in text


def test_csv_has_a_line_a_transfer(now: datetime) -> None:
    _sale(now)

    heading, line = export.csv()

    assert heading.split(",")[-2:] == ["amount", "currency"]
    assert line.split(",")[3:] == ["ord_1", "assets:bank", "liabilities:unearned", "10.00", "CNY"]


_NAMES = st.sampled_from(
    ["assets:bank", "liabilities:unearned", "liabilities:refunds", "income:a", "expenses:fees"]
)


class TrialBalance(TestCase):
    @settings(max_examples=30, deadline=None)
    @given(
        st.lists(
            st.tuples(_NAMES, _NAMES, st.integers(1, 10**9)).filter(lambda row: row[0] != row[1]),
            max_size=10,
        )
    )
    def test_debits_and_credits_sum_alike(self, rows: list[tuple[str, str, int]]) -> None:
        from datetime import UTC, datetime

        at = datetime(2026, 1, 1, tzinfo=UTC)
        for number, (debit, credit, minor) in enumerate(rows):
            post(
                source_code="any",
                kind="any",
                sequence=number,
                transfers=[_line(debit, credit, minor)],
                description="",
                now=at,
            )

        balances = queries.trial_balance()

        assert sum(row.balance_minor for row in balances) == 0
        assert sum(row.debit_minor for row in balances) == sum(row[2] for row in rows)
