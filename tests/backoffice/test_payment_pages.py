"""Providers over the net in the back office: secrets go in and never come out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from people import logged_in, make_staff

from counter import Counter, open_counter
from ferriage.core import clock
from ferriage.core.models import AuditEntry
from ferriage.core.money import Money
from ferriage.orders import balance
from ferriage.payments import accounts, inbox, settlement
from ferriage.payments.models import Difference, Payment, ProviderAccount
from ferriage.payments.providers import registry
from ferriage.payments.providers.contract import RawEvent, Unverified
from stand_in import StandIn
from till import Till, assert_sound
from yard import OWNER

if TYPE_CHECKING:
    from pathlib import Path

    from django.test import Client

    from shop import Shop

pytestmark = pytest.mark.django_db

SECRET = "the key that nobody may read again"


@pytest.fixture
def counter(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counter:
    shop.approve_for_years()
    return open_counter(Till(shop, clock.now()), tmp_path / "standin.db", monkeypatch)


def page(client: Client) -> str:
    return client.get(reverse("staff-payments")).content.decode()


def add(client: Client, **changes: str) -> str:
    typed = {"label": "Card", "mode": "test", "key": SECRET, "file": "/nowhere"} | changes
    answer = client.post(reverse("staff-provider-new", args=["standin"]), typed, follow=True)
    return answer.content.decode()


def test_provider_is_added_and_its_secret_is_shown_by_nothing(
    olga: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.KINDS, "standin", StandIn)

    added = add(olga)

    account = ProviderAccount.objects.get()
    seen = [
        added,
        page(olga),
        olga.get(reverse("staff-provider-secrets", args=[account.code])).content.decode(),
        olga.get(f"/staff/tables/payments/provideraccount/{account.pk}/change/").content.decode(),
        olga.get("/staff/tables/payments/provideraccount/").content.decode(),
        str(list(AuditEntry.objects.values())),
        str(list(ProviderAccount.objects.values())),
    ]
    assert (account.label, account.mode, account.enabled) == ("Card", "test", True)
    assert registry.opened(account).title == "Card"
    assert [text for text in seen if SECRET in text or account.secrets_sealed in text] == [seen[-1]]
    assert SECRET not in seen[-1]


def test_secret_is_not_in_the_page_that_refuses_it(
    olga: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.KINDS, "standin", StandIn)

    refused = add(olga, label="")

    assert SECRET not in refused
    assert ProviderAccount.objects.count() == 0


def test_secrets_are_replaced_whole(olga: Client, counter: Counter) -> None:
    before = counter.account.secrets_sealed
    address = reverse("staff-provider-secrets", args=[counter.account.code])

    missing = olga.post(address, {"key": SECRET})
    olga.post(address, {"key": SECRET, "file": "/elsewhere"})

    counter.account.refresh_from_db()
    assert missing.status_code == 422
    assert counter.account.secrets_sealed != before


def test_test_mode_is_seen_by_staff_and_customers(olga: Client, counter: Counter) -> None:
    live = [page(olga), olga.get(reverse("home")).content.decode()]
    accounts.set_enabled(account=counter.account, enabled=False, now=clock.now(), actor=OWNER)
    add(olga)

    in_test = [page(olga), olga.get(reverse("home")).content.decode()]

    words = ["payments in test mode", "moves no real money"]
    assert [word in text for word, text in zip(words, live, strict=True)] == [False, False]
    assert [word in text for word, text in zip(words, in_test, strict=True)] == [True, True]


def test_account_is_taken_out_of_use_and_put_back(olga: Client, counter: Counter) -> None:
    address = reverse("staff-provider-use", args=[counter.account.code])
    states = []
    for _press in range(2):
        olga.post(address)
        counter.account.refresh_from_db()
        states.append(counter.account.enabled)

    assert states == [False, True]


def test_money_without_an_order_is_credited(olga: Client, counter: Counter) -> None:
    payment = counter.late()
    assert payment.order is not None
    assert payment.order.account is not None
    before = page(olga)
    address = reverse("staff-unallocated-credit", args=[payment.code])
    wrong = olga.post(address, {"order": "ord_0000000000000000"})

    olga.post(address, {"order": payment.order.code})

    assert "the order was cancelled" in before
    assert wrong.status_code == 422
    assert balance.balance(payment.order.account, "CNY") == 1000
    assert payment.code not in page(olga)
    assert_sound()


def test_money_over_the_net_is_sent_back_from_its_own_list(olga: Client, counter: Counter) -> None:
    payment = counter.late()

    answer = olga.post(reverse("staff-unallocated-refund", args=[payment.code]))

    assert answer.headers["Location"] == reverse("staff-payments")
    assert payment.code not in olga.get(reverse("staff-bank")).content.decode()
    assert Payment.objects.get(pk=payment.pk).outcome == "refund"


def test_difference_is_shown_until_it_is_noted(olga: Client, counter: Counter) -> None:
    counter.line("row_x", "other", "x", 7)
    settlement.read_books(account=counter.account, now=counter.now)
    before = page(olga)

    olga.post(reverse("staff-difference-noted", args=[Difference.objects.get().pk]))

    assert "row_x" in before
    assert "row_x" not in page(olga)


def test_dispute_is_listed_and_said_on_the_subscription(olga: Client, counter: Counter) -> None:
    payment = counter.sell()
    money = Money(1000, "CNY")
    counter.say("dispute-opened", payment, "evt_d", dispute="dp_1", money=money, reason="fraud")
    assert payment.order is not None
    payment.order.refresh_from_db()
    assert payment.order.subscription is not None
    address = reverse("staff-subscription", args=[payment.order.subscription.code])

    shown = [page(olga), olga.get(address).content.decode()]

    words = ["dp_1", "a payment is disputed"]
    assert [word in text for word, text in zip(words, shown, strict=True)] == [True, True]
    # On a telephone every row of this page is a card whose cells say what they are.
    assert re.findall(r'class="(panel staff-table[^"]*)"', shown[0]) == [
        "panel staff-table staff-cards"
    ] * shown[0].count("<table>")
    row = next(row for row in shown[0].split("<tr>") if "dp_1" in row)
    labels = re.findall(r'data-label="([^"]+)"', row)
    assert labels == ["Dispute", "Order", "Amount", "Reason", "Since"]


def test_callbacks_that_nobody_signed_are_told(olga: Client, counter: Counter) -> None:
    with pytest.raises(Unverified):
        inbox.receive(slug="standin", raw=RawEvent(b"{}", {}, counter.now), now=counter.now)

    assert "one callback for “standin” was not signed" in page(olga)


def test_lists_ask_the_same_number_of_queries_for_one_and_three(
    olga: Client, counter: Counter
) -> None:
    counter.late()
    with CaptureQueriesContext(connection) as one:
        page(olga)
    counter.late()
    counter.late()
    with CaptureQueriesContext(connection) as three:
        page(olga)

    assert len(three) == len(one)


def test_support_may_not_touch_secrets(counter: Counter) -> None:
    support = logged_in(make_staff("sam", "support"))

    assert "Replace secrets" not in page(support)
    address = reverse("staff-provider-secrets", args=[counter.account.code])
    assert support.get(address).status_code == 403
