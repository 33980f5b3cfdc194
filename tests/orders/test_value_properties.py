"""Whatever is bought, renewed, changed, added and ended: what was paid is somewhere, to the unit.

paid = earned + unearned + balance + owed back, less what the shop itself gave.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from dearer import open_dearer
from ferriage.core.actors import CUSTOMER
from ferriage.fleet import tasks as fleet_tasks
from ferriage.ledger.models import Transfer
from ferriage.orders import actions, addons, earning, tasks, values
from ferriage.orders.models import Balance, Order
from ferriage.payments import tasks as payment_tasks
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries
from ferriage.plans.models import Price, Subscription
from till import THREE_DAYS, Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from shop import Shop

_TERMS = st.sampled_from([1, 1, 6, 12])
_STEPS = st.sampled_from([1, 3600, 86_400, 9 * 86_400]) | st.integers(1, 40 * 86_400)
_LATER = st.sampled_from([0, 3600, 2 * 86_400])
_REFUSED = (
    actions.NotOnSale,
    actions.TermOutlivesApproval,
    actions.PriceGone,
    actions.NotPaid,
    plans.OtherPlanHeld,
    plans.ChangeWrong,
)


class Holdings(RuleBasedStateMachine):
    """An account that buys two plans of a service, beside each other and after each other."""

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self.savepoint = transaction.savepoint_create()
        shop.approve_for_years()
        self.till = Till(shop, shop.now)
        self.dearer = open_dearer(self.till)
        self.account = shop.account()
        self.came = 0

    def teardown(self) -> None:
        transaction.savepoint_rollback(self.savepoint)

    @initialize(months=_TERMS)
    def begin(self, months: int) -> None:
        self.came += self.till.sell(months, account=self.account).due_minor

    def held(self, number: int) -> Subscription | None:
        rows = list(Subscription.objects.filter(account=self.account).order_by("pk"))
        return rows[number % len(rows)] if rows else None

    def price(self, months: int, *, dear: bool) -> Price:
        return (self.dearer.prices if dear else self.till.shop.prices)[months]

    def pay(self, order: Order, later: int) -> None:
        """Pay what is due, after a while; what the order does not take waits or goes back."""
        if not order.due_minor or order.state != Order.State.OPEN:
            return
        reference = self.till.transfer(order).reference
        self.pass_time(later)
        self.till.receive(reference, order.due_minor)
        self.came += order.due_minor

    def pass_time(self, seconds: int) -> None:
        self.till.now += timedelta(seconds=seconds)
        fleet_tasks.run(self.till.now)
        tasks.run(self.till.now)
        payment_tasks.run(self.till.now)

    @rule(months=_TERMS, dear=st.booleans(), beside=st.booleans(), later=_LATER, free=st.booleans())
    def buy(self, *, months: int, dear: bool, beside: bool, later: int, free: bool) -> None:
        with suppress(*_REFUSED):
            order = actions.place(
                account=self.account,
                price=self.price(months, dear=dear),
                place="XD",
                beside=beside,
                now=self.till.now,
                expires_at=self.till.now + THREE_DAYS,
                actor=CUSTOMER,
            )
            if free and not dear and order.due_minor == order.list_minor:
                self.till.redeem(order, self.till.voucher(months))
            else:
                self.pay(order, later)

    @rule(which=st.integers(0, 3), months=_TERMS, dear=st.booleans(), later=_LATER)
    def change(self, *, which: int, months: int, dear: bool, later: int) -> None:
        held = self.held(which)
        if held is None:
            return
        before = values.worth(held, at=self.till.now)["CNY"]
        with suppress(*_REFUSED):
            order = self.dearer.change(held, price=self.price(months, dear=dear))
            assert order.due_minor >= max(order.list_minor - before, 0)
            self.pay(order, later)

    @rule(which=st.integers(0, 3), months=_TERMS, later=_LATER)
    def change_at_the_end(self, *, which: int, months: int, later: int) -> None:
        held = self.held(which)
        other = self.dearer.plan
        if held is None or held.plan_id == other.pk:
            return
        with suppress(*_REFUSED):
            actions.plan_change(subscription=held, plan=other, now=self.till.now, actor=CUSTOMER)
            order = actions.place(
                account=self.account,
                price=self.dearer.prices[months],
                place="XD",
                extends=held,
                now=self.till.now,
                expires_at=self.till.now + THREE_DAYS,
                actor=CUSTOMER,
            )
            self.pay(order, later)

    @rule(which=st.integers(0, 3), term=st.integers(0, 2), later=_LATER)
    def add_a_place(self, *, which: int, term: int, later: int) -> None:
        held = self.held(which)
        found = addons.terms_to_join(held, now=self.till.now) if held else []
        if found:
            with suppress(*_REFUSED):
                self.pay(self.dearer.slot(found[term % len(found)]), later)

    @rule(which=st.integers(0, 3), seconds=st.just(0) | _STEPS)
    def end(self, *, which: int, seconds: int) -> None:
        held = self.held(which)
        if held is not None:
            with suppress(plans.NothingToEnd):
                actions.end_subscription(
                    subscription=held,
                    at=self.till.now + timedelta(seconds=seconds),
                    reason="Asked",
                    now=self.till.now,
                    actor=OWNER,
                )

    @rule(seconds=_STEPS)
    def time_passes(self, seconds: int) -> None:
        self.pass_time(seconds)

    @invariant()
    def all_that_came_is_somewhere(self) -> None:
        assert_sound()
        held = books()
        assert held.get("assets:bank", 0) == self.came
        theirs = sum(
            minor for name, minor in held.items() if name.startswith(("liabilities:", "income:"))
        )
        # What the shop gave away is in there too, and nothing else.
        assert theirs == self.came + held.get("expenses:promotions", 0)

    @invariant()
    def orders_tell_the_same_as_the_books(self) -> None:
        gone = unused = 0
        for order in Order.objects.filter(state=Order.State.FULFILLED):
            assert order.refundable_minor >= order.refund_due_minor + order.moved_minor
            ended = order.cut_at is not None
            gone += order.refund_due_minor + order.moved_minor
            if not ended:
                unused += order.amount_minor - earning.earned_of(order, self.till.now)
        balance = Balance.objects.filter(account=self.account).first()
        assert books().get("liabilities:credits", 0) == (balance.amount_minor if balance else 0)
        assert unused <= books().get("liabilities:unearned", 0)
        assert gone >= books().get("liabilities:credits", 0)

    @invariant()
    def every_subscription_ends_where_its_last_order_does(self) -> None:
        for held in Subscription.objects.filter(account=self.account):
            end = plan_queries.subscription_end(held).at
            mine = Order.objects.filter(subscription=held).exclude(kind=Order.Kind.ADDON)
            last = max(order.ends_really_at for order in mine if order.ends_really_at)
            assert end is None or end <= last


def test_value_is_kept_whatever_is_bought_changed_added_and_ended(shop: Shop) -> None:
    def machine() -> Any:
        return Holdings(shop)

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert not Transfer.objects.filter(amount_minor__lte=0).exists()
