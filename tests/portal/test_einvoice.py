"""Invoices as data, read back by a parser of XML that knows nothing of how they were written."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from ferriage.core.actors import CUSTOMER
from ferriage.orders.actions import taxes
from ferriage.orders.models import Document, Order
from ferriage.web.shared import einvoice
from taxed import confirm, set_up

if TYPE_CHECKING:
    from conftest import Customer
    from till import Till

DAY = timedelta(days=1)
RAM = "{urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100}"


def named(till: Till, **tax: object) -> Order:
    """Sell two years to somebody who gave a name."""
    order = till.order(24)
    taxes.name_buyer(
        order=order,
        name="Fähre GmbH",
        address="Kai 1\n1010 Wien",
        vat_id="",
        now=till.now,
        actor=CUSTOMER,
    )
    if tax:
        Order.objects.filter(pk=order.pk).update(**tax)
    till.receive(till.transfer(order).reference, 12000)
    order.refresh_from_db()
    return order


def values(xml: bytes, *names: str) -> list[str]:
    tree = ET.fromstring(xml)  # noqa: S314 -- our own
    return [node.text or "" for name in names for node in tree.iter(f"{RAM}{name}")]


def test_invoice_as_data_adds_up_and_names_both(till: Till) -> None:
    set_up(till.now)
    confirm(till.now)
    named(till)

    xml = einvoice.cii(Document.objects.get())

    sums = ("TaxBasisTotalAmount", "TaxTotalAmount", "GrandTotalAmount", "DuePayableAmount")
    assert values(xml, *sums) == ["100.84", "19.16", "120.00", "0.00"]
    assert values(xml, "TypeCode")[:1] == ["380"]
    assert {"Demo Lines Ltd", "Fähre GmbH"} <= set(values(xml, "Name"))
    assert values(xml, "RateApplicablePercent") == ["19", "19"]


def test_credit_note_as_data_refers_to_its_invoice(till: Till) -> None:
    set_up(till.now)
    confirm(till.now)
    order = named(till)
    till.end(order, till.now + 30 * DAY)

    xml = einvoice.cii(Document.objects.get(kind="credit"))

    assert values(xml, "TypeCode")[:1] == ["381"]
    assert "INV-2026-00001" in values(xml, "IssuerAssignedID")


@pytest.mark.parametrize(
    ("state", "category"),
    [("exempt", "E"), ("reverse", "AE"), ("outside", "O"), ("unknown", "O"), ("unset", "O")],
)
def test_untaxed_invoice_says_its_category_and_why(till: Till, state: str, category: str) -> None:
    set_up(till.now, exempt_sentence="Small business.")
    named(till, tax_state=state, tax_rate=0, tax_place="")

    xml = einvoice.cii(Document.objects.get())

    assert values(xml, "CategoryCode") == [category, category]
    assert all(values(xml, "ExemptionReason"))


def test_invoice_without_a_name_is_no_data(till: Till, alice: Customer) -> None:
    set_up(till.now)
    confirm(till.now)
    till.sell(account=alice.account)
    code = Document.objects.get().code

    assert alice.client.get(f"/documents/{code}.xml").status_code == 404
    assert ".xml" not in alice.client.get(f"/orders/{Order.objects.get().code}/").content.decode()


def test_customer_takes_it_from_the_orders_page(till: Till, alice: Customer) -> None:
    set_up(till.now)
    confirm(till.now)
    order = named(till)
    Order.objects.update(account=alice.account)
    page = alice.client.get(f"/orders/{order.code}/").content.decode()
    code = Document.objects.get().code

    answer = alice.client.get(f"/documents/{code}.xml")

    assert f"/documents/{code}.xml" in page
    assert answer["Content-Type"] == "application/xml"
    assert values(answer.content, "GrandTotalAmount") == ["120.00"]
