from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.urls import reverse
from django.utils.functional import Promise

from dearer import GB, use
from ferriage.accounts import actions as accounts
from ferriage.accounts.models import Account
from ferriage.core.actors import CUSTOMER
from ferriage.core.codes import grouped
from ferriage.core.models import AuditEntry
from ferriage.devices.models import UsageDay
from ferriage.plans.models import Period, Plan
from ferriage.plans.queries import subscription_end
from ferriage.web.shared import words

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


@pytest.mark.parametrize(
    ("written", "pattern"),
    [
        ("Changed by ord_AB12", "Changed by %(of)s"),
        ("No line may serve it since 2026-03-01T12:00:00Z", "No line may serve it since %(of)s"),
        ("Came over from marzban", "Came over from %(of)s"),
        ("Withdrawal from the contract", "Withdrawal from the contract"),
    ],
)
def test_reasons_that_actions_write_are_read_in_the_readers_language(
    monkeypatch: pytest.MonkeyPatch, written: str, pattern: str
) -> None:
    in_others = [(found, f"<{text}>") for found, text in words._WRITTEN]
    monkeypatch.setattr(words, "_WRITTEN", in_others)

    said = words.reason(written)

    assert said == f"<{pattern}>" % {"of": written.rsplit(maxsplit=1)[-1]}
    assert words.reason("Changed by hand") == "Changed by hand"


@pytest.mark.parametrize("kinds", [Period.Kind, Account.Class])
def test_kinds_on_the_page_are_translated(kinds: type[Period.Kind | Account.Class]) -> None:
    labels = [label for _value, label in kinds.choices]

    assert [isinstance(label, Promise) for label in labels] == [True] * len(labels)


def test_used_up_device_is_held_now(olga: Client, shop: Shop, now: datetime) -> None:
    subscription = shop.holder()
    shop.device(subscription)
    Plan.objects.update(quota_bytes=GB)
    address = reverse("staff-subscription", args=[subscription.code])
    with time_machine.travel(now, tick=False):
        before = olga.get(address).content.decode()
        use(subscription, GB, now)
        after = olga.get(address).content.decode()

    told = "now: the month’s data is used up"
    assert [told in page for page in (before, after)] == [False, True]
