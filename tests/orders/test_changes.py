"""Another plan right away: what is left pays for it, to the second, and nothing is lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, transaction

from dearer import Dearer, held_by, open_dearer
from ferriage.core.money import Money
from ferriage.devices import actions as device_actions
from ferriage.fleet.models import PoolCurrent
from ferriage.orders import actions, tasks, values
from ferriage.orders import balance as balances
from ferriage.orders.models import Order
from ferriage.payments import tasks as payment_tasks
from ferriage.payments.models import Refund
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries
from till import Till, assert_sound, books
from yard import OWNER

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def dearer(till: Till) -> Dearer:
    return open_dearer(till)


def pass_time(till: Till, by: timedelta) -> None:
    till.now += by
    tasks.run(till.now)
    payment_tasks.run(till.now)


def balance_of(order: Order) -> int:
    account = order.account
    assert account is not None
    return balances.balance(account, "CNY")


def test_quote_is_the_price_less_what_is_left_to_the_second(till: Till, dearer: Dearer) -> None:
    """A year of 365 days for 90.00, changed after 100 days and one second."""
    subscription = held_by(till.sell(12))
    till.now += 100 * DAY + timedelta(seconds=1)
    used = 100 * 86_400 + 1

    quoted = values.quote(subscription, dearer.prices[12], now=till.now)

    left = 9000 - 9000 * used // (365 * 86_400)
    assert (quoted.worth, quoted.due) == (Money(left, "CNY"), Money(27_000 - left, "CNY"))
    assert (quoted.to_balance, quoted.free) == ((), False)
    assert quoted.ends_at == datetime(2027, 6, 9, 12, 0, 1, tzinfo=UTC)


def test_change_takes_over_at_once_and_keeps_every_minor_unit(till: Till, dearer: Dearer) -> None:
    sold = till.sell(12)
    pass_time(till, 73 * DAY)
    order = dearer.change(held_by(sold))

    outcome = dearer.pay(order)

    assert (outcome, order.state, order.due_minor) == ("settled", "fulfilled", 27_000 - 7200)
    subscription = held_by(order)
    assert (subscription, subscription.plan) == (held_by(sold), dearer.plan)
    assert (order.period_starts_at, order.period_ends_at) == (
        till.now,
        datetime(2027, 5, 13, 12, tzinfo=UTC),
    )
    assert plan_queries.subscription_end(subscription).at == order.period_ends_at
    sold.refresh_from_db()
    assert (sold.cut_at, sold.moved_minor, sold.refund_due_minor) == (till.now, 7200, 0)
    assert order.refundable_minor == 27_000
    assert books() == {
        "assets:bank": 9000 + 19_800,
        "income:ferry": 1800,
        "liabilities:unearned": 27_000,
    }
    assert_sound()


def test_time_that_passes_until_the_payment_is_the_shops(till: Till, dearer: Dearer) -> None:
    sold = till.sell(12)
    pass_time(till, 73 * DAY)
    order = dearer.change(held_by(sold))
    reference = till.transfer(order).reference
    pass_time(till, 2 * DAY)

    till.receive(reference, 19_800)

    lost = 7200 - (9000 - 9000 * 75 // 365)
    order.refresh_from_db()
    assert (order.state, order.refundable_minor) == ("fulfilled", 27_000 - lost)
    assert books()["expenses:promotions"] == lost
    assert balance_of(order) == 0
    assert_sound()


def test_renewal_paid_meanwhile_goes_to_the_balance(till: Till, dearer: Dearer) -> None:
    sold = till.sell(12)
    order = dearer.change(held_by(sold))
    reference = till.transfer(order).reference
    till.sell(1, account=sold.account)

    till.receive(reference, 27_000 - 9000)

    order.refresh_from_db()
    assert order.state == "fulfilled"
    assert balance_of(order) == 1000
    assert_sound()


def test_what_is_left_beyond_the_price_goes_to_the_balance_at_once(
    till: Till, dearer: Dearer
) -> None:
    order = dearer.change(held_by(till.sell(24)), months=1)

    assert (order.state, order.due_minor) == ("fulfilled", 0)
    assert balance_of(order) == 12_000 - 3000
    assert books() == {
        "assets:bank": 12_000,
        "liabilities:unearned": 3000,
        "liabilities:credits": 9000,
    }
    assert_sound()


def test_change_to_a_cheaper_plan_keeps_what_was_paid(till: Till, dearer: Dearer) -> None:
    first = dearer.change(held_by(till.sell(12)), 24)
    dearer.pay(first)

    back = dearer.change(held_by(first), price=till.shop.prices[12])

    assert (back.state, balance_of(back)) == ("fulfilled", 36_000 - 9000)
    assert held_by(back).plan == till.shop.plan
    assert_sound()


def test_what_nobody_paid_is_worth_nothing_and_ends(till: Till, dearer: Dearer) -> None:
    free = till.order(12)
    till.redeem(free, till.voucher(12))
    pass_time(till, 73 * DAY)
    subscription = held_by(free)

    quoted = values.quote(subscription, dearer.prices[12], now=till.now)
    order = dearer.change(subscription)
    dearer.pay(order)

    assert (quoted.worth.amount_minor, quoted.free, order.due_minor) == (0, True, 27_000)
    assert books() == {
        "assets:bank": 27_000,
        "expenses:promotions": 1800,
        "income:ferry": 1800,
        "liabilities:unearned": 27_000,
    }
    assert_sound()


def test_granted_days_are_named_since_they_end(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    subscription = held_by(sold)
    end = plan_queries.subscription_end(subscription).at
    assert end is not None
    plans.grant(
        account=subscription.account,
        plan=till.shop.plan,
        subscription=subscription,
        starts_at=end,
        ends_at=end + DAY,
        reason="Sorry",
        source_code="grt_1",
        now=till.now,
        actor=OWNER,
    )

    assert values.quote(subscription, dearer.prices[1], now=till.now).free


def test_subscription_ended_meanwhile_sends_the_money_back(till: Till, dearer: Dearer) -> None:
    sold = till.sell(12)
    order = dearer.change(held_by(sold))
    reference = till.transfer(order).reference
    till.end(sold, till.now + HOUR)

    assert till.receive(reference, order.due_minor).outcome == "refund"
    assert Refund.objects.get(payment__order=order).reason == "order-cancelled"
    assert_sound()


def test_second_change_of_the_same_value_sends_its_money_back(till: Till, dearer: Dearer) -> None:
    subscription = held_by(till.sell(12))
    first, second = dearer.change(subscription), dearer.change(subscription, 24)

    outcomes = [dearer.pay(first), dearer.pay(second)]

    assert outcomes == ["settled", "refund"]
    assert_sound()


def test_order_for_the_same_change_is_returned_as_it_was_quoted(till: Till, dearer: Dearer) -> None:
    subscription = held_by(till.sell(12))
    order = dearer.change(subscription)
    till.now += HOUR

    assert dearer.change(subscription) == order
    assert Order.objects.filter(kind="change").count() == 1


def test_end_after_a_change_pays_back_what_came_and_credits_the_rest(
    till: Till, dearer: Dearer
) -> None:
    order = dearer.change(held_by(till.sell(12)), 12)
    dearer.pay(order)

    ended = till.end(order, till.now)
    payment_tasks.run(till.now)

    assert (ended.refund_due_minor, ended.moved_minor) == (18_000, 9000)
    assert Refund.objects.get().amount_minor == 18_000
    assert balance_of(order) == 9000
    assert books() == {
        "assets:bank": 27_000,
        "liabilities:refunds": 18_000,
        "liabilities:credits": 9000,
    }
    assert_sound()


def test_device_keeps_key_address_and_line_and_gets_the_new_speed(
    till: Till, dearer: Dearer
) -> None:
    sold = till.sell(12)
    device = till.shop.device(held_by(sold))
    before = record_of(device.code)

    dearer.pay(dearer.change(held_by(sold), 6))

    after = record_of(device.code)
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {"rate_down_bps", "rate_up_bps", "burst_bytes", "hold_at", "remove_at"}
    assert after["rate_down_bps"] == 200_000_000


def record_of(code: str) -> dict[str, object]:
    row = PoolCurrent.objects.get(subject=code, kind="put")
    found: dict[str, object] = json.loads(row.payload)["device"]
    return found


def test_plan_with_less_room_is_refused_until_the_customer_chose(
    till: Till, dearer: Dearer
) -> None:
    first = dearer.change(held_by(till.sell(12)))
    dearer.pay(first)
    devices = [till.shop.device(held_by(first)) for _number in range(6)]

    with pytest.raises(actions.TooManyDevices, match="6 devices") as caught:
        dearer.change(held_by(first), price=till.shop.prices[12])
    assert caught.value.surplus == 1
    device_actions.remove_device(device=devices[2], now=till.now, actor=OWNER)

    assert dearer.change(held_by(first), price=till.shop.prices[12]).state == "fulfilled"


def test_change_to_what_is_held_is_refused(till: Till) -> None:
    subscription = held_by(till.sell(12))
    dearer = open_dearer(till)

    with pytest.raises(plans.ChangeWrong, match="already"):
        dearer.change(subscription, price=till.shop.prices[12])


def test_change_of_what_is_over_is_refused(till: Till, dearer: Dearer) -> None:
    subscription = held_by(till.sell(1))
    till.now += 40 * DAY

    with pytest.raises(plans.ChangeWrong, match="nothing running"):
        dearer.change(subscription)


def test_subscription_of_somebody_else_is_not_changed(till: Till, dearer: Dearer) -> None:
    theirs = held_by(till.sell(12))
    stranger = till.shop.account()

    with pytest.raises(actions.WrongSubscription):
        actions.place_change(
            account=stranger,
            subscription=theirs,
            price=dearer.prices[12],
            place="XD",
            now=till.now,
            expires_at=till.now + DAY,
            actor=OWNER,
        )


def test_database_keeps_what_an_order_is_for(till: Till, dearer: Dearer) -> None:
    order = dearer.change(held_by(till.sell(12)))
    dearer.pay(order)

    with pytest.raises(DatabaseError, match="keeps what it is for"), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(value_minor=0)
    with pytest.raises(DatabaseError, match="keeps what it is for"), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(extends=None)
