from __future__ import annotations

import base64
import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.core.codes import normalise
from ferriage.core.hashing import hash_secret
from ferriage.fleet import actions as fleet
from ferriage.ledger.queries import balance, trial_balance
from ferriage.orders import actions as orders
from ferriage.orders import tasks as order_tasks
from ferriage.payments import actions as payments
from ferriage.payments.models import Payment, Refund, Voucher, VoucherBatch
from ferriage.payments.queries import check
from till import Till
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client

    from ferriage.orders.models import Order
    from shop import Shop

pytestmark = pytest.mark.django_db

BEAN_CHECK = Path(__file__).parents[2] / ".venv/bin/bean-check"


def _ordered(shop: Shop, now: datetime) -> tuple[Order, str]:
    """Return an order of a month that is to be paid by bank transfer, and its reference."""
    order = orders.place(
        account=shop.account(),
        price=shop.prices[1],
        place="XD",
        now=now,
        expires_at=now + timedelta(hours=72),
        actor=CUSTOMER,
    )
    payment = payments.start_bank(order=order, now=now, actor=CUSTOMER)
    assert payment.reference is not None
    return order, payment.reference


def _book(client: Client, reference: str, **changes: str) -> str:
    typed = {"reference": reference, "amount": "10", "currency": "CNY", "transaction_id": "B-1"}
    answer = client.post(reverse("staff-bank-book"), typed | changes, follow=True)
    return answer.content.decode()


def test_booked_receipt_pays_the_order(olga: Client, shop: Shop, now: datetime) -> None:
    order, reference = _ordered(shop, now)
    awaited = olga.get(reverse("staff-bank")).content.decode()

    page = _book(olga, reference.lower())

    order.refresh_from_db()
    assert reference in awaited
    assert "the order is paid and fulfilled" in page
    assert order.state == "fulfilled"
    assert balance("assets:bank", "CNY") == 1000
    assert balance("liabilities:unearned", "CNY") == -1000


def test_receipt_typed_twice_is_booked_once(olga: Client, shop: Shop, now: datetime) -> None:
    _order, reference = _ordered(shop, now)
    _book(olga, reference)

    page = _book(olga, reference)

    assert "was booked before" in page
    assert balance("assets:bank", "CNY") == 1000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"amount": "9.99"}, "less than the order asks for"),
        ({"amount": "11"}, "more than the order asks for"),
        ({"currency": "EUR"}, "of another currency"),
        ({"reference": "thanks"}, "it quotes no reference"),
    ],
)
def test_money_that_fits_no_order_is_kept_and_can_be_sent_back(
    olga: Client, shop: Shop, now: datetime, changes: dict[str, str], words: str
) -> None:
    order, reference = _ordered(shop, now)

    page = _book(olga, **{"reference": reference, **changes})
    payment = Payment.objects.get(outcome="unallocated")
    olga.post(reverse("staff-unallocated-refund", args=[payment.code]))
    refund = Refund.objects.get()
    listed = olga.get(reverse("staff-bank")).content.decode()
    olga.post(reverse("staff-refund-paid", args=[refund.code]), {"reference": "OUT-1"})

    order.refresh_from_db()
    refund.refresh_from_db()
    assert words in page
    assert "it belonged to no order" in listed
    assert (order.state, refund.state, refund.paid_reference) == ("open", "paid", "OUT-1")
    assert all(row.balance_minor == 0 for row in trial_balance())


def test_money_with_a_mistyped_reference_is_assigned_to_its_order(
    olga: Client, shop: Shop, now: datetime
) -> None:
    order, _reference = _ordered(shop, now)
    dearer = orders.place(
        account=shop.account(),
        price=shop.prices[6],
        place="XD",
        now=now,
        expires_at=now + timedelta(hours=72),
        actor=CUSTOMER,
    )
    _book(olga, "thanks")
    payment = Payment.objects.get(outcome="unallocated")
    address = reverse("staff-unallocated-assign", args=[payment.code])

    offered = olga.get(address).content.decode()
    refused = olga.post(address, {"order": dearer.pk})
    olga.post(address, {"order": order.pk})

    order.refresh_from_db()
    payment.refresh_from_db()
    assert (order.code in offered, dearer.code in offered) == (True, False)
    assert refused.status_code == 422
    assert (order.state, payment.order, payment.outcome) == ("fulfilled", order, "settled")
    assert balance("liabilities:unallocated", "CNY") == 0
    assert balance("liabilities:unearned", "CNY") == -1000
    assert check() == []


def test_money_without_a_fitting_order_has_three_ways_and_no_empty_choice(
    olga: Client, shop: Shop, now: datetime
) -> None:
    _order, reference = _ordered(shop, now)
    _book(olga, reference, amount="9.99")
    payment = Payment.objects.get(outcome="unallocated")
    ways = {
        way: reverse(f"staff-unallocated-{way}", args=[payment.code])
        for way in ("assign", "credit", "refund")
    }

    listed = olga.get(reverse("staff-bank")).content.decode()
    nothing = olga.get(ways["assign"]).content.decode()
    pressed = olga.post(ways["assign"], {})

    assert [way in listed for way in ways.values()] == [True] * 3
    assert "No open order asks for exactly this." in nothing
    main = nothing.split("<main")[1]
    assert ("<select" in main, '<button class="btn btn-primary">' in main) == (False, False)
    assert [ways[way] in main for way in ("credit", "refund")] == [True, True]
    assert pressed.status_code == 422


def test_refund_to_pay_names_the_receipt_it_came_by(
    olga: Client, shop: Shop, now: datetime
) -> None:
    _ordered(shop, now)
    _book(olga, "thanks", note="ACME Ltd, account 42")
    payment = Payment.objects.get(outcome="unallocated")

    olga.post(reverse("staff-unallocated-refund", args=[payment.code]))

    listed = olga.get(reverse("staff-bank")).content.decode()
    assert "Bank receipt <code>B-1</code>" in listed
    assert "ACME Ltd, account 42" in listed


def test_receipt_without_amount_keeps_what_was_typed(olga: Client) -> None:
    typed = {"reference": "R", "amount": "ten", "currency": "CNY", "transaction_id": "B-9"}

    answer = olga.post(reverse("staff-bank-book"), typed)

    assert answer.status_code == 422
    assert 'value="B-9"' in answer.content.decode()
    assert not Payment.objects.exists()


def test_support_books_but_auditor_only_reads(shop: Shop, now: datetime) -> None:
    _order, reference = _ordered(shop, now)
    support = logged_in(make_staff("sam", "support"))
    auditor = logged_in(make_staff("audrey", "auditor"))

    refused = auditor.post(reverse("staff-bank-book"), {"reference": reference})
    page = auditor.get(reverse("staff-bank")).content.decode()

    assert refused.status_code == 403
    assert reverse("staff-bank-book") not in page
    assert "the order is paid" in _book(support, reference)


def _batch(shop: Shop, **changes: str) -> dict[str, object]:
    typed = {"name": "Kiosk", "plan": shop.plan.pk, "term_months": "1", "count": "3"}
    return (
        typed | {"amount": "10", "currency": "CNY", "kind": "sold", "paid_per_code": "8"} | changes
    )


def test_voucher_codes_are_shown_once_with_their_file(olga: Client, shop: Shop) -> None:
    answer = olga.post(reverse("staff-voucher-new"), _batch(shop)).content.decode()
    codes = re.findall(r"<li>((?:\w{4}-){3}\w{4})</li>", answer)
    data = re.search(r'href="data:text/csv;base64,([^"]+)"', answer)
    assert data is not None

    hashes = {hash_secret("voucher", normalise(code)) for code in codes}
    assert hashes == set(Voucher.objects.values_list("code_hash", flat=True))
    assert base64.b64decode(data[1]).decode().split() == ["code", *codes]
    assert balance("liabilities:vouchers", "CNY") == -2400
    listed = olga.get(reverse("staff-vouchers")).content.decode()
    assert not any(code in listed for code in codes)


def test_free_vouchers_owe_nobody_anything(olga: Client, shop: Shop) -> None:
    olga.post(reverse("staff-voucher-new"), _batch(shop, kind="free", paid_per_code=""))

    assert VoucherBatch.objects.get().paid_per_code_minor == 0
    assert balance("liabilities:vouchers", "CNY") == 0


def test_subscription_ended_early_owes_the_rest(olga: Client, shop: Shop, now: datetime) -> None:
    order, reference = _ordered(shop, now)
    _book(olga, reference)
    order.refresh_from_db()
    assert order.subscription is not None
    at = now + timedelta(hours=1)

    page = olga.post(
        reverse("staff-subscription-end", args=[order.subscription.code]),
        {"at": f"{at:%Y-%m-%dT%H:%M:%S}", "reason": "Customer's wish"},
        follow=True,
    ).content.decode()

    order.refresh_from_db()
    assert "is owed back" in page
    assert order.cut_at == at
    # An hour of the 31 days of March costs 1.3 fen; 998.7 are owed, rounded for the customer.
    assert balance("liabilities:refunds", "CNY") == -999


def test_books_sum_to_nothing_and_link_to_entries(olga: Client, shop: Shop, now: datetime) -> None:
    order, reference = _ordered(shop, now)
    _book(olga, reference)

    page = olga.get(reverse("staff-ledger"))
    account = {"name": "liabilities:unearned", "currency": "CNY"}
    entries = olga.get(reverse("staff-ledger-account"), account).content.decode()
    source = olga.get(reverse("staff-ledger-source", args=[order.code])).content.decode()

    sums = dict(page.context["sums"])
    assert sums["CNY"][0] == sums["CNY"][1] > 0
    assert sums["CNY"][2] == 0
    assert page.context["findings"] == []
    assert order.code in entries
    assert "10.00 CNY" in source


def test_exported_books_pass_bean_check(
    olga: Client, shop: Shop, now: datetime, tmp_path: Path
) -> None:
    _order, reference = _ordered(shop, now)
    _book(olga, reference)

    answer = olga.get(reverse("staff-ledger-export", args=["beancount"]))
    file = tmp_path / "books.beancount"
    file.write_bytes(b"".join(answer.streaming_content))  # type: ignore[attr-defined]

    checked = subprocess.run([BEAN_CHECK, file], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    assert "unearned" in file.read_text().lower()


def test_order_page_shows_its_payment(olga: Client, shop: Shop, now: datetime) -> None:
    order, reference = _ordered(shop, now)
    _book(olga, reference)

    page = olga.get(reverse("staff-order", args=[order.code])).content.decode()
    listed = olga.get(reverse("staff-orders"), {"state": "fulfilled"}).content.decode()

    assert reference in page
    assert order.code in listed
    assert order.code not in olga.get(reverse("staff-orders"), {"state": "open"}).content.decode()


def test_line_page_says_who_waits_and_what_is_due_when(
    olga: Client, shop: Shop, now: datetime
) -> None:
    order = Till(shop, now).sell()
    lapsed = now + timedelta(days=10)
    fleet.revoke_approval(approval=Approval.objects.get(), now=lapsed, actor=OWNER)
    before = olga.get(reverse("staff-line", args=[shop.line.code])).content.decode()

    order_tasks.run(lapsed)

    page = olga.get(reverse("staff-line", args=[shop.line.code])).content.decode()
    assert "Customers that no line served" not in before
    assert "Customers that no line served" in page
    assert "<td>2026-04-10</td><td>1</td><td>6.78 CNY</td>" in page
    assert order.amount_minor == 1000
