from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import lawbook
from ferriage.accounts import actions as accounts
from ferriage.approvals.models import Decision
from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.ledger.models import LedgerTransaction
from ferriage.orders import actions, queries, tasks
from ferriage.orders.models import Order
from ferriage.plans import actions as plans
from ferriage.plans.models import Period
from till import THREE_DAYS, Till, assert_sound
from yard import OWNER, last_permit

if TYPE_CHECKING:
    from ferriage.accounts.models import Account
    from ferriage.plans.models import Price


def place(till: Till, account: Account, price: Price, where: str = "XD") -> Order:
    return actions.place(
        account=account,
        price=price,
        place=where,
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )


def test_order_copies_price_and_term_and_asks_the_register(till: Till) -> None:
    order = till.order(6)

    assert (order.amount_minor, order.currency, order.term_months) == (5000, "CNY", 6)
    assert order.state == "open"
    assert [row.allowed for row in Decision.objects.filter(subject=order.code)] == [True]
    entry = AuditEntry.objects.get(subject=order.code)
    assert (entry.action, entry.details) == (
        "order.placed",
        {"amount": "50.00 CNY", "place": "XD"},
    )


def test_nothing_is_sold_that_a_waiting_pack_denies_and_money_under_way_goes_back(
    till: Till,
) -> None:
    order = till.order()
    reference = till.transfer(order).reference
    lawbook.receive(lawbook.stricter(), at=till.now)

    with pytest.raises(actions.NotOnSale):
        till.order()
    captured = till.receive(reference, 1000)
    fleet.refresh_permits(now=till.now, actor=OWNER)

    assert captured.outcome == "refund"
    assert last_permit(till.shop.line).state == "open"


def test_later_price_leaves_the_order_as_it_was(till: Till) -> None:
    order = till.order()

    plans.set_price(
        plan=till.shop.plan, term_months=1, money=Money(9900, "CNY"), now=till.now, actor=OWNER
    )
    captured = till.receive(till.transfer(order).reference, 1000)

    assert captured.outcome == "settled"
    assert_sound()


def test_second_click_returns_the_open_order(till: Till) -> None:
    order = till.order()

    assert till.order(account=order.account) == order
    assert Order.objects.count() == 1


def test_another_term_is_another_order(till: Till) -> None:
    order = till.order()

    assert till.order(6, account=order.account) != order


def test_settled_order_has_its_stretch_its_sale_and_a_second_decision(till: Till) -> None:
    order = till.sell(12)

    assert order.state == "fulfilled"
    assert (order.period_starts_at, order.period_ends_at) == (
        till.now,
        datetime(2027, 3, 1, 12, tzinfo=UTC),
    )
    assert Period.objects.get().source_code == order.code
    assert [row.kind for row in LedgerTransaction.objects.filter(source_code=order.code)] == [
        "sale"
    ]
    assert Decision.objects.filter(subject=order.code, allowed=True).count() == 2


def test_replaced_price_is_refused(till: Till) -> None:
    account, old = till.shop.account(), till.shop.prices[1]
    plans.set_price(
        plan=till.shop.plan, term_months=1, money=Money(1100, "CNY"), now=till.now, actor=OWNER
    )

    with pytest.raises(actions.PriceGone):
        place(till, account, old)

    assert Order.objects.count() == 0


def test_withdrawn_plan_is_refused(till: Till) -> None:
    account = till.shop.account()
    plan = plans.withdraw_plan(plan=till.shop.plan, now=till.now, actor=OWNER)
    price = till.shop.prices[1]
    price.plan = plan

    with pytest.raises(actions.PriceGone):
        place(till, account, price)

    assert Order.objects.count() == 0


def test_place_where_the_line_is_not_sold_is_refused_with_the_verdict(till: Till) -> None:
    with pytest.raises(actions.NotOnSale) as caught:
        place(till, till.shop.account("SE"), till.shop.prices[1], "SE")

    assert caught.value.verdict is not None
    assert caught.value.verdict.allowed is False
    assert Order.objects.count() == 0


def test_line_on_hold_sells_nothing(till: Till) -> None:
    fleet.hold_line(line=till.shop.line, reason="Cable cut", now=till.now, actor=OWNER)

    with pytest.raises(actions.NotOnSale):
        till.order()

    assert Order.objects.count() == 0


def test_closed_service_does_not_buy(till: Till) -> None:
    account = accounts.open_account(
        now=till.now, actor=OWNER, account_class="own_staff", place="XD", label="Otto"
    ).account

    with pytest.raises(actions.NotForSale):
        till.order(account=account)

    assert Order.objects.count() == 0


def test_second_plan_of_the_service_is_refused_naming_the_first(till: Till) -> None:
    sold = till.sell()
    other = till.shop.add_plan("Ten devices", till.shop.line)
    price = plans.set_price(
        plan=other, term_months=1, money=Money(2000, "CNY"), now=till.now, actor=OWNER
    )
    assert sold.account is not None

    with pytest.raises(plans.OtherPlanHeld, match="Five devices of Ferry"):
        place(till, sold.account, price)

    assert Order.objects.count() == 1


def test_order_expires_once_its_time_is_over(till: Till) -> None:
    order = till.order()

    assert tasks.run(order.expires_at - timedelta(seconds=1)) == 0
    assert tasks.run(order.expires_at) == 1
    assert tasks.run(order.expires_at) == 0

    order.refresh_from_db()
    assert order.state == "expired"


def test_cancelled_order_cannot_be_cancelled_again_or_paid(till: Till) -> None:
    order = till.order()
    actions.cancel(order=order, now=till.now, actor=CUSTOMER)

    with pytest.raises(StaleState):
        actions.cancel(order=order, now=till.now, actor=CUSTOMER)
    result = actions.settle(order=order, refundable_minor=1000, now=till.now, actor=CUSTOMER)

    assert result == actions.Refused("order-cancelled")
    assert Period.objects.count() == 0


def test_settled_order_is_settled_once(till: Till) -> None:
    order = till.sell()

    result = actions.settle(order=order, refundable_minor=1000, now=till.now, actor=CUSTOMER)

    assert result == actions.Refused("order-fulfilled")
    assert Period.objects.count() == 1
    assert_sound()


def test_orders_of_one_account_are_nobody_elses(till: Till) -> None:
    alice, bob = till.shop.account(), till.shop.account()
    first, second = till.order(1, account=alice), till.order(6, account=alice)

    assert list(queries.orders_of(alice)) == [second, first]
    assert list(queries.orders_of(bob)) == []
    assert queries.order_of(account=bob, code=first.code) is None
    assert queries.order_of(account=alice, code=first.code) == first
