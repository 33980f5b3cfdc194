"""From the upload of a statement to a settled order, on the pages; and receipts for two people."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.ledger.queries import balance
from ferriage.orders import actions as orders
from ferriage.payments import actions as payments
from ferriage.payments.models import (
    BankAccount,
    HandReceipt,
    Payment,
    Refund,
    StatementFile,
    StatementLine,
)
from ferriage.payments.providers.bank import files
from statement_files import FEE, IBAN, RENT, Entry, camt, china_csv
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from django.http import HttpResponse
    from django.test import Client
    from pytest_django.fixtures import DjangoAssertNumQueries, SettingsWrapper

    from ferriage.orders.models import Order
    from shop import Shop

pytestmark = pytest.mark.django_db


def ordered(shop: Shop, now: datetime, months: int = 1) -> tuple[Order, str]:
    order = orders.place(
        account=shop.account(),
        price=shop.prices[months],
        place="XD",
        now=now,
        expires_at=now + timedelta(hours=72),
        actor=CUSTOMER,
    )
    reference = payments.start_bank(order=order, now=now, actor=CUSTOMER).reference
    assert reference is not None
    return order, reference


@pytest.fixture
def account(olga: Client) -> BankAccount:
    typed = {"name": "Everyday", "number": IBAN, "currency": "cny"}
    olga.post(reverse("staff-bank-account-new"), typed)
    return BankAccount.objects.get()


def upload(client: Client, account: BankAccount, data: bytes, name: str = "m.xml") -> HttpResponse:
    given = SimpleUploadedFile(name, data)
    address = reverse("staff-statement-upload", args=[account.code])
    return client.post(address, {"file": given}, follow=True)  # type: ignore[return-value]


def text(answer: HttpResponse) -> str:
    return " ".join(answer.content.decode().split())


def test_upload_shows_what_it_would_do_and_posting_does_it(
    olga: Client, shop: Shop, now: datetime, account: BankAccount
) -> None:
    order, reference = ordered(shop, now)
    paid = Entry(minor=1000, text=f"ferry {reference}", reference="R-1", payer_iban="X")
    data = camt([paid, FEE, RENT], currency="CNY", opening=90000)

    preview = text(upload(olga, account, data))
    order.refresh_from_db()
    file = StatementFile.objects.get()
    state_before, lines_before = order.state, StatementLine.objects.count()
    posted = olga.post(
        reverse("staff-statement-post", args=[file.code]), {"take_opening": "on"}, follow=True
    )
    index = text(olga.get(reverse("staff-statements")))  # type: ignore[arg-type]

    assert "pays its order" in preview
    assert "the bank&#x27;s fee" in preview
    assert "waits for you" in preview
    assert "3 new of 3 lines" in preview
    assert "Take the opening balance of 900.00 CNY into the books" in preview
    assert (state_before, lines_before) == ("open", 0)
    assert (
        "The statement is posted: 1 × the bank&#x27;s fee; 1 × paid its order; 1 × waits for you."
    ) in text(posted)  # type: ignore[arg-type]
    order.refresh_from_db()
    assert order.state == "fulfilled"
    assert balance("assets:bank", "CNY") == 90000 + 1000 - 390
    assert "Rent March" in index
    assert '<td class="num" data-label="Difference">none</td>' in index


def test_work_with_money_is_counted_in_the_menu_and_is_no_step_of_setting_up(
    olga: Client, now: datetime, account: BankAccount
) -> None:
    def badges() -> dict[str, str]:
        page = text(olga.get(reverse("staff-start")))  # type: ignore[arg-type]
        side = page.split('<aside class="staff-side">')[1].split("</aside>")[0]
        found = re.findall(r"<li><a [^>]*>([\w ]+) <span[^>]*><b[^>]*>(\d+)</b>", side)
        return dict(found)

    def start() -> tuple[list[str], str]:
        page = text(olga.get(reverse("staff-start")))  # type: ignore[arg-type]
        titles = re.findall(r'<h3 class="text-lg">([^<]*)</h3>', page)
        return titles, re.findall(r"\d of \d are in place", page)[0]

    before = (badges(), *start())
    upload(olga, account, camt([RENT], currency="CNY", opening=90000))
    olga.post(reverse("staff-statement-post", args=[StatementFile.objects.get().code]))
    for number in ("N-1", "N-2"):
        payments.refund_unallocated(payment=loose(number, now), now=now, actor=OWNER)
    loose("N-3", now)

    steps = before[2]
    assert before == ({}, [], steps)
    assert badges() == {"Payments": "1", "Bank transfers": "2", "Bank statements": "1"}
    titles = ["Payments that wait for you", "Refunds to pay", "Lines that wait for you"]
    assert start() == (titles, steps)


def loose(number: str, now: datetime) -> Payment:
    """Let money come that names no order."""
    money = Money(700, "CNY")
    came = payments.book_receipt(
        reference="", transaction_id=number, money=money, now=now, actor=OWNER
    )
    return came.payment


def test_preview_says_what_an_order_cannot_take_and_why(
    olga: Client, shop: Shop, now: datetime, account: BankAccount
) -> None:
    _order, reference = ordered(shop, now)
    paid = Entry(minor=1000, text=f"ferry {reference}", reference="R-1")

    preview = text(upload(olga, account, camt([paid], currency="CNY")))
    address = reverse("staff-statement-post", args=[StatementFile.objects.get().code])
    posted = text(olga.post(address, follow=True))  # type: ignore[arg-type]

    assert (
        "its order cannot take it: refund "
        "(the payment came from a place where this may not be sold)"
    ) in preview
    assert "The statement is posted: 1 × its order could not take it: refund queued." in posted


def test_uploading_it_again_says_that_it_was_posted(olga: Client, account: BankAccount) -> None:
    data = camt([FEE], currency="CNY")
    upload(olga, account, data)
    olga.post(reverse("staff-statement-post", args=[StatementFile.objects.get().code]))

    again = text(upload(olga, account, data))

    assert "0 new of 1 lines" in again
    assert "was posted before" in again


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (camt([FEE], currency="CNY").replace(b"camt.053", b"camt.052"), "interim report"),
        (camt([FEE], currency="EUR"), "This is a statement of account"),
        (b"<!DOCTYPE a><a/>", "document type or an entity"),
    ],
)
def test_file_that_cannot_be_used_says_why(
    olga: Client, account: BankAccount, data: bytes, says: str
) -> None:
    answer = upload(olga, account, data)

    assert answer.status_code in {409, 422}
    assert says in text(answer)
    assert StatementFile.objects.count() == 0


def test_statement_that_does_not_add_up_has_no_button(olga: Client, account: BankAccount) -> None:
    preview = text(upload(olga, account, camt([FEE], currency="CNY", closing=5)))

    assert "do not make its closing balance" in preview
    assert "Post these lines" not in preview


def test_layout_of_a_csv_is_set_on_the_page_and_kept(
    olga: Client, shop: Shop, now: datetime, account: BankAccount
) -> None:
    order, reference = ordered(shop, now)
    data = f"wann;wieviel;was\n02.03.2026;10,00;{reference}\n".encode()
    first = text(upload(olga, account, data, "m.csv"))
    file = StatementFile.objects.get()
    address = reverse("staff-statement-layout", args=[file.code])
    form = text(olga.get(address))  # type: ignore[arg-type]

    preview = olga.post(
        address,
        {
            "encoding": "utf-8-sig",
            "delimiter": ";",
            "heading": "1",
            "date_format": "%d.%m.%Y",
            "decimal": ",",
            "day": "0",
            "amount": "1",
            "text": ["2"],
        },
        follow=True,
    )
    olga.post(reverse("staff-statement-post", args=[file.code]))

    assert "No row of the file names a day" in first
    assert "2: wieviel" in form
    assert "pays its order" in preview.content.decode()
    order.refresh_from_db()
    account.refresh_from_db()
    assert order.state == "fulfilled"
    assert account.layout["date_format"] == "%d.%m.%Y"


def test_csv_whose_words_were_not_read_warns_before_it_is_posted(
    olga: Client, shop: Shop, now: datetime, account: BankAccount
) -> None:
    _order, reference = ordered(shop, now)
    data = f"Date;Wording;Amount;Balance;Reference\n2026-03-02;{reference};10.00;100.00;7\n"

    warned = text(upload(olga, account, data.encode(), "m.csv"))
    read = text(upload(olga, account, data.replace("Wording", "Text").encode(), "m.csv"))

    assert "No line names an order. These columns were not read:" in warned
    assert "column 2 “Wording”" in warned
    assert "Take the opening balance of 90.00 CNY into the books" in warned
    assert "No line names an order" not in read
    assert "pays its order" in read


def test_balances_that_contradict_the_lines_ask_for_a_look(
    olga: Client, account: BankAccount
) -> None:
    rows = b"2026-03-01;a;10.00;110.00\n2026-03-02;b;30.00;80.00\n"
    asked = text(upload(olga, account, b"Date;Text;Amount;Balance\n" + rows, "m.csv"))
    address = reverse("staff-statement-post", args=[StatementFile.objects.get().code])

    refused = olga.post(address)
    draft = StatementFile.objects.get().state
    olga.post(address, {"take_doubtful": "on"})

    assert "I compared each line with my bank" in asked
    assert (refused.status_code, draft) == (409, "draft")
    assert StatementFile.objects.get().state == "posted"


def test_layout_is_asked_for_in_words(olga: Client, account: BankAccount) -> None:
    upload(olga, account, china_csv([Entry(minor=1000, text="x", reference="1")]), "m.csv")

    address = reverse("staff-statement-layout", args=[StatementFile.objects.get().code])
    form = text(olga.get(address))  # type: ignore[arg-type]

    assert '<option value="%d.%m.%Y">day.month.year: 31.03.2026</option>' in form
    assert '<option value="utf-8-sig">UTF-8</option>' in form
    assert "Balance after the line" in form


def test_marks_that_may_be_read_in_two_ways_are_asked_for(olga: Client, now: datetime) -> None:
    account = files.add_account(name="Gulf", number=IBAN, currency="KWD", now=now, actor=OWNER)
    data = b"Date;Amount;Purpose\n2026-03-02;12.500;a\n2026-03-03;3.000;b\n"
    asked = text(upload(olga, account, data, "m.csv"))
    address = reverse("staff-statement-layout", args=[StatementFile.objects.get().code])
    form = text(olga.get(address))  # type: ignore[arg-type]
    said = {
        "encoding": "utf-8-sig",
        "delimiter": ";",
        "heading": "1",
        "date_format": "%Y-%m-%d",
        "day": "0",
        "amount": "1",
    }

    unsaid = olga.post(address, said)
    read = olga.post(address, {**said, "decimal": "."}, follow=True)

    assert "The amounts may be read in two ways" in asked
    assert "Post these lines" not in asked
    assert '<option value="" selected>–</option>' in form
    assert unsaid.status_code == 422
    assert "12.500 KWD" in read.content.decode()


def test_wrong_layout_says_which_row_is_wrong(olga: Client, account: BankAccount) -> None:
    upload(olga, account, china_csv([Entry(minor=1000, text="x", reference="1")]), "m.csv")
    address = reverse("staff-statement-layout", args=[StatementFile.objects.get().code])

    answer = olga.post(
        address,
        {
            "encoding": "gb18030",
            "delimiter": ",",
            "heading": "2",
            "date_format": "%d.%m.%Y",
            "decimal": ".",
            "day": "0",
            "amount": "1",
        },
    )

    assert answer.status_code == 422
    assert "Row 3" in answer.content.decode()


def test_dropped_file_is_empty(olga: Client, account: BankAccount) -> None:
    upload(olga, account, camt([FEE], currency="CNY"))
    file = StatementFile.objects.get()

    olga.post(reverse("staff-statement-drop", args=[file.code]))

    file.refresh_from_db()
    assert (file.state, file.content) == ("dropped", None)
    shown = olga.get(reverse("staff-statement-file", args=[file.code])).content.decode()
    assert "This file was dropped" in shown


def test_line_that_waits_is_booked_as_a_refund_or_with_a_reason(
    olga: Client, shop: Shop, now: datetime, account: BankAccount
) -> None:
    order, reference = ordered(shop, now)
    orders.cancel(order=order, now=now, actor=CUSTOMER)
    entries = [
        Entry(minor=1000, text=reference, payer_iban="X"),
        Entry(minor=-1000, text="to customer"),
        RENT,
    ]
    upload(olga, account, camt(entries, currency="CNY", opening=99999))
    olga.post(reverse("staff-statement-post", args=[StatementFile.objects.get().code]))
    refund = Refund.objects.get()
    paying, rent = StatementLine.objects.filter(state="waits").order_by("pk")

    neither = olga.post(reverse("staff-bank-line", args=[paying.code]), {})
    olga.post(reverse("staff-bank-line", args=[paying.code]), {"refund": refund.pk})
    no_reason = olga.post(
        reverse("staff-bank-line", args=[rent.code]), {"account": "expenses:other"}
    )
    olga.post(
        reverse("staff-bank-line", args=[rent.code]),
        {"account": "expenses:other", "reason": "Rack"},
    )

    refund.refresh_from_db()
    assert "one of them" in neither.content.decode()
    assert "Say what it was for" in no_reason.content.decode()
    assert refund.state == "paid"
    assert balance("expenses:other", "CNY") == 50000
    assert not StatementLine.objects.exclude(state="done").exists()


def test_pages_ask_as_often_for_many_lines_as_for_few(
    olga: Client,
    account: BankAccount,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    many = [Entry(minor=-number, text=f"Line {number}") for number in range(1, 30)]
    upload(olga, account, camt(many, currency="CNY", opening=99999))
    file = StatementFile.objects.get()

    with django_assert_max_num_queries(25):
        olga.get(reverse("staff-statement-file", args=[file.code]))
    olga.post(reverse("staff-statement-post", args=[file.code]))
    with django_assert_max_num_queries(25):
        olga.get(reverse("staff-statements"))
    with django_assert_max_num_queries(25):
        olga.get(reverse("staff-statement", args=[file.statements.get().code]))


def test_reference_with_a_slip_is_guessed_for_staff(
    olga: Client, shop: Shop, now: datetime, account: BankAccount
) -> None:
    ordered(shop, now)
    order, reference = ordered(shop, now)
    ordered(shop, now)
    slip = reference[:4] + reference[5:]
    upload(olga, account, camt([Entry(minor=1000, text=slip, payer_iban="X")], currency="CNY"))
    file = StatementFile.objects.get()
    olga.post(reverse("staff-statement-post", args=[file.code]))
    payment = StatementLine.objects.get().payment
    assert payment is not None

    shown = text(olga.get(reverse("staff-statement", args=[file.statements.get().code])))  # type: ignore[arg-type]
    assign = text(olga.get(reverse("staff-unallocated-assign", args=[payment.code])))  # type: ignore[arg-type]

    assert f'Perhaps for <a href="{reverse("staff-order", args=[order.code])}"' in shown
    assert f'<option value="{order.pk}" selected>' in assign


# --- receipts ---------------------------------------------------------------------------------


@pytest.fixture
def low_limit(settings: SettingsWrapper, tmp_path: Path) -> None:
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(config, shop=replace(config.shop, receipt_limit=10))
    del tmp_path


def booked(client: Client, reference: str, *, with_file: bool = True) -> str:
    typed = {
        "kind": "transfer",
        "reference": reference,
        "amount": "50",
        "currency": "CNY",
        "transaction_id": "B-1",
    }
    photo = SimpleUploadedFile("r.jpg", b"photo", content_type="image/jpeg")
    given = {"file": photo} if with_file else {}
    answer = client.post(reverse("staff-bank-book"), typed | given, follow=True)
    return answer.content.decode()


def test_large_receipt_waits_for_another_person_who_sees_the_file(
    olga: Client, shop: Shop, now: datetime, low_limit: None
) -> None:
    del low_limit
    order, reference = ordered(shop, now, months=6)
    vera = logged_in(make_staff("vera", "support"))
    refused = booked(olga, reference, with_file=False)

    told = booked(olga, reference)
    receipt = HandReceipt.objects.get()
    confirm = reverse("staff-receipt-confirm", args=[receipt.code])
    mine = olga.get(reverse("staff-statements")).content.decode()
    by_myself = olga.post(confirm)
    theirs = vera.get(reverse("staff-statements")).content.decode()
    photo = vera.get(reverse("staff-receipt-evidence", args=[receipt.code]))
    answer = vera.post(confirm, follow=True).content.decode()

    order.refresh_from_db()
    assert "needs a file that proves it" in refused
    assert "It waits for a second person" in told
    assert (confirm in mine, confirm in theirs) == (False, True)
    assert by_myself.status_code == 409
    assert b"".join(photo.streaming_content) == b"photo"  # type: ignore[attr-defined]
    assert "the order is paid and fulfilled" in answer
    assert order.state == "fulfilled"
    assert balance("assets:bank", "CNY") == 5000


def test_receipt_that_waits_is_dropped(
    olga: Client, shop: Shop, now: datetime, low_limit: None
) -> None:
    del low_limit
    _order, reference = ordered(shop, now, months=6)
    booked(olga, reference)
    receipt = HandReceipt.objects.get()

    olga.post(reverse("staff-receipt-drop", args=[receipt.code]))

    receipt.refresh_from_db()
    assert (receipt.dropped_by, receipt.booked_at) == ("olga", None)
    assert balance("assets:bank", "CNY") == 0
