"""Invoices and credit notes: frozen, adding up, and numbered without a gap whatever happens."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, connection, transaction

from ferriage.core.actors import CUSTOMER
from ferriage.core.db import writing
from ferriage.orders import papercheck
from ferriage.orders.actions import taxes
from ferriage.orders.models import Document, Series
from own_database import at_once
from taxed import ADDRESS, charge, set_up
from till import Till, assert_sound

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from clerks import Clerks
    from ferriage.config import Config
    from shop import Shop

DAY = timedelta(days=1)
CLERKS = 8


def labels(kind: str = "invoice") -> list[str]:
    return [document.label for document in Document.objects.filter(kind=kind).order_by("pk")]


def test_settled_order_has_an_invoice_without_a_name(till: Till) -> None:
    charge(till.now)

    order = till.sell(24)

    invoice = Document.objects.get()
    assert (invoice.kind, invoice.label) == ("invoice", "INV-2026-00001")
    assert (invoice.net_minor, invoice.tax_minor, invoice.gross_minor) == (10084, 1916, 12000)
    assert (invoice.supply_from, invoice.supply_to) == (
        order.period_starts_at,
        order.period_ends_at,
    )
    assert invoice.content["buyer"] == {}
    assert invoice.content["seller"] == {
        "name": "Demo Lines Ltd",
        "address": ADDRESS,
        "register_number": "",
        "tax_id": "XD123456789",
        "country": "XD",
    }


def test_name_stands_on_the_invoice_it_was_given_for_and_no_other(till: Till) -> None:
    charge(till.now)
    first = till.order()
    taxes.name_buyer(
        order=first, name="Ann", address="Street 2", vat_id="", now=till.now, actor=CUSTOMER
    )
    till.receive(till.transfer(first).reference, 1000)

    till.sell(account=first.account)

    buyers = [row.content["buyer"] for row in Document.objects.order_by("pk")]
    assert buyers == [{"name": "Ann", "address": "Street 2", "vat_id": "", "country": "XD"}, {}]


def test_small_business_invoices_without_tax_and_says_why(till: Till) -> None:
    set_up(till.now, regime="small", exempt_sentence="No tax: small business.")

    till.sell()

    invoice = Document.objects.get()
    assert (invoice.net_minor, invoice.tax_minor) == (1000, 0)
    assert invoice.content["sentence"] == "No tax: small business."


def test_each_ending_has_a_credit_note_and_all_sum_to_what_is_owed(till: Till) -> None:
    charge(till.now)
    order = till.sell(24)

    for day in (400, 181, 30):
        order = till.end(order, till.now + day * DAY)
        assert_sound()

    invoice, *credits_ = Document.objects.order_by("pk")
    assert labels("credit") == ["CN-2026-00001", "CN-2026-00002", "CN-2026-00003"]
    assert {row.corrects for row in credits_} == {invoice}
    assert {row.content["corrects"] for row in credits_} == {"INV-2026-00001"}
    assert sum(row.gross_minor for row in credits_) == order.refund_due_minor
    kept = invoice.tax_minor - sum(row.tax_minor for row in credits_)
    assert kept == round((12000 - order.refund_due_minor) * 19 / 119)


def test_document_that_leaves_a_gap_or_comes_twice_is_refused_by_the_database(till: Till) -> None:
    charge(till.now)
    till.sell()
    columns = [field.column for field in Document._meta.concrete_fields]
    credit = "(SELECT id FROM orders_document)"

    def insert(number: int) -> None:
        typed = {"id": "99", "code": "'doc_X'", "number": str(number), "kind": "'credit'"}
        typed["corrects_id"] = credit
        values = ", ".join(typed.get(column, column) for column in columns)
        into = f"INSERT INTO orders_document ({', '.join(columns)})"
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"{into} SELECT {values} FROM orders_document WHERE number = 1")  # noqa: S608 -- our own columns

    for number in (1, 3):
        with pytest.raises(DatabaseError):
            insert(number)
    assert Document.objects.count() == 1
    Series.objects.update(taken=2)
    insert(2)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE orders_series SET taken = taken + 2",
        "UPDATE orders_series SET taken = taken - 1",
        "UPDATE orders_series SET taken = taken + 1, year = year + 1",
        "DELETE FROM orders_series",
    ],
)
def test_series_only_counts_up(till: Till, statement: str) -> None:
    charge(till.now)
    till.sell()

    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert Series.objects.get().taken == 1


def test_number_taken_without_a_document_is_found(till: Till) -> None:
    charge(till.now)
    till.sell()
    Series.objects.update(taken=2)

    assert [finding.message for finding in papercheck.check()] == ["1 documents under 2 numbers"]


@pytest.fixture
def apart(own_database: Config, make_shop: Callable[[datetime], Shop], now: datetime) -> Till:  # noqa: ARG001 -- rows go there
    shop = make_shop(now)
    charge(now)
    return Till(shop, now)


def test_eight_processes_number_eight_invoices_without_a_gap(clerks: Clerks, apart: Till) -> None:
    orders = [apart.order() for _clerk in range(CLERKS)]
    references = [apart.transfer(order).reference for order in orders]
    how = {"minor": 1000, "now": apart.now.isoformat()}

    outcomes = clerks.act(
        *[
            ("book", how | {"number": f"B-{reference}", "reference": reference})
            for reference in references
        ]
    )

    assert outcomes == ["settled"] * CLERKS
    assert sorted(labels()) == [f"INV-2026-{number:05d}" for number in range(1, CLERKS + 1)]
    assert_sound()


class Undone(Exception):
    """Raised to roll a settlement back."""


def test_settlements_that_are_rolled_back_leave_no_gap(apart: Till) -> None:
    orders = [apart.order() for _clerk in range(CLERKS)]
    references = [apart.transfer(order).reference or "" for order in orders]

    def settle(number: int) -> str:
        with writing():
            outcome = apart.receive(references[number], 1000, number=f"B-{number}").outcome
            if number % 2:
                raise Undone
        return outcome

    results = at_once(*[lambda number=number: settle(number) for number in range(CLERKS)])

    undone = [result for result in results if isinstance(result, Undone)]
    assert (len(undone), results.count("settled")) == (CLERKS // 2, CLERKS // 2)
    assert sorted(labels()) == [f"INV-2026-{number:05d}" for number in range(1, 5)]
    assert Series.objects.get().taken == CLERKS // 2
    assert_sound()
