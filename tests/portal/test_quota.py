"""What a customer sees of a quota: before buying, each day, when it is used up, and more of it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.test import Client

from dearer import GB, open_dearer, order_pack, sell_packs, use
from ferriage import wire
from ferriage.accounts import actions as accounts
from ferriage.core import clock
from ferriage.core.actors import CUSTOMER
from ferriage.devices.models import UsageDay
from ferriage.fleet.models import PoolCurrent
from ferriage.orders import actions as orders
from ferriage.orders.models import Order
from ferriage.plans.models import Plan, Subscription
from till import Till

if TYPE_CHECKING:
    from datetime import datetime

    from conftest import Customer, NewVoucher
    from ferriage.plans.models import AddOnPrice
    from shop import Shop

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SENTENCE = (
    "100 GB a month, both ways and all devices together; when it is used up, the devices are held"
    " until the next month begins."
)


@pytest.fixture
def packs(shop: Shop, alice: Customer, now: datetime) -> AddOnPrice:
    """Packs of 20 GB for the shop's plan, which gives 100 GB a month."""
    shop.approve_for_years()
    accounts.declare_place(account=alice.account, place="XD", now=now, actor=CUSTOMER)
    return sell_packs(Till(shop, now))


@pytest.fixture
def held(
    shop: Shop,
    alice: Customer,
    new_voucher: NewVoucher,
    packs: AddOnPrice,  # noqa: ARG001 -- gives the plan a quota
) -> Subscription:
    """What Alice has: a month of the plan."""
    alice.pay(alice.order(shop), new_voucher())
    return Subscription.objects.select_related("plan").get(account=alice.account)


def page_of(customer: Customer, path: str) -> str:
    answer = customer.client.get(path)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


def test_quota_is_said_before_anybody_buys(
    shop: Shop,
    alice: Customer,
    packs: AddOnPrice,  # noqa: ARG001 -- gives the plan a quota
) -> None:
    window = re.sub(r"\s+", " ", Client().get("/").content.decode())
    checkout = page_of(alice, f"/buy/{shop.prices[1].code}/")
    order = page_of(alice, f"/orders/{alice.order(shop)}/")

    assert (window.count(SENTENCE), checkout.count(SENTENCE)) == (1, 1)
    assert '<dt>Data</dt><dd class="mb-0">100 GB a month</dd>' in order
    assert "B: a quota counter is kept" in window
    assert "Of plans with monthly data only the bytes of each day are." in window


def test_plans_without_a_quota_show_nothing_of_it(
    shop: Shop, alice: Customer, new_voucher: NewVoucher
) -> None:
    alice.pay(alice.order(shop), new_voucher())

    assert "Data this month" not in page_of(alice, "/account/")
    assert "A: nothing is counted per customer" in page_of(alice, "/")


def test_account_page_draws_what_was_used_by_day(
    shop: Shop, alice: Customer, held: Subscription, now: datetime
) -> None:
    device = shop.device(held)
    with time_machine.travel(now + 2 * DAY):
        month = use(held, 36 * GB, clock.now())
        for days, down in ((0, 6), (2, 20)):
            UsageDay.objects.create(
                device=device,
                month=month,
                on=(now + days * DAY).date(),
                bytes_down=down * GB,
                bytes_up=5 * GB,
            )
        page = page_of(alice, "/account/")

    assert "36 GB of 100 GB used · <strong>64 GB left</strong>" in page
    assert "<title>2026-03-01: 11 GB</title>" in page
    assert "<title>2026-03-03: 25 GB</title>" in page
    assert page.count("<title>2026-03-") == 2
    assert "Most on a day: 25 GB" in page
    assert (
        '<th scope="row">2026-03-03</th><td class="num">20 GB</td><td class="num">5 GB</td>' in page
    )
    assert page.count('datetime="2026-04-01T12:00:') >= 1


def test_used_up_quota_is_told_and_a_pack_lets_devices_go_on(
    shop: Shop, alice: Customer, held: Subscription, packs: AddOnPrice
) -> None:
    device = shop.device(held)
    use(held, 100 * GB, clock.now())
    term = Order.objects.get(subscription=held)

    page = page_of(alice, "/account/")
    sent = alice.client.post(f"/account/{held.code}/place/", {"place": f"{term.code} {packs.code}"})
    order = Order.objects.latest("pk")
    till = Till(shop, clock.now())
    outcome = till.receive(till.transfer(order).reference, order.due_minor).outcome
    after = page_of(alice, "/account/")

    assert "Your data for this month is used up." in page
    assert f'name="place" value="{term.code} {packs.code}" checked' in page
    assert sent["Location"] == f"/orders/{order.code}/"
    assert "20 GB more data" in page_of(alice, f"/orders/{order.code}/")
    assert outcome == "settled"
    assert "100 GB of 120 GB used · <strong>20 GB left</strong>" in after
    assert "20 GB of it bought on top" in after
    assert "Your data for this month is used up." not in after
    record = wire.decode(PoolCurrent.objects.get(subject=device.code).payload, wire.Put).device
    assert record.quota is not None
    assert record.quota.bytes == 120 * GB


def test_refund_says_what_of_it_is_for_a_pack(
    shop: Shop, alice: Customer, held: Subscription, packs: AddOnPrice
) -> None:
    till = Till(shop, clock.now())
    pack = order_pack(till, Order.objects.get(subscription=held), packs)
    till.receive(till.transfer(pack).reference, pack.due_minor)
    use(held, 105 * GB, clock.now())
    orders.count_use(now=clock.now())

    page = page_of(alice, f"/account/{held.code}/refund/")

    assert "Ferry · Five devices · 20 GB more data" in page
    assert "for the data not used" in page
    assert "3.00 CNY" in page

    use(held, 120 * GB, clock.now())
    orders.count_use(now=clock.now())
    used = page_of(alice, f"/account/{held.code}/refund/")

    assert "its data is used: nothing is left to give back" in used
    assert "A data pack counts whole while none of it was used" in used


def test_change_to_a_smaller_quota_says_that_devices_would_be_held(
    shop: Shop, alice: Customer, held: Subscription, now: datetime
) -> None:
    other = open_dearer(Till(shop, now)).plan
    use(held, 60 * GB, clock.now())
    Plan.objects.filter(pk=other.pk).update(quota_bytes=200 * GB)
    enough = page_of(alice, f"/account/{held.code}/plan/")
    Plan.objects.filter(pk=other.pk).update(quota_bytes=50 * GB)

    small = page_of(alice, f"/account/{held.code}/plan/")

    assert "What you used this month, 60 GB, counts there too." in enough
    assert "your devices would be held" not in enough
    assert "your devices would be held until the month’s data comes anew" in small


def test_refund_page_says_both_parts_of_what_was_used(
    alice: Customer, held: Subscription, now: datetime
) -> None:
    with time_machine.travel(now + DAY - HOUR, tick=False):
        use(held, 97 * GB, clock.now())
        page = page_of(alice, f"/account/{held.code}/refund/")
        withdrawal = page_of(alice, f"/withdraw/{held.code}/")

    both = "In this month of its data 1 of 31 days and 97 GB of 100 GB are used. The greater part"
    assert f"{both} of the two counts: here that is the data." in page
    assert f"{both} of the two counts: here that is the data." in withdrawal
    assert "for what is left of its data" in page
    assert "as long as you used at most a tenth of a month’s data" in page
    assert "If they tell of more before this is confirmed, the new amount is shown first." in page


def test_why_it_is_the_whole_price_agrees_with_the_rule_beside_it(
    shop: Shop, alice: Customer, held: Subscription, packs: AddOnPrice, now: datetime
) -> None:
    till = Till(shop, clock.now())
    pack = order_pack(till, Order.objects.get(subscription=held), packs)
    till.receive(till.transfer(pack).reference, pack.due_minor)
    till.sell(account=alice.account)

    with time_machine.travel(now + DAY - HOUR, tick=False):
        use(held, 10 * GB, clock.now())
        pages = [
            page_of(alice, f"/account/{held.code}/refund/"),
            page_of(alice, f"/withdraw/{held.code}/"),
        ]

    for page in pages:
        why = re.findall(r'<span class="hint">([^<]*?) · <span', page)
        assert why == [
            "whole, because at most a tenth of a month’s data was used",
            "whole, because none of it was used",
            "the whole price",
        ]


def test_refund_page_says_why_nothing_is_left(
    alice: Customer, held: Subscription, now: datetime
) -> None:
    with time_machine.travel(now + DAY, tick=False):
        use(held, 100 * GB, clock.now())
        page = page_of(alice, f"/account/{held.code}/refund/")

    assert "2 of 31 days and 100 GB of 100 GB are used" in page
    assert "Nothing would be refunded now." in page


def test_data_used_between_the_page_and_its_button_shows_the_new_amount(
    alice: Customer, held: Subscription, now: datetime
) -> None:
    path = f"/account/{held.code}/refund/"
    with time_machine.travel(now + DAY, tick=False):
        use(held, 50 * GB, clock.now())
        page = page_of(alice, path)
        form = dict(re.findall(r'type="hidden" name="(at|quoted)" value="([^"]*)"', page))
        use(held, 60 * GB, clock.now())
        again = alice.client.post(f"{path}confirm/", form)

    assert form["quoted"] == "500CNY"
    assert again.status_code == 409
    assert 'name="quoted" value="400CNY"' in again.content.decode()
    assert Order.objects.get(subscription=held).cut_at is None


def test_what_ends_early_is_told_before_anybody_buys(
    shop: Shop,
    alice: Customer,
    packs: AddOnPrice,  # noqa: ARG001 -- gives the plan a quota
) -> None:
    window = re.sub(r"\s+", " ", Client().get("/").content.decode())
    checkout = page_of(alice, f"/buy/{shop.prices[1].code}/")

    counts = "the time or the data counts as used, whichever is the greater part."
    assert (window.count(counts), checkout.count(counts)) == (1, 1)
    assert checkout.count("at most a tenth of a month’s data") == 1


def test_change_page_says_both_parts_and_that_it_should_be_paid_soon(
    shop: Shop, alice: Customer, held: Subscription, now: datetime
) -> None:
    dearer = open_dearer(Till(shop, now))
    with time_machine.travel(now + DAY - HOUR, tick=False):
        use(held, 80 * GB, clock.now())
        page = page_of(alice, f"/account/{held.code}/plan/")
        order = dearer.change(held, now=clock.now())
        ordered = page_of(alice, f"/orders/{order.code}/")

    waits = "If you use much of the data that is left before you have paid, the payment is sent"
    assert "In this month of its data 1 of 31 days and 80 GB of 100 GB are used." in page
    assert "Less 2 CNY for what is left." in page
    assert (page.count(waits), ordered.count(waits)) == (1, 1)
