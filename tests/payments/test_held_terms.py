"""Nothing is changed on a subscription, or added to it, while its payment is disputed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from test_bound import lose, sold
from test_gift_washing import open_dispute, sent

from dearer import held_by, open_dearer
from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.orders import actions as orders
from ferriage.orders.actions.targets import HeldByDispute
from ferriage.orders.models import Order
from ferriage.payments import tasks
from ferriage.plans import actions as plans
from ferriage.plans.queries import subscription_end
from till import THREE_DAYS, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter

pytestmark = pytest.mark.django_db


def lapse(counter: Counter, approvals: list[Approval]) -> None:
    """Let no line serve the shop's customers any more that rests on some approvals."""
    counter.till.now += timedelta(days=10)
    for approval in approvals:
        fleet.revoke_approval(approval=approval, now=counter.now, actor=OWNER)
    orders.freeze_due(now=counter.now, actor=OWNER)


@pytest.mark.parametrize("keep_time", [True, False])
def test_move_in_a_lapse_is_refused_while_the_payment_is_disputed(
    counter: Counter, *, keep_time: bool
) -> None:
    till = counter.till
    approvals = list(Approval.objects.all())
    other = till.shop.add_plan("Other", till.shop.yard.open_line("Other"))
    plans.set_price(
        plan=other,
        term_months=1,
        money=Money(2000, "CNY"),
        now=till.now,
        actor=OWNER,
    )
    payment = counter.sell()
    order = sold(payment)
    open_dispute(counter, payment, 1000)
    lapse(counter, approvals)

    how = {"plan": other, "keep_time": keep_time, "actor": CUSTOMER}
    with pytest.raises(HeldByDispute, match="disputed"):
        orders.move(subscription=held_by(order), now=counter.now, **how)  # type: ignore[arg-type] -- as named
    lose(counter, payment, 1000)
    assert Order.objects.count() == 1
    assert subscription_end(held_by(order)).is_over(counter.now)
    assert "expenses:disputes" not in books()
    assert_sound()


def test_refund_in_a_lapse_waits_and_goes_by_the_dispute(counter: Counter) -> None:
    payment = counter.sell()
    order = sold(payment)
    open_dispute(counter, payment, 1000)
    lapse(counter, list(Approval.objects.all()))
    orders.refund(subscription=held_by(order), now=counter.now, actor=CUSTOMER)
    tasks.run(counter.now)

    assert sent() == 0
    lose(counter, payment, 1000)
    tasks.run(counter.now)
    assert sent() == 0
    assert_sound()


def test_nothing_is_added_to_a_held_subscription_and_another_is_bought_beside_it(
    counter: Counter,
) -> None:
    till = counter.till
    dearer = open_dearer(till)
    payment = counter.sell()
    order = sold(payment)
    account = order.account
    assert account is not None
    open_dispute(counter, payment, 1000)

    for extends in (None, held_by(order)):
        with pytest.raises(HeldByDispute, match="disputed"):
            orders.place(
                account=account,
                price=till.shop.prices[1],
                place="XD",
                extends=extends,
                now=till.now,
                expires_at=till.now + THREE_DAYS,
                actor=CUSTOMER,
            )
    with pytest.raises(HeldByDispute, match="disputed"):
        dearer.change(held_by(order))
    with pytest.raises(HeldByDispute, match="disputed"):
        dearer.slot(order)
    # Whoever gives it is not told why.
    with pytest.raises(orders.NotGivable, match="cannot be given"):
        orders.give(
            account=till.shop.account(),
            recipient=account,
            price=till.shop.prices[1],
            now=till.now,
            expires_at=till.now + THREE_DAYS,
            actor=CUSTOMER,
        )
    assert Order.objects.count() == 1

    beside = orders.place(
        account=account,
        price=till.shop.prices[1],
        place="XD",
        beside=True,
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )
    assert beside.extends is None
    counter.say("dispute-won", payment, "evt_w", dispute="dp_1")
    assert till.order(account=account).extends == order.subscription
