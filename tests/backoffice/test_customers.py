from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from dearer import GB, use
from ferriage.accounts import actions as accounts
from ferriage.core.actors import CUSTOMER
from ferriage.core.codes import grouped
from ferriage.core.models import AuditEntry
from ferriage.devices.models import UsageDay
from ferriage.plans.models import Plan
from ferriage.plans.queries import subscription_end

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client

    from shop import Shop

pytestmark = pytest.mark.django_db

FIND = "staff-customers"


def test_customer_is_found_by_number_device_and_subscription(
    olga: Client, shop: Shop, now: datetime
) -> None:
    opened = accounts.open_account(now=now, actor=CUSTOMER, place="XD")
    subscription = shop.extend(opened.account)
    device = shop.device(subscription)
    texts = [opened.number, grouped(opened.number).lower(), device.code, subscription.code]

    found = [olga.post(reverse(FIND), {"text": text}).headers["Location"] for text in texts]

    assert found == [reverse("staff-subscription", args=[subscription.code])] * 4


@pytest.mark.parametrize("text", ["AAAA-BBBB-CCCC-DDDD", "ord_AAAABBBBCCCCDDDD", "%", "_"])
def test_unknown_customer_is_not_found(olga: Client, shop: Shop, text: str) -> None:
    shop.holder()

    answer = olga.post(reverse(FIND), {"text": text})

    assert answer.status_code == 404
    assert answer.context["subscriptions"] == []


def test_page_shows_term_and_devices(olga: Client, shop: Shop) -> None:
    subscription = shop.holder()
    device = shop.device(subscription)

    page = olga.get(reverse("staff-subscription", args=[subscription.code])).content.decode()

    assert device.name in page
    assert device.public_key not in page
    assert f"{subscription_end(subscription).at:%Y-%m-%d %H:%M} UTC" in page


def test_granted_days_follow_the_term(olga: Client, shop: Shop) -> None:
    subscription = shop.holder()
    device = shop.device(subscription)
    before = subscription_end(subscription).at
    assert before is not None

    olga.post(
        reverse("staff-subscription-grant", args=[subscription.code]),
        {"days": "3", "reason": "Outage of 27 February"},
    )

    subscription.refresh_from_db()
    device.refresh_from_db()
    entry = AuditEntry.objects.get(action="term.granted")
    assert subscription_end(subscription).at == before + timedelta(days=3)
    assert device.hold_at == before + timedelta(days=3), "gateways were told"
    assert (entry.actor_code, entry.details["reason"]) == ("olga", "Outage of 27 February")


def test_days_without_a_reason_are_not_granted(olga: Client, shop: Shop) -> None:
    subscription = shop.holder()

    answer = olga.post(
        reverse("staff-subscription-grant", args=[subscription.code]), {"days": "3", "reason": " "}
    )

    assert answer.status_code == 422
    assert subscription.periods.count() == 1


def test_removed_device_is_gone_from_the_page(olga: Client, shop: Shop) -> None:
    subscription = shop.holder()
    device = shop.device(subscription)

    olga.post(reverse("staff-device-remove", args=[device.code]))

    device.refresh_from_db()
    page = olga.get(reverse("staff-subscription", args=[subscription.code]))
    assert device.removed_at is not None
    assert page.context["devices"] == []


def test_plan_page_says_whether_each_offer_is_on_sale(olga: Client, shop: Shop) -> None:
    address = reverse("staff-plan", args=[shop.plan.code])
    before = [view.state for _offer, view in olga.get(address).context["offers"]]

    olga.post(reverse("staff-line-hold", args=[shop.line.code]), {"reason": "Fibre cut"})

    assert before == ["on_sale"]
    assert [view.state for _offer, view in olga.get(address).context["offers"]] == ["stop_sale"]


def test_data_is_shown_only_of_plans_with_a_quota(olga: Client, shop: Shop, now: datetime) -> None:
    held = shop.holder()
    address = reverse("staff-subscription", args=[held.code])
    without = olga.get(address).content.decode()
    Plan.objects.filter(pk=shop.plan.pk).update(quota_bytes=100 * GB)
    month = use(held, 30 * GB, now)
    device = shop.device(held)
    UsageDay.objects.create(
        device=device, month=month, on=now.date(), bytes_down=25 * GB, bytes_up=5 * GB
    )

    page = olga.get(address).content.decode()

    assert "Data this month" not in without
    assert "30 GB of 100 GB used" in page
    assert "<title>2026-03-01: 30 GB</title>" in page
