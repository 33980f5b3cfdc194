"""Pages of several subscriptions: which one a purchase is for, another plan, one more device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dearer import Dearer, open_dearer
from ferriage.accounts import actions as accounts
from ferriage.core import clock
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.orders.balance import balance
from ferriage.orders.models import Order
from ferriage.plans import actions as plans
from ferriage.plans.models import PlannedChange, Subscription
from till import Till
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from conftest import Customer, NewVoucher
    from shop import Shop


@pytest.fixture
def dearer(shop: Shop, alice: Customer, now: datetime) -> Dearer:
    shop.approve_for_years()
    accounts.declare_place(account=alice.account, place="XD", now=now, actor=CUSTOMER)
    return open_dearer(Till(shop, now))


@pytest.fixture
def held(shop: Shop, alice: Customer, new_voucher: NewVoucher) -> Subscription:
    """What Alice has: a month, paid by a voucher that was given away."""
    alice.pay(alice.order(shop), new_voucher())
    return Subscription.objects.get(account=alice.account)


def page_of(customer: Customer, path: str) -> str:
    answer = customer.client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def order_with(customer: Customer, shop: Shop, **form: str) -> Order:
    asked = {"price": shop.prices[1].code, "place": "XD", "consent": "yes", **form}
    answer = customer.client.post("/orders/", asked)
    assert answer.status_code == 302, answer.content.decode()
    return Order.objects.latest("pk")


def test_new_customer_is_asked_nothing_more(shop: Shop, alice: Customer) -> None:
    assert "What is it for?" not in page_of(alice, f"/buy/{shop.prices[1].code}/")


def test_buy_page_proposes_the_one_there_is_and_offers_another(
    shop: Shop, alice: Customer, held: Subscription
) -> None:
    page = page_of(alice, f"/buy/{shop.prices[1].code}/")

    assert f'name="onto" value="{held.code}" checked' in page
    assert 'name="onto" value="new">' in page
    assert "Another subscription beside it" in page


def test_order_is_for_what_was_chosen(
    shop: Shop, alice: Customer, held: Subscription, new_voucher: NewVoucher
) -> None:
    beside = order_with(alice, shop, onto="new")
    alice.pay(beside.code, new_voucher())
    onto = order_with(alice, shop, onto=held.code)
    alice.pay(onto.code, new_voucher())

    beside.refresh_from_db()
    onto.refresh_from_db()
    assert (onto.subscription, onto.extends) == (held, held)
    assert beside.subscription != held
    assert Subscription.objects.filter(account=alice.account).count() == 2


def test_somebody_elses_is_not_extended(shop: Shop, charlie: Customer, held: Subscription) -> None:
    form = {"price": shop.prices[1].code, "place": "XD", "consent": "yes", "onto": held.code}

    assert charlie.client.post("/orders/", form).status_code == 404
    assert not Order.objects.filter(account=charlie.account).exists()


def test_two_are_told_apart_by_number_or_by_name(
    shop: Shop, alice: Customer, held: Subscription, new_voucher: NewVoucher
) -> None:
    alice.pay(order_with(alice, shop, onto="new").code, new_voucher())
    before = page_of(alice, "/account/")

    alice.client.post(f"/account/{held.code}/name/", {"label": "Home"})

    assert "Ferry · no. 2</h2>" in before
    assert "Ferry · Home</h2>" in page_of(alice, "/account/")


def test_renewal_extends_the_one_it_was_pressed_on(
    shop: Shop, alice: Customer, held: Subscription, new_voucher: NewVoucher
) -> None:
    alice.pay(order_with(alice, shop, onto="new").code, new_voucher())
    second = Subscription.objects.latest("pk")

    alice.client.post(f"/account/{second.code}/renew/", {"price": shop.prices[6].code})

    assert Order.objects.latest("pk").extends == second
    assert second != held


def test_plan_is_offered_to_be_changed_where_there_is_another(
    shop: Shop, alice: Customer, held: Subscription, now: datetime
) -> None:
    link = f'href="/account/{held.code}/plan/"'
    alone = page_of(alice, "/account/")
    other = open_dearer(Till(shop, now)).plan
    beside = page_of(alice, "/account/")
    plans.withdraw_plan(plan=other, now=now, actor=OWNER)
    again = page_of(alice, "/account/")

    assert [link in page for page in (alone, beside, again)] == [False, True, False]


def test_change_page_quotes_and_the_order_asks_for_the_same(
    alice: Customer, dearer: Dearer, shop: Shop, now: datetime
) -> None:
    sold = dearer.till.sell(12, account=alice.account)
    assert sold.subscription is not None

    page = page_of(alice, f"/account/{sold.subscription.code}/plan/")
    answer = alice.client.post(
        f"/account/{sold.subscription.code}/plan/now/", {"price": dearer.prices[12].code}
    )

    order = Order.objects.latest("pk")
    assert "Ten devices" in page
    assert "10 devices · up to 200 Mbit/s" in page
    assert "180 CNY to pay" in page
    assert "Less 90 CNY for what is left." in page
    assert answer["Location"] == f"/orders/{order.code}/"
    assert (order.kind, order.extends, order.price) == (
        "change",
        sold.subscription,
        dearer.prices[12],
    )
    assert order.due.amount_minor - 18_000 in {0, 1}
    shown = page_of(alice, f"/orders/{order.code}/")
    assert "Left of the plan before" in shown
    assert str(order.due) in shown
    assert shop.now == now


def test_change_that_costs_nothing_is_made_at_once(alice: Customer, dearer: Dearer) -> None:
    sold = dearer.till.sell(24, account=alice.account)
    assert sold.subscription is not None

    answer = alice.client.post(
        f"/account/{sold.subscription.code}/plan/now/", {"price": dearer.prices[1].code}
    )

    assert answer["Location"] == "/account/"
    assert Subscription.objects.get(pk=sold.subscription_id).plan == dearer.plan
    assert "Your plan is changed." in page_of(alice, "/account/")


@pytest.mark.parametrize(
    ("months", "owed", "to_balance"),
    [(24, "30.00 CNY", "30.00 CNY"), (1, "30.00 CNY", "10.00 CNY")],
)
def test_withdrawal_says_what_of_it_goes_to_the_balance(
    alice: Customer, dearer: Dearer, months: int, owed: str, to_balance: str
) -> None:
    """What a change was paid with by the value of the plan before has no payment to go back by."""
    sold = dearer.till.sell(months, account=alice.account)
    subscription = sold.subscription
    assert subscription is not None
    order = dearer.change(subscription, 1)
    if order.due_minor:
        dearer.pay(order)
    before = balance(alice.account, "CNY")

    asked = page_of(alice, f"/withdraw/{subscription.code}/")
    answer = alice.client.post(f"/withdraw/{subscription.code}/confirm/")
    told = page_of(alice, answer["Location"])
    file = page_of(alice, answer["Location"].rstrip("/") + ".txt")

    stands = balance(alice.account, "CNY") - before
    assert f"{stands / 100:.2f} CNY" == to_balance
    assert owed in told
    assert f"{to_balance} of it to the balance, at once" in told
    assert "stands on the balance at once" in file
    assert ("by the way the payment came" in file) == (owed != to_balance)
    assert ("It goes to the balance at once" in asked) == (owed == to_balance)


def test_too_many_devices_are_for_the_customer_to_choose_from(
    alice: Customer, dearer: Dearer, shop: Shop
) -> None:
    small = plans.create_plan(
        service=shop.service, name="One device", device_limit=1, now=shop.now, actor=OWNER
    )
    plans.add_offer(plan=small, line=shop.line, now=shop.now, actor=OWNER)
    price = plans.set_price(
        plan=small, term_months=1, money=Money(500, "CNY"), now=shop.now, actor=OWNER
    )
    sold = dearer.till.sell(12, account=alice.account)
    assert sold.subscription is not None
    for _number in range(2):
        shop.device(sold.subscription)

    page = page_of(alice, f"/account/{sold.subscription.code}/plan/")
    answer = alice.client.post(
        f"/account/{sold.subscription.code}/plan/now/", {"price": price.code}
    )

    assert "You have one device more than this plan has room for." in page
    assert answer.status_code == 409
    assert "Choose which stay" in answer.content.decode()
    assert Subscription.objects.get(pk=sold.subscription_id).plan == shop.plan


def test_change_is_booked_for_the_end_and_taken_back(
    alice: Customer, held: Subscription, dearer: Dearer
) -> None:
    alice.client.post(f"/account/{held.code}/plan/later/", {"plan": dearer.plan.code})
    booked = page_of(alice, "/account/")

    alice.client.post(f"/account/{held.code}/plan/keep/")

    assert "from its end this goes on as Ten devices" in booked
    assert f'value="{dearer.prices[1].code}"' in booked  # what a renewal costs now
    assert "from its end" not in page_of(alice, "/account/")
    assert PlannedChange.objects.get().outcome == "cancelled"


def test_renewal_of_a_booked_change_is_of_the_other_plan(
    alice: Customer, held: Subscription, dearer: Dearer
) -> None:
    alice.client.post(f"/account/{held.code}/plan/later/", {"plan": dearer.plan.code})

    answer = alice.client.post(f"/account/{held.code}/renew/", {"price": dearer.prices[1].code})

    order = Order.objects.latest("pk")
    assert answer["Location"] == f"/orders/{order.code}/"
    assert (order.plan, order.extends, order.kind) == (dearer.plan, held, "term")


def test_customer_is_told_of_a_change_that_could_not_be_kept(
    alice: Customer, held: Subscription, dearer: Dearer, now: datetime
) -> None:
    change = plans.plan_change(subscription=held, plan=dearer.plan, now=now, actor=CUSTOMER)
    plans.drop_change(change=change, outcome="withdrawn", now=now, actor=OWNER)

    assert "It is not sold any more, so your plan stays as it is." in page_of(alice, "/account/")


def test_page_of_an_order_for_what_was_withdrawn_offers_no_payment(
    alice: Customer, held: Subscription, dearer: Dearer
) -> None:
    term = Order.objects.get(subscription=held)
    value = f"{term.code} {dearer.slots[held.plan_id].code}"
    alice.client.post(f"/account/{held.code}/place/", {"place": value})
    order = Order.objects.latest("pk")
    alice.client.post(f"/orders/{order.code}/bank/")
    dearer.till.now = clock.now()

    done = alice.client.post(f"/withdraw/{held.code}/confirm/")

    page = page_of(alice, f"/orders/{order.code}/")
    assert done.status_code == 302
    assert "It is cancelled, by you or because what it was for has ended." in page
    assert ("Bank transfer" in page, "Cancel this order" in page) == (False, False)
    assert "ordered, not paid yet" not in page_of(alice, "/account/")


def test_place_for_one_more_device_is_sold_on_the_account_page(
    alice: Customer, held: Subscription, dearer: Dearer
) -> None:
    page = page_of(alice, "/account/")
    term = Order.objects.get(subscription=held)
    value = f"{term.code} {dearer.slots[held.plan_id].code}"
    assert f'name="place" value="{value}" checked' in page

    answer = alice.client.post(f"/account/{held.code}/place/", {"place": value})

    order = Order.objects.latest("pk")
    assert (order.kind, order.with_term, order.extends) == ("addon", term, held)
    assert answer["Location"] == f"/orders/{order.code}/"
    assert "place for one more device" in page_of(alice, f"/orders/{order.code}/")
    dearer.till.now = clock.now()
    assert dearer.pay(order) == "settled"
    assert "0 / 6" in page_of(alice, "/account/")
