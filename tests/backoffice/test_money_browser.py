"""Pages of money in Debian's Chromium, on a desk and on a telephone: no table hides its buttons."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from people import logged_in, make_staff
from real_browser import chromium, page, serving

from ferriage.core import clock
from ferriage.core.actors import Actor
from ferriage.core.money import Money
from ferriage.ledger.actions import record_bill
from ferriage.payments import actions as payments
from ferriage.payments import disputes, recalls, seconds
from ferriage.payments.models import Payment
from ferriage.payments.providers.bank import booking, files
from statement_files import FEE, RENT, Entry, camt
from till import Till

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from playwright.sync_api import Page

    from ferriage.config import Config
    from shop import Shop

__all__ = ["chromium", "page"]

pytestmark = pytest.mark.browser
OLGA = Actor("staff", "olga")
PICTURES = os.environ.get("FERRIAGE_TEST_PICTURES", "")
"""A directory for pictures, for somebody who wants to look."""
LOST = Entry(minor=1250, text="thank you for the ferry, and no reference", reference="R-1")
HIDDEN = """[...document.querySelectorAll('.staff-table')].filter(
    table => table.scrollWidth > table.clientWidth).map(table => table.innerText.slice(0, 40))"""
"""Tables that are wider than what is shown of them."""


def _book(shop: Shop) -> dict[str, str]:
    """Fill the books; return the addresses of the pages by name."""
    till = Till(shop, shop.now)
    held = shop.holder()
    shop.device(held)
    till.top_up(held.account, 700)
    account = files.add_account(
        name="Everyday", number="", currency="CNY", now=till.now, actor=OLGA
    )
    posted = camt([LOST, FEE, RENT], currency="CNY", opening=90_000)
    file = files.upload(account=account, name="a.xml", data=posted, now=till.now, actor=OLGA)
    [statement] = booking.post_file(file=file, take_opening=True, now=till.now, actor=OLGA)
    data = camt([LOST, FEE], currency="CNY", number="2", opening=41_000)
    draft = files.upload(account=account, name="b.xml", data=data, now=till.now, actor=OLGA)
    record_bill(
        gateway=shop.gateway.row.code,
        what="Host",
        money=Money(500, "CNY"),
        now=till.now,
        actor=OLGA,
    )
    for minor, number in ((1250, "4711"), (60_100, "a wallet of 12 signs")):
        seconds.bring(
            account=held.account,
            money=Money(minor, "CNY"),
            source="The old shop",
            number=number,
            reason="As their last statement said, which they sent us",
            limit=500,
            now=till.now,
            actor=OLGA,
        )
    _lose_twice(till)
    waits = Payment.objects.get(outcome="unallocated")
    return {
        "start": reverse("staff-start"),
        "transfers": reverse("staff-bank"),
        "assign": reverse("staff-unallocated-assign", args=[waits.code]),
        "payback": reverse("staff-subscription-pay-back", args=[held.code]),
        "opening": reverse("staff-subscription-opening", args=[held.code]),
        "payments": reverse("staff-payments"),
        "statements": reverse("staff-statements"),
        "statement": reverse("staff-statement", args=[statement.code]),
        "draft": reverse("staff-statement-file", args=[draft.code]),
        "ledger": reverse("staff-ledger"),
        "income": reverse("staff-income"),
        "hosting": reverse("staff-hosting"),
        "subscription": reverse("staff-subscription", args=[held.code]),
    }


def _lose_twice(till: Till) -> None:
    """Send a payment back whose bank takes a part of it as well."""
    order = till.end(till.sell(), till.now)
    refund = payments.queue_ended(order=order, now=till.now, actor=OLGA)
    assert refund is not None
    payments.mark_refund_paid(refund=refund, reference="B-77", now=till.now, actor=OLGA)
    recall = recalls.take_back(
        payment=refund.payment,
        money=Money(600, "CNY"),
        reference="REC-1",
        from_account="assets:bank",
        now=till.now,
        actor=OLGA,
    )
    disputes.lose(dispute=recall, now=till.now, actor=OLGA)


def test_tables_of_money_fit_a_telephone(
    own_database: Config, make_shop: Callable[[datetime], Shop], page: Page
) -> None:
    del own_database
    pages = _book(make_shop(clock.now()))
    cookies = logged_in(make_staff("olga", "owner")).cookies.values()
    with serving() as site:
        for one in cookies:
            page.context.add_cookies([{"name": one.key, "value": one.value, "url": site}])
        hidden = {}
        for name, address in pages.items():
            page.goto(site + address)
            for wide in (1280, 360):
                page.set_viewport_size({"width": wide, "height": 740})
                if PICTURES:
                    page.screenshot(path=Path(PICTURES) / f"{name}-{wide}.png", full_page=True)
                hidden[name, wide] = page.evaluate(HIDDEN)

    assert [found for found in hidden.items() if found[1]] == []
