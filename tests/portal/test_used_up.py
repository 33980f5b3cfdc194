"""A device whose subscription has used up its data says so, and when it goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.urls import reverse

from ferriage.accounts.actions import declare_place
from ferriage.core.actors import CUSTOMER
from ferriage.plans.models import Plan
from metered import QUOTA, Agent

if TYPE_CHECKING:
    from datetime import datetime

    from conftest import Customer
    from shop import Shop

SAID = "Your data for this month is used up."


def test_device_and_account_say_it_alike(shop: Shop, alice: Customer, now: datetime) -> None:
    Plan.objects.update(quota_bytes=QUOTA)
    shop.plan.refresh_from_db()
    declare_place(account=alice.account, place="XD", now=now, actor=CUSTOMER)
    device = shop.device(shop.extend(alice.account))
    agent = Agent(shop)
    agent.tell(agent.row(device, QUOTA), at=now + timedelta(minutes=1))

    pages = [reverse("device", args=[device.code]), reverse("account")]
    said = [alice.client.get(page).content.decode() for page in pages]

    parts = [page[page.index(SAID) :] for page in said]
    assert len({part[: part.index("</time>")] for part in parts}) == 1
    renew = parts[1][parts[1].index('id="renew"') :]
    assert "A renewal brings no data now: its term begins where this one ends." in renew
    assert 'class="btn btn-outline">Renew' in renew


def test_device_page_says_that_the_data_is_used_up_and_until_when(
    shop: Shop, alice: Customer, now: datetime
) -> None:
    Plan.objects.update(quota_bytes=QUOTA)
    shop.plan.refresh_from_db()
    declare_place(account=alice.account, place="XD", now=now, actor=CUSTOMER)
    device = shop.device(shop.extend(alice.account))
    agent, page = Agent(shop), reverse("device", args=[device.code])
    before = alice.client.get(page).content.decode()

    agent.tell(agent.row(device, QUOTA), at=now + timedelta(minutes=1))

    after = alice.client.get(page).content.decode()
    assert (SAID in before, SAID in after) == (False, True)
    notice = after[after.index("Data again from") :][:300]
    assert "2026-04-01 12:00" in notice
