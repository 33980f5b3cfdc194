"""A place or a pack whose payment is taken back: held while disputed, gone when that is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dearer import GB, Dearer, held_by, open_dearer, order_pack, sell_packs, use
from ferriage.approvals.models import Approval
from ferriage.core.money import Money
from ferriage.devices import usage
from ferriage.devices.models import Device
from ferriage.fleet import actions as fleet
from ferriage.orders import actions as orders
from ferriage.orders import tasks as order_tasks
from ferriage.payments import tasks
from ferriage.payments.models import InboxEvent, Payment, Refund
from ferriage.plans import quota
from ferriage.plans.models import Plan
from ferriage.plans.queries import device_limit, holds_of, subscription_end
from stand_in import StandIn
from till import assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter
    from ferriage.orders.models import Order
    from ferriage.plans.models import AddOnPrice

DAY = timedelta(days=1)
ASSET = f"assets:{StandIn.slug}"


@pytest.fixture
def packs(counter: Counter) -> AddOnPrice:
    return sell_packs(counter.till)


@pytest.fixture
def dearer(counter: Counter) -> Dearer:
    return open_dearer(counter.till)


def paid(counter: Counter, order: Order) -> Payment:
    payment = counter.begin(order)
    counter.tell(counter.world.pay(payment, counter.now))
    payment.refresh_from_db()
    order.refresh_from_db()
    assert payment.outcome == "settled"
    return payment


def lose(counter: Counter, payment: Payment, word: str = "lost") -> None:
    money = Money(payment.amount_minor, "CNY")
    counter.say(f"dispute-{word}", payment, f"evt_{word}", dispute="dp_1", money=money, reason="f")


def allowed(order: Order, counter: Counter) -> int | None:
    return quota.allowed(held_by(order), counter.now)


def test_disputed_pack_holds_until_it_is_won(counter: Counter, packs: AddOnPrice) -> None:
    sold = counter.till.sell()
    counter.till.shop.device(held_by(sold))
    payment = paid(counter, order_pack(counter.till, sold, packs))

    lose(counter, payment, "opened")
    held = (len(holds_of(held_by(sold))), Device.objects.get().hold_reason)
    lose(counter, payment, "won")

    assert held == (1, "staff")
    assert (len(holds_of(held_by(sold))), Device.objects.get().hold_reason) == (0, "term")
    assert allowed(sold, counter) == 120 * GB
    assert_sound()


def test_lost_pack_takes_its_unused_bytes_and_leaves_the_term(
    counter: Counter, packs: AddOnPrice
) -> None:
    sold = counter.till.sell()
    other = order_pack(counter.till, sold, packs)
    paid(counter, other)
    payment = paid(counter, order_pack(counter.till, sold, packs))
    end = subscription_end(held_by(sold)).at
    counter.till.now += DAY

    lose(counter, payment)

    assert allowed(sold, counter) == 120 * GB
    assert subscription_end(held_by(sold)).at == end
    assert books() == {ASSET: 400, "assets:bank": 1000, "liabilities:unearned": 1400}
    assert_sound()


def test_what_was_used_of_a_lost_pack_does_not_count_against_the_quota(
    counter: Counter, packs: AddOnPrice
) -> None:
    sold = counter.till.sell()
    payment = paid(counter, order_pack(counter.till, sold, packs))
    use(held_by(sold), 105 * GB, counter.now)
    orders.count_use(now=counter.now)
    orders.recognise(now=counter.now + DAY)

    lose(counter, payment)

    assert allowed(sold, counter) == 105 * GB
    standing = usage.standings([held_by(sold)], counter.now)[held_by(sold).pk]
    assert (standing.used, standing.allowed) == (105 * GB, 105 * GB)
    assert books() == {"assets:bank": 1000, "income:ferry": 32, "liabilities:unearned": 968}
    assert_sound()


def test_pack_of_a_subscription_that_ends_ahead_is_lost_before_that(
    counter: Counter, packs: AddOnPrice
) -> None:
    till = counter.till
    sold = till.sell()
    pack = order_pack(till, sold, packs)
    payment = paid(counter, pack)
    use(held_by(sold), 110 * GB, till.now)
    order_tasks.run(till.now)
    ends_at = till.now + 5 * DAY
    till.end(sold, ends_at)
    till.now += DAY

    lose(counter, payment)

    kept = held_by(sold).periods.filter(source_code__startswith=f"{pack.code}-u").order_by("pk")
    assert [(one.starts_at, one.quota_bytes) for one in kept] == [
        (ends_at, 10 * GB),
        (till.now, 10 * GB),
    ]
    assert kept[1].ends_at == kept[0].starts_at
    assert allowed(sold, counter) == 110 * GB
    assert InboxEvent.objects.filter(handled_at=None).count() == 0
    tasks.run(till.now)
    # What was used was taken back by its payer, too: nothing of the 400 goes back again.
    assert books().get(ASSET, 0) == 0
    assert_sound()


def test_lost_place_holds_the_device_that_came_last(counter: Counter, dearer: Dearer) -> None:
    till = counter.till
    Plan.objects.filter(pk=till.shop.plan.pk).update(device_limit=1)
    sold = till.sell()
    payment = paid(counter, dearer.slot(sold))
    first = till.shop.device(held_by(sold))
    till.now += timedelta(minutes=1)
    second = till.shop.device(held_by(sold))
    before = device_limit(held_by(sold), now=till.now)
    till.now += DAY

    lose(counter, payment)

    first.refresh_from_db()
    second.refresh_from_db()
    assert (before, device_limit(held_by(sold), now=till.now)) == (2, 1)
    assert first.hold_at == sold.period_ends_at
    assert second.hold_at is not None
    assert second.hold_at <= till.now
    assert books() == {"assets:bank": 1000, "liabilities:unearned": 1000}
    assert_sound()


def test_lost_place_of_a_term_ahead_never_begins(counter: Counter, dearer: Dearer) -> None:
    till = counter.till
    sold = till.sell()
    ahead = till.sell(6, account=sold.account)
    slot = dearer.slot(ahead)
    payment = paid(counter, slot)

    lose(counter, payment)

    assert slot.period_starts_at is not None
    assert device_limit(held_by(sold), now=slot.period_starts_at) == 5
    assert_sound()


def test_place_that_was_lost_while_days_stand_still_stays_lost(
    counter: Counter, dearer: Dearer
) -> None:
    till = counter.till
    sold = till.sell()
    payment = paid(counter, dearer.slot(sold))
    till.now += DAY
    fleet.revoke_approval(approval=Approval.objects.latest("pk"), now=till.now, actor=OWNER)
    orders.freeze_due(now=till.now, actor=OWNER)
    till.now += DAY

    lose(counter, payment)

    assert device_limit(held_by(sold), now=till.now) == 5
    assert_sound()


def test_what_other_money_added_to_a_lost_term_is_owed_back(
    counter: Counter, dearer: Dearer
) -> None:
    term = counter.sell()
    assert term.order is not None
    slot = dearer.slot(term.order)
    assert dearer.pay(slot) == "settled"

    lose(counter, term)
    tasks.run(counter.now)

    slot.refresh_from_db()
    assert slot.refund_due_minor == slot.amount_minor
    assert [refund.payment.order for refund in Refund.objects.all()] == [slot]
    assert books() == {"assets:bank": 300, "liabilities:refunds": 300}
    assert_sound()
