"""Pages and files say the same in whatever order the database gives what was asked in none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from backwards import backwards
from ferriage.core.money import Money
from ferriage.fleet.models import Gateway
from ferriage.ledger import actions as ledger
from ferriage.ledger.actions import TransferLine
from ferriage.ledger.export import beancount
from ferriage.orders.models import Coupon
from ferriage.plans import actions as plans
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client

    from shop import Shop

pytestmark = pytest.mark.django_db

_OF_ONE_ANSWER = re.compile(r'(csrfmiddlewaretoken" value|nonce)="[^"]+"')


def both_ways(olga: Client, name: str, *args: str) -> tuple[str, str]:
    """Return a page, and the page of a database that gives rows backwards where it may."""

    def page() -> str:
        answer = olga.get(reverse(name, args=args))
        assert answer.status_code == 200
        return _OF_ONE_ANSWER.sub("", answer.content.decode())

    first = page()
    with backwards():
        return first, page()


@pytest.fixture
def full(shop: Shop, now: datetime) -> Shop:
    """Two of what is listed inside of something else."""
    shop.add_plan("Ten devices", shop.line)
    other = plans.create_service(slug="other", name="Other", now=now, actor=OWNER)
    shop.add_plan("Other plan", service=other)
    shop.yard.gateway(shop.yard.open_line("second"), name="beta")
    Gateway.objects.update(last_seen_at=now)
    for name in ("anna", "ben"):
        ledger.add_partner(name=name, now=now, actor=OWNER)
    ledger.agree(
        service="ferry",
        shares={"": 4000, "ben": 3000, "anna": 3000},
        valid_from=now.date().replace(day=1),
        valid_to=None,
        now=now,
        actor=OWNER,
    )
    return shop


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    "name",
    ["staff-start", "staff-plans", "staff-partners", "staff-voucher-new", "staff-coupon-new"],
)
def test_page_leans_on_no_order_of_the_database(olga: Client, name: str) -> None:
    first, again = both_ways(olga, name)

    assert again == first


def test_coupon_names_its_plans_in_the_order_of_the_shelves(olga: Client, full: Shop) -> None:
    typed = {
        "word": "Spring",
        "percent": "10",
        "valid_from": "2026-03-01T00:00:00",
        "plans": [str(plan.pk) for plan in full.service.plans.order_by("pk")],
    }
    assert olga.post(reverse("staff-coupon-new"), typed, follow=True).status_code == 200
    assert Coupon.objects.get().plans.count() == 2

    first, again = both_ways(olga, "staff-coupons")

    assert again == first
    assert first.index("Five devices") < first.index("Ten devices")


@pytest.mark.usefixtures("db")
def test_exported_books_are_the_same_line_by_line(now: datetime) -> None:
    lines = [
        TransferLine("assets:bank", "liabilities:unearned", Money(minor, "CNY"))
        for minor in (1000, 2000)
    ]
    ledger.post(source_code="pay", kind="sale", transfers=lines, description="", now=now)

    first = list(beancount())
    with backwards():
        again = list(beancount())

    assert again == first
