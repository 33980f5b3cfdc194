"""Resellers on the pages of the house, and on the one page that is theirs."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from people import logged_in

from ferriage.core.actors import CUSTOMER
from ferriage.core.codes import normalise
from ferriage.core.money import Money
from ferriage.ledger.queries import balance
from ferriage.orders import actions as orders
from ferriage.payments import actions as payments
from ferriage.payments.models import Reseller, Voucher, VoucherBatch
from ferriage.payments.queries import check
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_django.fixtures import DjangoAssertNumQueries

    from shop import Shop

pytestmark = pytest.mark.django_db

KIOSK = {
    "name": "Kiosk at the pier",
    "slug": "kiosk",
    "currency": "CNY",
    "discount": "20",
    "quota": "40",
}


@pytest.fixture
def kiosk(olga: Client) -> Reseller:
    olga.post(reverse("staff-reseller-new"), KIOSK)
    return Reseller.objects.get()


def issue(client: Client, shop: Shop, kiosk: Reseller, count: int, **changes: str) -> str:
    typed = {
        "name": "Shelf",
        "plan": str(shop.plan.pk),
        "term_months": "1",
        "count": str(count),
        "amount": "10",
        "currency": "CNY",
        "kind": "sold",
        "reseller": str(kiosk.pk),
    }
    return client.post(reverse("staff-voucher-new"), typed | changes).content.decode()


def test_batch_for_a_reseller_takes_their_price_and_quota(
    olga: Client, shop: Shop, kiosk: Reseller
) -> None:
    page = issue(olga, shop, kiosk, 3)
    too_many = issue(olga, shop, kiosk, 3)

    assert len(re.findall(r"<li>(\w{4}-\w{4}-\w{4}-\w{4})</li>", page)) == 3
    assert page.count("data:image/svg+xml") == 3
    assert VoucherBatch.objects.get().paid_per_code_minor == 800
    assert balance("assets:receivable:kiosk", "CNY") == 2400
    assert "may owe 40.00 CNY, and would owe 48.00 CNY" in too_many


def test_payment_statement_and_csv_add_up(
    olga: Client, shop: Shop, kiosk: Reseller, now: datetime
) -> None:
    page = issue(olga, shop, kiosk, 3)
    code = re.findall(r"<li>(\w{4}-\w{4}-\w{4}-\w{4})</li>", page)[0]
    order = orders.place(
        account=shop.account(),
        price=shop.prices[1],
        place="XD",
        now=now,
        expires_at=now + timedelta(hours=72),
        actor=CUSTOMER,
    )
    payments.redeem_voucher(order=order, code=code, now=now, actor=CUSTOMER)
    typed = {"amount": "16", "currency": "CNY", "transaction_id": "B-1"}
    olga.post(reverse("staff-reseller-paid", args=[kiosk.code]), typed)
    again = olga.post(reverse("staff-reseller-paid", args=[kiosk.code]), typed)

    shown = olga.get(reverse("staff-reseller-month", args=[kiosk.code, 2026, 3])).content.decode()
    answer = olga.get(reverse("staff-reseller-csv", args=[kiosk.code, 2026, 3]))
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))

    assert again.status_code == 422
    assert "1 code was used by a customer in this month." in " ".join(shown.split())
    assert [(row["what"], row["amount"]) for row in rows] == [
        ("opening", "0.00"),
        ("batch", "24.00"),
        ("payment", "-16.00"),
        ("taken back", "0.00"),
        ("redeemed", ""),
        ("owed", "8.00"),
    ]
    assert answer["Content-Disposition"] == 'attachment; filename="kiosk-2026-03.csv"'
    assert check() == []


def test_link_shows_a_reseller_their_own_page_and_no_code(
    olga: Client, shop: Shop, kiosk: Reseller
) -> None:
    page = issue(olga, shop, kiosk, 2)
    codes = re.findall(r"<li>(\w{4}-\w{4}-\w{4}-\w{4})</li>", page)
    made = olga.post(reverse("staff-reseller-link", args=[kiosk.code])).content.decode()
    token = re.findall(r"/resellers/([\w-]+)/", made)[0]
    outside = Client()

    own = outside.get(reverse("reseller-page", args=[token]))
    month = outside.get(reverse("reseller-month", args=[token, 2026, 3]))
    as_csv = outside.get(reverse("reseller-csv", args=[token, 2026, 3]))
    sent = outside.post(reverse("reseller-page", args=[token]))
    olga.post(reverse("staff-reseller-unlink", args=[kiosk.code]))
    gone = outside.get(reverse("reseller-page", args=[token]))

    text = own.content.decode() + month.content.decode() + as_csv.content.decode()
    assert (own.status_code, month.status_code, as_csv.status_code) == (200, 200, 200)
    assert "16.00 CNY" in text
    assert kiosk.reference in text
    assert [code for code in codes if code in text or normalise(code) in text] == []
    assert "/staff/" not in text
    assert own["Referrer-Policy"] == "no-referrer"
    assert (sent.status_code, gone.status_code) == (405, 410)


@pytest.mark.parametrize("address", ["reseller-page", "reseller-month", "reseller-csv"])
def test_made_up_link_opens_nothing(kiosk: Reseller, address: str) -> None:
    month = [] if address == "reseller-page" else [2026, 3]

    answer = Client().get(reverse(address, args=["x" * 43, *month]))

    assert answer.status_code == 410
    assert kiosk.name not in answer.content.decode()


def test_money_without_the_reference_is_given_to_them_on_their_page(
    olga: Client, shop: Shop, kiosk: Reseller, now: datetime
) -> None:
    issue(olga, shop, kiosk, 3)
    came = payments.book_receipt(
        reference="kiosk",
        transaction_id="B-1",
        money=Money(2000, "CNY"),
        now=now,
        actor=OWNER,
    ).payment

    olga.post(reverse("staff-reseller-apply", args=[kiosk.code]), {"payment": came.pk})

    assert balance("assets:receivable:kiosk", "CNY") == 400
    assert balance("liabilities:unallocated", "CNY") == 0


def test_month_that_is_none_is_not_found(olga: Client, kiosk: Reseller) -> None:
    for year, number in ((2026, 13), (2026, 0), (1, 1)):
        address = reverse("staff-reseller-month", args=[kiosk.code, year, number])
        assert olga.get(address).status_code == 404


def test_codes_are_taken_back_on_the_batchs_page(olga: Client, shop: Shop, kiosk: Reseller) -> None:
    page = issue(olga, shop, kiosk, 3)
    codes = re.findall(r"<li>(\w{4}-\w{4}-\w{4}-\w{4})</li>", page)
    batch = VoucherBatch.objects.get()

    olga.post(reverse("staff-batch-void", args=[batch.code]), {"codes": codes[0], "reason": "Torn"})
    olga.post(reverse("staff-batch-void", args=[batch.code]), {"reason": "Unsold"})
    shown = olga.get(reverse("staff-batch", args=[batch.code])).content.decode()

    assert balance("assets:receivable:kiosk", "CNY") == 0
    assert Voucher.objects.filter(reversal=None).count() == 0
    assert "Torn, olga" in shown
    assert "Take codes back" not in shown


def test_expired_batch_is_written_off_with_a_reason(
    olga: Client, shop: Shop, kiosk: Reseller, now: datetime
) -> None:
    issue(olga, shop, kiosk, 2, expires_on="2026-03-01")
    batch = VoucherBatch.objects.get()
    address = reverse("staff-batch-write-off", args=[batch.code])
    early = olga.post(address, {"reason": "Old"})

    with time_machine.travel(now + timedelta(hours=13), tick=True):
        again = logged_in(User.objects.get(username="olga"))
        shown = again.get(reverse("staff-batch", args=[batch.code])).content.decode()
        again.post(address, {"reason": "Old"})

    assert early.status_code == 409
    assert "2026-03-01" in shown
    assert "Write off expired codes" in shown
    assert balance("income:vouchers", "CNY") == -1600


def test_terms_are_changed(olga: Client, kiosk: Reseller) -> None:
    address = reverse("staff-reseller-terms", args=[kiosk.code])
    shown = olga.get(address).content.decode()

    olga.post(address, {"discount": "12.5", "quota_codes": "7", "quota": ""})
    wrong = olga.post(address, {"discount": "100", "quota": "much"})

    kiosk.refresh_from_db()
    assert 'value="40.00"' in shown
    assert (kiosk.discount_bp, kiosk.quota_codes, kiosk.quota_minor) == (1250, 7, None)
    assert wrong.status_code == 422


def test_lists_ask_as_often_for_three_resellers_as_for_one(
    olga: Client, shop: Shop, kiosk: Reseller, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    issue(olga, shop, kiosk, 1)
    address = reverse("staff-resellers")
    olga.get(address)
    with CaptureQueriesContext(connection) as one:
        olga.get(address)
    asked = len(one)
    for number in range(2):
        olga.post(reverse("staff-reseller-new"), KIOSK | {"slug": f"shop-{number}"})
        issue(olga, shop, Reseller.objects.latest("pk"), 1)

    with django_assert_num_queries(asked):
        olga.get(address)
