"""A place for one more device: bought for the rest of a term, gone with it, worth what is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from dearer import Dearer, held_by, open_dearer
from ferriage.core.actors import CUSTOMER
from ferriage.core.models import AuditEntry
from ferriage.devices import actions as device_actions
from ferriage.devices import tasks as device_tasks
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import PoolCurrent
from ferriage.orders import actions, addons, balance, tasks, values
from ferriage.orders.actions.refunds import withdraw
from ferriage.orders.models import Order
from ferriage.orders.refunds import Rules
from ferriage.payments.starting import NotPayable
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries
from ferriage.plans import terms
from till import Till, assert_sound, books
from yard import OWNER

DAY = timedelta(days=1)
RULES = Rules()


@pytest.fixture
def dearer(till: Till) -> Dearer:
    return open_dearer(till)


def limit(order: Order, now: datetime) -> int:
    return plan_queries.device_limit(held_by(order), now=now)


@pytest.mark.parametrize(
    ("start", "end", "months"),
    [
        ((2026, 3, 1), (2026, 4, 1), Fraction(1)),
        ((2026, 3, 1), (2027, 3, 1), Fraction(12)),
        ((2026, 3, 17), (2026, 4, 1), Fraction(15, 31)),
        ((2026, 2, 15), (2026, 4, 1), 1 + Fraction(14, 28)),
        ((2026, 3, 31), (2026, 4, 1), Fraction(1, 31)),
    ],
)
def test_months_are_counted_back_from_the_end(
    start: tuple[int, int, int], end: tuple[int, int, int], months: Fraction
) -> None:
    assert terms.months_back(datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC)) == months


def test_place_is_priced_for_the_rest_of_the_term_and_there_at_once(
    till: Till, dearer: Dearer
) -> None:
    """March has 31 days; 15 and a half are left: half a month of 3.00."""
    sold = till.sell()
    till.now += timedelta(days=15, hours=12)

    order = dearer.slot(sold)
    outcome = dearer.pay(order)

    assert (order.amount_minor, outcome, order.kind) == (150, "settled", "addon")
    assert (order.period_starts_at, order.period_ends_at) == (till.now, sold.period_ends_at)
    assert [limit(sold, at) for at in (till.now, sold.period_ends_at)] == [6, 5]  # type: ignore[arg-type]
    assert plan_queries.subscription_end(held_by(sold)).at == sold.period_ends_at
    assert_sound()


def test_place_for_a_term_bought_ahead_begins_with_it(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    ahead = till.sell(6, account=sold.account)

    order = dearer.slot(ahead)
    dearer.pay(order)

    begins = sold.period_ends_at
    assert begins is not None
    assert (order.amount_minor, order.period_starts_at) == (1800, begins)
    assert [limit(sold, begins - timedelta(seconds=1)), limit(sold, begins)] == [5, 6]


def test_place_is_earned_as_a_term_is(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    dearer.pay(dearer.slot(sold))

    tasks.run(till.now + 31 * DAY)

    assert books() == {"assets:bank": 1300, "income:ferry": 1300}
    assert_sound()


def test_place_goes_with_its_subscription_and_is_owed_with_it(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    slot = dearer.slot(sold)
    dearer.pay(slot)

    till.end(sold, till.now)

    slot.refresh_from_db()
    assert (slot.refund_due_minor, limit(sold, till.now)) == (300, 5)
    assert books() == {"assets:bank": 1300, "liabilities:refunds": 1300}
    assert_sound()


def test_place_moves_to_another_plan_as_value(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    dearer.pay(dearer.slot(sold))

    quoted = values.quote(held_by(sold), dearer.prices[1], now=till.now)
    order = dearer.change(held_by(sold), 1)
    dearer.pay(order)

    assert (quoted.worth.amount_minor, order.due_minor) == (1300, 1700)
    assert limit(sold, till.now) == 10
    assert_sound()


def test_device_beyond_the_plan_is_held_when_its_place_ends(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    dearer.pay(dearer.slot(sold))
    till.sell(account=sold.account)
    devices = [till.shop.device(held_by(sold), at=till.now) for _number in range(6)]

    end = sold.period_ends_at
    assert end is not None
    for device in devices:
        device.refresh_from_db()
    assert devices[5].hold_at == end
    assert all(device.hold_at is not None and device.hold_at > end for device in devices[:5])
    with pytest.raises(device_actions.DeviceLimitReached, match="6 devices"):
        till.shop.device(held_by(sold), at=till.now)


def test_device_that_was_one_too_many_opens_when_another_goes(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    dearer.pay(dearer.slot(sold))
    renewed = till.sell(account=sold.account)
    devices = [till.shop.device(held_by(sold), at=till.now) for _number in range(6)]
    end = sold.period_ends_at
    assert end is not None

    device_actions.remove_device(device=devices[0], now=end + DAY, actor=OWNER)

    devices[5].refresh_from_db()
    assert devices[5].hold_at == renewed.period_ends_at
    assert PoolCurrent.objects.filter(kind="put", subject=devices[5].code).exists()


def test_device_opens_again_when_a_place_of_a_later_term_begins(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    between = till.sell(account=sold.account)
    later = till.sell(account=sold.account)
    dearer.pay(dearer.slot(sold))
    dearer.pay(dearer.slot(later))
    device = [till.shop.device(held_by(sold), at=till.now) for _number in range(6)][-1]
    begins = between.period_ends_at
    assert begins is not None

    device_tasks.run(begins - timedelta(seconds=1))
    device.refresh_from_db()
    held_at = device.hold_at
    device_tasks.run(begins)
    again = device_tasks.follow_places(begins + timedelta(seconds=1))

    device.refresh_from_db()
    assert (held_at, device.hold_at) == (sold.period_ends_at, later.period_ends_at)
    assert again == 0


def test_days_that_stand_still_move_the_place_with_the_term(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    dearer.pay(dearer.slot(sold))
    end = sold.period_ends_at
    assert end is not None
    fleet.hold_line(line=till.shop.line, reason="x", now=till.now + DAY, actor=OWNER)
    tasks.run(till.now + DAY)
    fleet.release_line(line=till.shop.line, now=till.now + 4 * DAY, actor=OWNER)
    tasks.run(till.now + 4 * DAY)

    last = end + 3 * DAY
    assert plan_queries.subscription_end(held_by(sold)).at == last
    assert [limit(sold, last - timedelta(seconds=1)), limit(sold, last)] == [6, 5]
    assert_sound()


def unpaid(till: Till, dearer: Dearer, sold: Order) -> tuple[Order, Order]:
    """Order a place that the balance pays a part of, and a renewal; return both, not paid."""
    assert sold.account is not None
    till.top_up(sold.account, 100)
    slot, renewal = dearer.slot(sold), till.order(account=sold.account)
    balance.reserve(order=slot, minor=100, now=till.now)
    return slot, renewal


@pytest.mark.parametrize("at", [timedelta(0), DAY])
def test_what_is_not_paid_is_cancelled_with_the_term(
    till: Till, dearer: Dearer, at: timedelta
) -> None:
    sold, other = till.sell(), till.sell()
    slot, renewal = unpaid(till, dearer, sold)
    kept = dearer.slot(other)
    reference = till.transfer(slot).reference

    till.end(sold, till.now + at)

    states = [Order.objects.get(pk=order.pk).state for order in (slot, renewal, kept)]
    assert states == ["cancelled", "cancelled", "open"]
    assert sold.account is not None
    assert balance.available(sold.account, "CNY") == 100
    told = AuditEntry.objects.filter(action="order.cancelled").order_by("sequence")
    assert list(told.values_list("subject", flat=True)) == [slot.code, renewal.code]
    with pytest.raises(NotPayable):
        till.transfer(renewal)
    assert till.receive(reference, 200).outcome == "refund"
    assert_sound()


def test_what_is_not_paid_is_cancelled_with_a_withdrawal(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    slot, renewal = unpaid(till, dearer, sold)

    withdraw(subscription=held_by(sold), rules=RULES, now=till.now, actor=CUSTOMER)

    states = [Order.objects.get(pk=order.pk).state for order in (slot, renewal)]
    assert states == ["cancelled", "cancelled"]


def test_place_that_is_not_paid_is_cancelled_where_the_plan_changes(
    till: Till, dearer: Dearer
) -> None:
    sold = till.sell()
    slot = dearer.slot(sold)

    assert dearer.pay(dearer.change(held_by(sold), 1)) == "settled"

    slot.refresh_from_db()
    assert slot.state == "cancelled"


def test_gift_to_somebody_whose_term_ended_can_still_be_paid(till: Till) -> None:
    sold = till.sell()
    gift = actions.place(
        account=till.shop.account(),
        recipient=sold.account,
        price=till.shop.prices[1],
        place="XD",
        now=till.now,
        expires_at=till.now + 3 * DAY,
        actor=CUSTOMER,
    )
    assert gift.extends == held_by(sold)

    till.end(sold, till.now)

    assert till.receive(till.transfer(gift).reference, gift.due_minor).outcome == "settled"


def test_place_can_be_paid_until_its_term_is_over_and_a_renewal_longer(
    till: Till, dearer: Dearer
) -> None:
    sold = till.sell()
    assert sold.period_ends_at is not None
    till.now = sold.period_ends_at - DAY
    slot, renewal = dearer.slot(sold), till.order(account=sold.account)

    assert slot.expires_at == sold.period_ends_at
    tasks.run(sold.period_ends_at)

    states = [Order.objects.get(pk=order.pk).state for order in (slot, renewal)]
    assert states == ["expired", "open"]


def test_only_terms_that_run_or_will_may_have_one(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    ahead = till.sell(account=sold.account)
    dearer.pay(dearer.slot(sold))

    assert addons.terms_to_join(held_by(sold), now=till.now) == [sold, ahead]
    till.now += 40 * DAY
    assert addons.terms_to_join(held_by(sold), now=till.now) == [ahead]
    with pytest.raises(actions.AddOnWrong):
        dearer.slot(sold)


def test_ended_price_is_not_sold(till: Till, dearer: Dearer) -> None:
    sold = till.sell()
    plans.end_addon_price(price=dearer.slots[till.shop.plan.pk], now=till.now, actor=OWNER)

    with pytest.raises(actions.PriceGone):
        dearer.slot(sold)
