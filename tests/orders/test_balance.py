"""What an account holds with the shop: the sum of its moves, never below 0, one with the books."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, connection, transaction

from ferriage.core.money import Money
from ferriage.ledger.actions import AlreadyPosted
from ferriage.orders import balance
from ferriage.orders.models import Balance, BalanceMove
from till import books

if TYPE_CHECKING:
    from ferriage.accounts.models import Account
    from till import Till

pytestmark = pytest.mark.django_db

RECEIPT = "assets:bank"
INCOME = "income:ferry"


@pytest.fixture
def rich(till: Till) -> Account:
    """Return an account with a balance of 30."""
    account = till.shop.account()
    give(till, account, 3000)
    return account


def give(till: Till, account: Account, minor: int, source: str = "pay_1") -> None:
    balance.credit(
        account=account,
        money=Money(minor, "CNY"),
        source_code=source,
        kind="overpaid",
        against=RECEIPT,
        now=till.now,
    )


def spend(till: Till, account: Account, minor: int, source: str = "out_1") -> None:
    balance.spend(
        account=account,
        money=Money(minor, "CNY"),
        source_code=source,
        kind="spent",
        against=INCOME,
        now=till.now,
    )


def test_balance_is_what_came_less_what_was_spent(till: Till, rich: Account) -> None:
    spend(till, rich, 1200)
    assert balance.balance(rich, "CNY") == balance.available(rich, "CNY") == 1800
    assert balance.balance(rich, "EUR") == 0
    assert books() == {"assets:bank": 3000, "liabilities:credits": 1800, "income:ferry": 1200}


def test_one_source_is_credited_once(till: Till, rich: Account) -> None:
    with pytest.raises(AlreadyPosted):
        give(till, rich, 3000)
    assert balance.balance(rich, "CNY") == 3000


def test_nobody_spends_what_is_not_there(till: Till, rich: Account) -> None:
    with pytest.raises(balance.BalanceTooLow, match=r"30\.00"):
        spend(till, rich, 3001)
    assert books() == {"assets:bank": 3000, "liabilities:credits": 3000}


def test_what_is_reserved_is_not_spent_twice(till: Till, rich: Account) -> None:
    first, second = till.order(6, account=rich), till.order(1, account=rich)
    balance.reserve(order=first, minor=2500, now=till.now)
    assert balance.available(rich, "CNY") == 500
    with pytest.raises(balance.BalanceTooLow):
        balance.reserve(order=second, minor=501, now=till.now)
    with pytest.raises(balance.BalanceTooLow):
        spend(till, rich, 501)
    balance.reserve(order=first, minor=2000, now=till.now)
    assert (balance.available(rich, "CNY"), first.due_minor) == (1000, 3000)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE orders_balance SET amount_minor = 99999",
        "UPDATE orders_balance SET reserved_minor = 3001",
        "UPDATE orders_balance SET reserved_minor = -1",
        "UPDATE orders_balancemove SET amount_minor = 1",
        "DELETE FROM orders_balancemove",
    ],
)
def test_database_itself_keeps_a_balance_right(rich: Account, statement: str) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    head = Balance.objects.get(account=rich)
    assert (head.amount_minor, head.reserved_minor) == (3000, 0)


def test_database_itself_keeps_a_balance_above_nothing(till: Till, rich: Account) -> None:
    head = Balance.objects.get(account=rich)
    with pytest.raises(DatabaseError), transaction.atomic():
        BalanceMove.objects.create(
            balance=head, amount_minor=-3001, source_code="x", kind="x", moved_at=till.now
        )
    with pytest.raises(DatabaseError, match="sum of its moves"), transaction.atomic():
        Balance.objects.create(account=rich, currency="EUR", amount_minor=1)
    assert balance.balance(rich, "CNY") == 3000


def test_order_keeps_its_amounts_once_it_is_paid(till: Till) -> None:
    sold = till.sell()
    for column in ("list_minor", "amount_minor"):
        statement = f"UPDATE orders_order SET {column} = {column} + 1 WHERE id = %s"  # noqa: S608 -- names of our own
        with (
            pytest.raises(DatabaseError, match="keeps its amounts"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, [sold.pk])
