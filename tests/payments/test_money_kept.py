"""What raw SQL cannot do to money that came, to money that goes back, and to the books."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from ferriage.core.errors import FerriageError
from ferriage.ledger.models import MonthFlow, Transfer
from ferriage.orders.models import Balance, Order
from ferriage.payments import actions
from ferriage.payments.models import Payment, Refund
from ferriage.plans.models import Period
from till import Till, assert_sound, books
from yard import OWNER

pytestmark = pytest.mark.django_db


@pytest.fixture
def sold(till: Till) -> Order:
    """One order is paid, one is not, and money that no order took is queued to go back."""
    order = till.sell(6)
    till.transfer(till.order())
    for currency in ("CNY", "EUR"):
        Balance.objects.create(account=order.holder, currency=currency)
    waits = till.receive("nobody's", 700).payment
    actions.refund_unallocated(payment=waits, now=till.now, actor=OWNER)
    return order


KEPT = (Payment, Refund, Transfer, Order, Balance, MonthFlow)
ATTEMPTS = [
    "UPDATE payments_payment SET received_minor = received_minor + 1",
    "UPDATE payments_payment SET received_minor = NULL, state = 'pending', captured_at = NULL",
    "UPDATE payments_payment SET currency = 'EUR'",
    "UPDATE payments_payment SET transaction_id = 'T-again'",
    "UPDATE payments_payment SET transaction_id = NULL",
    "UPDATE payments_payment SET state = 'failed'",
    "DELETE FROM payments_payment WHERE outcome = 'refund'",
    "UPDATE payments_refund SET amount_minor = amount_minor - 1",
    "UPDATE payments_refund SET payment_id = (SELECT min(id) FROM payments_payment)",
    "DELETE FROM payments_refund",
    "UPDATE payments_payment SET id = id + 1000 WHERE state = 'captured'",
    "UPDATE payments_refund SET id = id + 1000",
    "UPDATE orders_order SET id = id + 1000 WHERE state = 'fulfilled'",
    "DELETE FROM orders_order WHERE state = 'fulfilled'",
    "UPDATE orders_balance SET id = id + 1000",
    "DELETE FROM orders_balance",
    "UPDATE ledger_monthflow SET id = id + 1000",
    "DELETE FROM ledger_monthflow",
    "UPDATE ledger_transfer SET amount_minor = 1",
    "DELETE FROM ledger_chainlink",
    "UPDATE ledger_transaction SET posted_at = posted_at",
    (
        "INSERT INTO ledger_transfer (transaction_id, debit_id, credit_id, amount_minor, currency)"
        " SELECT transaction_id, credit_id, debit_id, 1, currency FROM ledger_transfer"
    ),
]
NAMES = {
    "first": "(SELECT min(id) FROM payments_payment WHERE state = 'captured')",
    "last": "(SELECT max(id) FROM payments_payment WHERE state = 'captured')",
    "sold": "(SELECT min(id) FROM orders_order)",
}
REPLACING = [
    "UPDATE OR REPLACE payments_payment SET id = {last} WHERE id = {first}",
    "UPDATE OR REPLACE payments_payment SET id = {first} WHERE state <> 'captured'",
    # SQLite knows `id` by three more names, and UPDATE OF id does not hear them.
    "UPDATE payments_payment SET rowid = rowid + 1000 WHERE state = 'captured'",
    "UPDATE payments_refund SET _rowid_ = _rowid_ + 1000",
    "UPDATE orders_balance SET oid = oid + 1000",
    "UPDATE ledger_monthflow SET rowid = rowid + 1000",
    "UPDATE OR REPLACE payments_payment SET rowid = {last} WHERE rowid = {first}",
    "UPDATE OR REPLACE orders_balance SET _rowid_ = (SELECT max(id) FROM orders_balance)",
    "UPDATE OR REPLACE payments_payment SET rowid = {first} WHERE state <> 'captured'",
    "UPDATE OR REPLACE orders_order SET rowid = {sold} WHERE state = 'open'",
    (
        "UPDATE OR REPLACE payments_payment SET code ="
        " (SELECT code FROM payments_payment WHERE id = {last}) WHERE state <> 'captured'"
    ),
    (
        "UPDATE OR REPLACE payments_payment SET reference ="
        " (SELECT reference FROM payments_payment WHERE id = {first}) WHERE state <> 'captured'"
    ),
    (
        "UPDATE OR REPLACE payments_payment SET state = 'captured', outcome = 'settled',"
        " order_id = {sold}, received_minor = 1, captured_at = created_at"
        " WHERE state <> 'captured'"
    ),
    "UPDATE OR REPLACE orders_order SET id = {sold} WHERE state = 'open'",
    ("UPDATE OR REPLACE orders_order SET code = (SELECT code FROM orders_order WHERE id = {sold})"),
    "REPLACE INTO orders_order SELECT * FROM orders_order",
    "UPDATE OR REPLACE orders_balance SET id = (SELECT max(id) FROM orders_balance)",
    (
        "UPDATE OR REPLACE orders_balance SET currency = 'CNY',"
        " account_id = (SELECT account_id FROM orders_balance WHERE currency = 'CNY')"
    ),
    "UPDATE OR REPLACE ledger_monthflow SET id = (SELECT max(id) FROM ledger_monthflow)",
    (
        "REPLACE INTO ledger_monthflow SELECT id, month, 1, 1, 1, 1, credit_id, debit_id"
        " FROM ledger_monthflow"
    ),
]
ON_POSTGRES = [
    "TRUNCATE payments_refund",
    "TRUNCATE payments_payment CASCADE",
    "TRUNCATE ledger_transfer",
    (
        "INSERT INTO ledger_transfer SELECT * FROM ledger_transfer"
        " ON CONFLICT (id) DO UPDATE SET amount_minor = 1"
    ),
    (
        "MERGE INTO ledger_transfer AS t USING ledger_transfer AS s ON t.id = s.id"
        " WHEN MATCHED THEN UPDATE SET amount_minor = 1"
    ),
    "WITH gone AS (DELETE FROM payments_refund RETURNING 1) SELECT count(*) FROM gone",
]
ON_SQLITE = [
    *(statement.format(**NAMES) for statement in REPLACING),
    "REPLACE INTO payments_refund SELECT * FROM payments_refund",
    "REPLACE INTO payments_payment SELECT * FROM payments_payment",
    "REPLACE INTO ledger_transfer SELECT * FROM ledger_transfer",
    (
        "INSERT INTO ledger_transfer SELECT * FROM ledger_transfer WHERE true"
        " ON CONFLICT (id) DO UPDATE SET amount_minor = 1"
    ),
]


@pytest.mark.usefixtures("sold")
@pytest.mark.parametrize("statement", ATTEMPTS)
def test_no_statement_changes_money_that_moved(statement: str) -> None:
    refused(statement)


@pytest.mark.usefixtures("sold")
def test_no_statement_of_this_engine_does() -> None:
    for statement in ON_POSTGRES if connection.vendor == "postgresql" else ON_SQLITE:
        refused(statement)


def refused(statement: str) -> None:
    before = rows()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert rows() == before
    assert_sound()


def rows() -> list[object]:
    return [list(model.objects.order_by("pk").values()) for model in KEPT]


def test_a_payment_that_only_was_begun_may_change(till: Till) -> None:
    begun = till.transfer(till.order())
    Payment.objects.filter(pk=begun.pk).update(state="failed", currency="EUR")
    Payment.objects.filter(pk=begun.pk).delete()
    assert not Payment.objects.exists()


def test_an_order_that_is_opened_again_by_sql_is_not_settled_again(till: Till, sold: Order) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orders_order SET state = 'open' WHERE id = %s", [sold.pk])
    held = books()

    with pytest.raises((FerriageError, DatabaseError)), transaction.atomic():
        till.receive(till.transfer(sold).reference, sold.amount_minor)

    assert books() == held
    assert Period.objects.count() == 1
