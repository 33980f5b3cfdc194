"""Money that went out twice, on the worklist of payments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from ferriage.payments.models import Dispute, MadeGood, Payment, Refund
from till import Till

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client

    from shop import Shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def payment(shop: Shop, now: datetime) -> Payment:
    """A payment of 10.00 that was sent back whole, and of which its payer took 6.00 as well."""
    shop.approve_for_years()
    till = Till(shop, now)
    found = Payment.objects.get(order=till.sell())
    refund = Refund.objects.create(
        kind="ended",
        payment=found,
        amount_minor=1000,
        currency="CNY",
        reason="ended early",
        created_at=now,
    )
    Refund.objects.filter(pk=refund.pk).update(state="paid", paid_at=now, paid_reference="B-1")
    Dispute.objects.create(
        payment=found,
        reference="L1",
        amount_minor=600,
        currency="CNY",
        opened_at=now,
        closed_at=now,
        state="lost",
    )
    till.receive("", 600, number="R-9")
    return found


def test_worklist_shows_it_until_it_came_again(olga: Client, payment: Payment) -> None:
    page = olga.get(reverse("staff-payments")).content.decode()
    came = reverse("staff-twice-came", args=[payment.code])
    receipt = Payment.objects.get(transaction_id="R-9")
    form = olga.get(came).content.decode()

    done = olga.post(came, {"receipt": receipt.pk}, follow=True).content.decode()

    assert "Money that went out twice" in page
    assert came in page
    assert "went out twice" in form
    assert "so much less is lost" in done
    assert "Money that went out twice" not in done
    assert MadeGood.objects.get().receipt == receipt


def test_it_is_given_up_with_a_reason(olga: Client, payment: Payment) -> None:
    address = reverse("staff-twice-given-up", args=[payment.code])
    empty = olga.post(address, {"reason": " "})
    olga.post(address, {"reason": "No answer"})

    assert empty.status_code == 422
    assert MadeGood.objects.get().reason == "No answer"
    assert olga.get(address).status_code == 404
