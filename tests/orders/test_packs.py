"""A quota pack: bytes for the month it is paid in, earned as they are used."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, transaction

from dearer import GB, held_by, open_dearer, order_pack, sell_packs, use
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.orders import actions, addons, balance, refunds, tasks, values
from ferriage.orders.actions.refunds import refund_on_request, withdraw
from ferriage.orders.models import Order
from ferriage.plans import quota
from ferriage.plans.models import Plan
from till import Till, assert_sound, books

if TYPE_CHECKING:
    from ferriage.plans.models import AddOnPrice

DAY = timedelta(days=1)
ALL = refunds.Rules()


@pytest.fixture
def packs(till: Till) -> AddOnPrice:
    return sell_packs(till)


def pay(till: Till, order: Order) -> str:
    outcome = till.receive(till.transfer(order).reference, order.due_minor).outcome
    order.refresh_from_db()
    return outcome


def bought(till: Till, packs: AddOnPrice, term: Order) -> Order:
    order = order_pack(till, term, packs)
    pay(till, order)
    return order


def allowed(order: Order, till: Till) -> int | None:
    return quota.allowed(held_by(order), till.now)


def test_orders_copy_what_they_give(till: Till, packs: AddOnPrice) -> None:
    sold = till.sell()
    pack = order_pack(till, sold, packs)
    Plan.objects.filter(pk=till.shop.plan.pk).update(quota_bytes=200 * GB)

    sold.refresh_from_db()
    assert (sold.quota_bytes, pack.quota_bytes) == (100 * GB, 20 * GB)


def test_an_order_keeps_what_it_gives(till: Till, packs: AddOnPrice) -> None:  # noqa: ARG001 -- gives the plan a quota
    sold = till.sell()

    with pytest.raises(DatabaseError, match="keeps what it is for"), transaction.atomic():
        Order.objects.filter(pk=sold.pk).update(quota_bytes=50 * GB)


def test_pack_counts_at_once_to_the_end_of_the_month(till: Till, packs: AddOnPrice) -> None:
    sold = till.sell(6)
    till.now += 10 * DAY
    before = allowed(sold, till)

    pack = bought(till, packs, sold)

    begins_at, ends_at = quota.stretch_of(held_by(sold), till.now)
    assert begins_at == sold.period_starts_at
    assert (before, allowed(sold, till)) == (100 * GB, 120 * GB)
    assert (pack.amount_minor, pack.period_starts_at, pack.period_ends_at) == (
        400,
        till.now,
        ends_at,
    )
    assert quota.allowed(held_by(sold), ends_at) == 100 * GB
    assert_sound()


def test_two_packs_add_up(till: Till, packs: AddOnPrice) -> None:
    sold = till.sell()
    bought(till, packs, sold)
    bought(till, packs, sold)

    assert allowed(sold, till) == 140 * GB


def test_pack_is_for_the_month_in_which_it_is_paid(till: Till, packs: AddOnPrice) -> None:
    sold = till.sell(6)
    till.now += 30 * DAY
    order = order_pack(till, sold, packs)
    till.now += 2 * DAY

    assert pay(till, order) == "settled"

    assert order.period_ends_at == quota.stretch_of(held_by(sold), till.now)[1]
    assert allowed(sold, till) == 120 * GB


def test_no_pack_for_a_term_that_has_not_begun(till: Till, packs: AddOnPrice) -> None:
    sold = till.sell()
    ahead = till.sell(6, account=sold.account)

    with pytest.raises(actions.AddOnWrong):
        order_pack(till, ahead, packs)


def test_money_for_a_pack_goes_back_where_the_quota_was_lifted(
    till: Till, packs: AddOnPrice
) -> None:
    sold = till.sell()
    order = order_pack(till, sold, packs)
    Plan.objects.filter(pk=till.shop.plan.pk).update(quota_bytes=None)

    assert pay(till, order) == "refund"

    assert (order.state, books()["liabilities:refunds"]) == ("open", 400)
    assert_sound()


def test_own_quota_is_used_first_and_older_packs_before_newer(
    till: Till, packs: AddOnPrice
) -> None:
    sold = till.sell()
    older, newer = bought(till, packs, sold), bought(till, packs, sold)
    seen = []
    for used in (99, 105, 125, 131, 128, 500):
        use(held_by(sold), used * GB, till.now)
        actions.count_use(now=till.now)
        older.refresh_from_db()
        newer.refresh_from_db()
        seen.append((older.used_bytes // GB, newer.used_bytes // GB))

    assert seen == [(0, 0), (5, 0), (20, 5), (20, 11), (20, 11), (20, 20)]


def test_pack_is_earned_by_what_was_used_and_whole_at_its_end(
    till: Till, packs: AddOnPrice
) -> None:
    """Of the term a 31st is earned each day, of the pack the fourth part at once."""
    sold = till.sell()
    pack = bought(till, packs, sold)
    use(held_by(sold), 105 * GB, till.now)
    till.now += DAY
    tasks.run(till.now)

    assert books()["income:ferry"] == 1000 // 31 + 100
    assert_sound()
    assert pack.period_ends_at is not None
    till.now = pack.period_ends_at
    tasks.run(till.now)
    assert books() == {"assets:bank": 1400, "income:ferry": 1400}
    assert_sound()


def test_what_is_unused_of_a_pack_is_owed_and_no_more(till: Till, packs: AddOnPrice) -> None:
    sold = till.sell()
    pack = bought(till, packs, sold)
    use(held_by(sold), 115 * GB, till.now)
    actions.count_use(now=till.now)
    quoted = refunds.quote(
        held_by(sold),
        at=till.now,
        decide=refunds.by_rules(held_by(sold), ALL, now=till.now),
    )

    refund_on_request(
        subscription=held_by(sold),
        at=till.now,
        quoted=quoted.owed,
        rules=ALL,
        now=till.now,
        actor=CUSTOMER,
    )

    pack.refresh_from_db()
    sold.refresh_from_db()
    assert (sold.refund_due_minor, pack.refund_due_minor) == (0, 100)
    assert sum(money.amount_minor for money in quoted.owed) == 100
    assert_sound()


def test_pack_that_was_not_touched_goes_back_whole(till: Till, packs: AddOnPrice) -> None:
    sold = till.sell()
    pack = bought(till, packs, sold)
    till.now += DAY

    withdraw(subscription=held_by(sold), rules=ALL, now=till.now, actor=CUSTOMER)

    pack.refresh_from_db()
    assert pack.refund_due_minor == 400
    assert_sound()


def test_what_was_used_of_a_pack_does_not_count_against_the_next_plan(till: Till) -> None:
    dearer = open_dearer(till)
    packs = sell_packs(till)
    Plan.objects.filter(pk=dearer.plan.pk).update(quota_bytes=300 * GB)
    sold = till.sell()
    pack = bought(till, packs, sold)
    use(held_by(sold), 110 * GB, till.now)
    actions.count_use(now=till.now)
    worth = values.worth(held_by(sold), at=till.now)

    change = dearer.change(held_by(sold))
    dearer.pay(change)

    pack.refresh_from_db()
    assert worth["CNY"] == 1000 + 200  # by time alone
    assert change.value_minor == 0
    assert balance.balance(held_by(sold).account, "CNY") == 200
    assert quota.allowed(held_by(change), till.now) == 310 * GB
    assert quota.stretch_of(held_by(change), till.now)[0] == sold.period_starts_at
    assert_sound()


def test_change_that_was_quoted_holds_though_more_of_a_pack_was_used(till: Till) -> None:
    dearer = open_dearer(till)
    packs = sell_packs(till)
    sold = till.sell()
    bought(till, packs, sold)
    use(held_by(sold), 100 * GB, till.now)
    quoted = values.quote(held_by(sold), dearer.prices[12], now=till.now)
    change = dearer.change(held_by(sold))
    use(held_by(sold), 120 * GB, till.now)
    actions.count_use(now=till.now)

    assert dearer.pay(change) == "settled"
    assert (quoted.worth, quoted.packs) == (Money(0, "CNY"), (Money(400, "CNY"),))
    assert change.refundable_minor == change.due_minor
    assert balance.balance(held_by(sold).account, "CNY") == 0
    assert_sound()


def test_packs_do_not_make_up_for_time_that_passed_until_a_change_was_paid(till: Till) -> None:
    dearer = open_dearer(till)
    packs = sell_packs(till)
    sold = till.sell()
    bought(till, packs, sold)
    change = dearer.change(held_by(sold))
    till.now += DAY

    dearer.pay(change)

    assert balance.balance(held_by(sold).account, "CNY") == 400
    assert books()["expenses:promotions"] == 1000 * 1 // 31
    assert_sound()


def test_packs_are_not_places(till: Till, packs: AddOnPrice) -> None:
    sold = till.sell()
    pack = bought(till, packs, sold)

    assert not addons.terms_to_join(held_by(pack), now=till.now)[1:]
