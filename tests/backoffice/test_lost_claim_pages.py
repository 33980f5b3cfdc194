"""What a lost dispute did not find, on the pages of its order and of payments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.orders import actions as orders
from ferriage.payments import disputes, recalls
from ferriage.payments.models import Payment
from till import Till
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client

    from shop import Shop

pytestmark = pytest.mark.django_db
SAID = "had been spent: what comes back of it to a balance goes against the loss."


def test_pages_show_what_is_missing_until_it_came(olga: Client, shop: Shop, now: datetime) -> None:
    shop.approve_for_years()
    till, account = Till(shop, now), shop.account()
    top_up = till.top_up(account, 1000)
    order = till.order(account=account)
    orders.pay_from_balance(order=order, now=now, actor=CUSTOMER)
    dispute = recalls.take_back(
        payment=Payment.objects.get(order=top_up, outcome="settled"),
        money=Money(600, "CNY"),
        reference="L1",
        from_account="assets:bank",
        now=now,
        actor=OWNER,
    )
    disputes.lose(dispute=dispute, now=now, actor=OWNER)
    pages = [reverse("staff-payments"), reverse("staff-order", args=[top_up.code])]

    missing = [olga.get(page).content.decode() for page in pages]
    till.end(order, now)
    found = [olga.get(page).content.decode() for page in pages]

    assert [f"6.00 {SAID}" in page or f"6.00 CNY {SAID}" in page for page in missing] == [True] * 2
    assert [SAID in page for page in found] == [False] * 2
