"""What a bank took back, on the pages: said of a line, then decided in one of three ways."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest
from django.urls import reverse

from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.orders import actions as orders
from ferriage.payments import actions as payments
from ferriage.payments.models import Dispute, Payment, StatementLine
from ferriage.payments.providers.bank import booking, files
from statement_files import IBAN, Entry, camt
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpResponse
    from django.test import Client

    from shop import Shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def paid(shop: Shop, now: datetime) -> Payment:
    """A month that was paid by transfer."""
    order = orders.place(
        account=shop.account(),
        price=shop.prices[1],
        place="XD",
        now=now,
        expires_at=now + timedelta(hours=72),
        actor=CUSTOMER,
    )
    reference = payments.start_bank(order=order, now=now, actor=CUSTOMER).reference
    return received(reference or "", now)


def received(reference: str, now: datetime, number: str = "N-1") -> Payment:
    return payments.book_receipt(
        reference=reference,
        transaction_id=number,
        money=Money(1000, "CNY"),
        now=now,
        actor=OWNER,
    ).payment


def take(now: datetime, text: str, *, minor: int = -1000, reversal: bool) -> StatementLine:
    account = files.add_account(name="E", number=IBAN, currency="CNY", now=now, actor=OWNER)
    entry = Entry(minor=minor, text=text, reference="REC-1", reversal=reversal)
    data = camt([entry], currency="CNY", opening=1000)
    file = files.upload(account=account, name="m.xml", data=data, now=now, actor=OWNER)
    booking.post_file(file=file, now=now, actor=OWNER)
    return StatementLine.objects.get()


@pytest.fixture
def recall(paid: Payment, now: datetime) -> Dispute:
    take(now, paid.reference or "", reversal=True)
    return Dispute.objects.get()


def decide(olga: Client, how: str, dispute: Dispute, **typed: object) -> HttpResponse:
    address = reverse(f"staff-recall-{how}", args=[dispute.code])
    assert olga.get(address).status_code == 200
    return cast("HttpResponse", olga.post(address, typed, follow=True))


def test_recall_is_listed_with_its_three_ways_out(olga: Client, recall: Dispute) -> None:
    shown = olga.get(reverse("staff-payments")).content.decode()

    ways = [reverse(f"staff-recall-{how}", args=[recall.code]) for how in ("won", "lost", "other")]
    assert [way in shown for way in ways] == [True, True, True]
    assert "taken back by its bank" in shown


def test_nothing_is_there_to_press_while_no_money_came_again(
    olga: Client, recall: Dispute, now: datetime
) -> None:
    def asked() -> tuple[bool, bool]:
        page = olga.get(reverse("staff-recall-won", args=[recall.code])).content.decode()
        return "No money of exactly this amount waits" in page, "This is it" in page

    before = asked()
    received("", now, "N-2")

    assert (before, asked()) == ((True, False), (False, True))


def test_money_is_gone_after_asking_once_more(olga: Client, recall: Dispute, paid: Payment) -> None:
    decide(olga, "lost", recall)
    again = decide(olga, "lost", recall)

    recall.refresh_from_db()
    assert recall.state == "lost"
    assert paid.order is not None
    assert again.status_code == 200
    shown = olga.get(reverse("staff-payments")).content.decode()
    assert reverse("staff-recall-lost", args=[recall.code]) not in shown


def test_dispute_is_told_while_it_is_open_and_after_it_is_over(
    olga: Client, recall: Dispute, paid: Payment, now: datetime
) -> None:
    order = paid.order
    assert order is not None
    own_pages = [
        reverse("staff-order", args=[order.code]),
        reverse("staff-ledger-source", args=[paid.code]),
    ]

    def told(words: str) -> list[bool]:
        pages = [olga.get(url).content.decode() for url in own_pages]
        return [words in page and "N-1" in page for page in pages]

    def waiting() -> tuple[str | None, bool]:
        start = olga.get(reverse("staff-start")).content.decode()
        count = re.search(r"(\w+) payments? waits? for you", start)
        return count and count[1], "Payments that wait for you" in start

    received("", now, "N-2")
    while_open = (waiting(), told("open"))
    decide(olga, "lost", recall)
    afterwards = (waiting(), told("lost: the money went back"))
    past = olga.get(reverse("staff-payments")).content.decode().split("Disputes that are over")[1]

    assert while_open == (("2", True), [True, True])
    assert afterwards == (("one", True), [True, True])
    assert [recall.reference in past, order.code in past] == [True, True]
    Payment.objects.filter(outcome="unallocated").update(outcome="returned")
    assert waiting() == (None, False)


def test_refund_to_note_as_paid_says_how_much_goes_to_whom(olga: Client, now: datetime) -> None:
    came = received("", now, "N-7")
    refund = payments.refund_unallocated(payment=came, now=now, actor=OWNER)

    shown = olga.get(reverse("staff-refund-paid", args=[refund.code])).content.decode()

    assert f"10.00 CNY, refund {refund.code}, to whoever paid {came.code} (N-7)." in shown


def test_money_that_came_again_is_chosen_from_what_waits(
    olga: Client, recall: Dispute, now: datetime
) -> None:
    nothing = decide(olga, "won", recall)
    waits = received("", now, "N-2")

    decide(olga, "won", recall, payment=waits.pk)

    recall.refresh_from_db()
    waits.refresh_from_db()
    assert nothing.status_code == 422
    assert (recall.state, waits.outcome) == ("won", "returned")


def test_other_payment_or_other_account_is_named_and_one_of_both(
    olga: Client, recall: Dispute
) -> None:
    neither = decide(olga, "other", recall)
    unknown = decide(olga, "other", recall, payment="pay_nobody")
    wordless = decide(olga, "other", recall, account="expenses:other")
    decide(olga, "other", recall, account="expenses:other", reason="A fine")

    recall.refresh_from_db()
    assert [page.status_code for page in (neither, unknown, wordless)] == [422, 422, 422]
    assert recall.state == "void"


def test_money_that_is_being_taken_back_offers_nothing_until_that_is_decided(
    olga: Client, now: datetime
) -> None:
    waits = received("", now, "N-2")
    part = take(now, "out", minor=-600, reversal=False)
    olga.post(reverse("staff-bank-line", args=[part.code]), {"payment": waits.code})
    ways = [reverse(f"staff-unallocated-{way}", args=[waits.code]) for way in WAYS]

    disputed = pages(olga)
    refused = [olga.post(way).status_code for way in ways]
    decide(olga, "lost", Dispute.objects.get())
    decided = pages(olga)
    asked = olga.get(ways[-1]).content.decode()

    assert [way in disputed for way in ways] == [False, False, False]
    assert "It is being taken back" in disputed
    assert refused == [422, 422, 409]
    assert [way in decided for way in ways] == [False, True, True]
    assert "6.00 CNY of it were taken back" in decided
    assert "4.00 CNY" in asked


WAYS = ("assign", "credit", "refund")


def pages(olga: Client) -> str:
    """Return both pages that list money without an order."""
    both = [olga.get(reverse(name)) for name in ("staff-payments", "staff-bank")]
    return "".join(page.content.decode() for page in both)


def test_staff_say_of_a_line_which_payment_it_took_back(
    olga: Client, paid: Payment, now: datetime
) -> None:
    line = take(now, "outgoing", reversal=False)
    address = reverse("staff-bank-line", args=[line.code])

    wrong = olga.post(address, {"payment": "ABC"})
    olga.post(address, {"payment": paid.reference})

    assert wrong.status_code == 422
    assert Dispute.objects.get().payment == paid


def test_reference_of_two_payments_asks_which_it_was(
    olga: Client, paid: Payment, now: datetime
) -> None:
    second = received(paid.reference or "", now, "N-2")
    line = take(now, "outgoing", minor=-400, reversal=False)
    address = reverse("staff-bank-line", args=[line.code])

    asked = olga.post(address, {"payment": paid.reference}).content.decode()
    line.refresh_from_db()
    waits = line.state
    olga.post(address, {"payment": second.code})

    told = [f"{one.code} · 10.00 CNY · {now:%Y-%m-%d}" in asked for one in (paid, second)]
    assert (told, waits) == ([True, True], "waits")
    assert Dispute.objects.get().payment == second
