"""Money above the limit, on the pages: one owner proposes, another one confirms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.core.money import Money
from ferriage.payments import actions as payments
from ferriage.payments.models import Payment, Proposal
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client
    from pytest_django.fixtures import SettingsWrapper

    from shop import Shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def late(shop: Shop, now: datetime, settings: SettingsWrapper) -> Payment:  # noqa: ARG001 -- a shop is open
    """Money that nobody asked for, above the limit of this shop."""
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(config, shop=replace(config.shop, receipt_limit=9))
    return payments.book_receipt(
        reference="", transaction_id="N-1", money=Money(1000, "CNY"), now=now, actor=OWNER
    ).payment


def test_refund_waits_for_another_owner(olga: Client, late: Payment) -> None:
    vera = logged_in(make_staff("vera", "owner"))

    answer = olga.post(reverse("staff-unallocated-refund", args=[late.code]), follow=True)
    proposal = Proposal.objects.get()
    confirm = reverse("staff-proposal-confirm", args=[proposal.code])
    pages = [client.get(reverse("staff-payments")) for client in (olga, vera)]
    shown = [confirm in page.content.decode() for page in pages]
    alone = olga.post(confirm, follow=True)
    late.refresh_from_db()
    waited = late.outcome
    vera.post(confirm)

    late.refresh_from_db()
    assert "waits for a second person" in answer.content.decode()
    assert shown == [False, True]
    assert "another person" in alone.content.decode()
    assert (waited, late.outcome) == ("unallocated", "refund")


def test_proposal_is_dropped(olga: Client, late: Payment) -> None:
    olga.post(reverse("staff-unallocated-refund", args=[late.code]))
    proposal = Proposal.objects.get()

    olga.post(reverse("staff-proposal-drop", args=[proposal.code]))

    proposal.refresh_from_db()
    late.refresh_from_db()
    assert (proposal.dropped_by, late.outcome) == ("olga", "unallocated")
