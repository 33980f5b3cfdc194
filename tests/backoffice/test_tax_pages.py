"""Tax, documents and refunds, from the operator's side."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from people import logged_in, make_staff

from dearer import GB, held_by, sell_packs, use
from ferriage.approvals.models import Party
from ferriage.orders.models import Document, Order, TaxRate, TaxSetup
from taxed import charge, set_up
from till import books

if TYPE_CHECKING:
    from django.test import Client

    from till import Till

DAY = timedelta(days=1)
SETUP = {
    "address": "Quay 1",
    "home_place": "de",
    "regime": "oss",
    "tax_id": "DE136695976",
    "exempt_sentence": "",
    "also_places": "gb, ch",
    "paper_language": "",
}


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_page_says_that_nothing_is_charged_and_that_it_gives_no_advice(
    olga: Client, till: Till
) -> None:
    till.sell()

    page = text(olga, "/staff/tax/")

    assert "Nothing is set up: no tax is charged and no invoice is written." in page
    assert "it gives no advice on tax" in page
    assert "nothing was set up" in page


def test_owner_says_who_sells(olga: Client, till: Till) -> None:
    form = {**SETUP, "party": str(Party.objects.first().pk)}  # type: ignore[union-attr] -- the yard's
    assert till.now

    answer = olga.post("/staff/tax/setup/", form)

    setup = TaxSetup.objects.get()
    assert answer.status_code == 302
    assert (setup.home_place, setup.regime, setup.also_places) == ("DE", "oss", ["GB", "CH"])
    assert "DE136695976" in text(olga, "/staff/tax/")
    assert 'value="DE136695976"' in text(olga, "/staff/tax/setup/")


@pytest.mark.parametrize(("regime", "shown"), [("small", True), ("domestic", False)])
def test_sentence_is_shown_where_it_is_printed(
    olga: Client, till: Till, regime: str, *, shown: bool
) -> None:
    set_up(till.now, regime=regime, exempt_sentence="Small business: no tax is charged.")

    page = text(olga, "/staff/tax/")

    assert ("Small business: no tax is charged." in page) is shown


def test_setup_without_a_number_is_refused_with_what_to_do(olga: Client, till: Till) -> None:
    form = {**SETUP, "party": str(Party.objects.first().pk), "tax_id": ""}  # type: ignore[union-attr] -- the yard's
    assert till.now

    answer = olga.post("/staff/tax/setup/", form)

    assert answer.status_code == 422
    assert "Whoever charges tax has a number for it" in answer.content.decode()
    assert not TaxSetup.objects.exists()


def test_rates_are_confirmed_one_by_one_or_typed(olga: Client, till: Till) -> None:
    assert till.now
    before = text(olga, "/staff/tax/rates/")

    olga.post("/staff/tax/rates/", {"rates": ["FR", "FI"]})
    olga.post(
        "/staff/tax/rates/other/",
        {"place": "xd", "percent": "8.1", "from_on": "2026-01-01", "source": "Their page"},
    )

    rates = dict(TaxRate.objects.values_list("place", "rate_bps"))
    assert rates == {"FR": 2000, "FI": 2550, "XD": 810}
    assert "FR: 20 % (2014-01-01)" in before
    assert "FR: 20 %" not in text(olga, "/staff/tax/rates/")


def test_quarter_is_shown_handed_out_and_paid(olga: Client, till: Till) -> None:
    charge(till.now)
    till.sell(24)

    page = text(olga, "/staff/tax/report/")
    csv = text(olga, "/staff/tax/report/2026-Q1.csv")
    paid = olga.post(
        "/staff/tax/paid/",
        {
            "place": "XD",
            "quarter": "2026-q1",
            "amount": "19.16",
            "currency": "CNY",
            "reference": "B-77",
        },
    )

    assert "100.84 CNY" in page
    assert csv.splitlines()[1] == "2026-Q1,,XD,19.00,CNY,100.84,19.16"
    assert paid.status_code == 302
    assert "liabilities:tax:XD" not in books()
    assert "B-77" in text(olga, "/staff/tax/")
    assert olga.get("/staff/tax/report/soon.csv").status_code == 404


def test_documents_are_listed_and_handed_out(olga: Client, till: Till) -> None:
    charge(till.now)
    order = till.sell()
    till.end(order, till.now + DAY)
    invoice = Document.objects.get(kind="invoice")

    page = text(olga, "/staff/documents/")
    pdf = olga.get(f"/staff/documents/{invoice.code}.pdf")

    assert page.index("CN-2026-00001") < page.rindex("INV-2026-00001")
    credit = page[page.index("CN-2026-00001") :].split("</tr>")[0]
    assert re.findall(r'class="num">(−?)[\d.]+ CNY', credit) == ["−", "−", "−"]
    assert (pdf.status_code, pdf.content[:4]) == (200, b"%PDF")
    assert "INV-2026-00001" in text(olga, f"/staff/orders/{order.code}/")


def test_list_of_documents_asks_the_database_alike_for_one_and_three(
    olga: Client, till: Till
) -> None:
    charge(till.now)
    till.sell()
    counts = []
    for _more in range(2):
        with CaptureQueriesContext(connection) as asked:
            text(olga, "/staff/documents/")
        counts.append(len(asked))
        till.sell()
        till.sell()

    assert counts[0] == counts[1]


@pytest.mark.django_db
def test_partner_sees_neither_report_nor_names(till: Till) -> None:
    charge(till.now)
    till.sell()
    pia = logged_in(make_staff("pia", "partner"))

    assert pia.get("/staff/tax/report/").status_code == 403
    assert pia.get("/staff/documents/").status_code == 403


def test_support_refunds_exactly_what_the_page_shows(till: Till) -> None:
    order = till.sell()
    assert order.subscription is not None
    path = f"/staff/customers/{order.subscription.code}/refund/"
    with time_machine.travel(till.now + 20 * DAY, tick=True):
        sam = logged_in(make_staff("sam", "support"))
        page = text(sam, path)
        form = {
            name: re.search(rf'name="{name}" value="([^"]*)"', page)[1]  # type: ignore[index] -- is there
            for name in ("at", "quoted")
        }
        refused = sam.post(path, form | {"quoted": "1CNY"})
        answer = sam.post(path, form)

    owed = Order.objects.get().refund_due_minor
    assert (refused.status_code, answer.status_code) == (409, 302)
    assert form["quoted"] == f"{owed}CNY"
    assert f"{owed / 100:.2f} CNY" in page


def test_refund_page_says_which_of_time_and_data_counts(till: Till) -> None:
    sell_packs(till)
    held = held_by(till.sell())
    path = f"/staff/customers/{held.code}/refund/"
    with time_machine.travel(till.now + 20 * DAY - timedelta(hours=1), tick=False):
        sam = logged_in(make_staff("sam", "support"))
        use(held, 80 * GB, till.now)
        page = text(sam, path)
        use(held, 100 * GB, till.now)
        nothing = text(sam, path)
        ending = text(sam, f"/staff/customers/{held.code}/end/")

    both = "In this month of its data 20 of 31 days and {} GB of 100 GB are used. The greater part"
    assert (both.format(80) in page, 'name="quoted" value="200CNY"' in page) == (True, True)
    assert (both.format(100) in nothing, 'name="quoted" value=""' in nothing) == (True, True)
    assert "Only its time counts, however much data was used." in ending
