"""Whatever a shop goes through, in any order: the books balance and no money is lost or made."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F, Sum
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from ferriage.approvals.actions import ClockBehind
from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.fleet import tasks as fleet_tasks
from ferriage.orders import actions as orders
from ferriage.orders import tasks as order_tasks
from ferriage.orders.actions.refunds import NothingToRefund, refund_on_request
from ferriage.orders.earning import earned_of
from ferriage.orders.models import Order
from ferriage.orders.queries import books_of as order_books
from ferriage.orders.refunds import Rules, by_rules, quote
from ferriage.payments import actions, tasks
from ferriage.payments.models import InboxEvent, Payment, Refund
from ferriage.payments.providers.voucher.actions import (
    UsedVoucher,
    VoucherForOtherPlan,
    VoucherNotTaken,
)
from ferriage.payments.starting import NotPayable
from ferriage.plans import actions as plans
from ferriage.plans.entitlement import frozen_from
from ferriage.plans.models import Subscription
from taxed import charge
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from shop import Shop

_NONE = timedelta(0)
_TERMS = st.sampled_from([1, 1, 6, 12])
_AMOUNTS = st.integers(1, 20_000)
_STEPS = st.sampled_from([1, 3600, 86_400, 5 * 86_400, 20 * 86_400]) | st.integers(1, 3 * 86_400)


class BusyShop(RuleBasedStateMachine):
    """A shop with two customers; counts by itself what came in and went out."""

    orders: Bundle[Any] = Bundle("orders")
    vouchers: Bundle[Any] = Bundle("vouchers")

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self.savepoint = transaction.savepoint_create()
        shop.approve_for_years()
        self.till = Till(shop, shop.now)
        self.till.shop.prices.update(
            {price.term_months: price for price in shop.plan.prices.filter(valid_to=None)}
        )
        self.customers = [shop.account(), shop.account()]
        self.came = self.went = 0

    def teardown(self) -> None:
        transaction.savepoint_rollback(self.savepoint)

    @rule(target=orders, months=_TERMS, who=st.sampled_from([0, 1]))
    def place(self, months: int, who: int) -> Any:
        try:
            return self.till.order(months, account=self.customers[who])
        except (ClockBehind, orders.NotOnSale, orders.PriceGone, orders.TermOutlivesApproval):
            return multiple()  # the clock stands before the shop, or near its approval's end

    @rule(months=_TERMS, minor=_AMOUNTS)
    def change_price(self, months: int, minor: int) -> None:
        if self.till.now < self.till.shop.prices[months].valid_from:
            return
        self.till.shop.prices[months] = plans.set_price(
            plan=self.till.shop.plan,
            term_months=months,
            money=Money(minor, "CNY"),
            now=self.till.now,
            actor=OWNER,
        )

    @rule(order=orders, off=st.sampled_from([0, 0, 0, 1, -1]), twice=st.booleans())
    def pay_by_bank(self, order: Order, off: int, twice: bool) -> None:  # noqa: FBT001 -- drawn
        asked = Payment.objects.filter(order=order, reference__isnull=False).last()
        try:
            asked = self.till.transfer(order)
        except NotPayable:
            if asked is None:
                return
        minor = max(asked.amount_minor + off, 1)
        number = f"T{next(self.till.numbers)}"
        for _again in range(1 + twice):
            self.receive(asked.reference or "", minor, number)
        self.came += minor

    def receive(self, reference: str, minor: int, number: str) -> None:
        try:
            self.till.receive(reference, minor, number=number)
        except ClockBehind:
            # Kept in the inbox; it is booked once the clock is right again.
            while InboxEvent.objects.filter(handled_at=None).exists():
                self.till.now += timedelta(days=1)
                tasks.run(self.till.now)

    @rule(target=vouchers, months=_TERMS, paid=st.just(0) | _AMOUNTS, number=st.integers(1, 3))
    def issue(self, months: int, paid: int, number: int) -> Any:
        self.came += paid * number
        return multiple(*self.till.vouchers(number, months, paid=paid))

    @rule(order=orders, code=vouchers)
    def pay_by_voucher(self, order: Order, code: str) -> None:
        refusals = (UsedVoucher, VoucherForOtherPlan, VoucherNotTaken, ClockBehind)
        with suppress(*refusals):
            self.till.redeem(order, code)

    @rule(order=consumes(orders))
    def cancel(self, order: Order) -> None:
        try:
            orders.cancel(order=order, now=self.till.now, actor=CUSTOMER)
        except StaleState:
            assert Order.objects.get(pk=order.pk).state != "open"

    @rule(order=orders, seconds=st.just(0) | _STEPS)
    def end_early(self, order: Order, seconds: int) -> None:
        order.refresh_from_db()
        if order.subscription is not None:
            try:
                self.till.end(order, self.till.now + timedelta(seconds=seconds))
            except plans.NothingToEnd:
                return

    @rule()
    def line_may_not_be_open(self) -> None:
        granted = Approval.objects.filter(state="granted").last()
        if granted is not None:
            fleet.revoke_approval(approval=granted, now=self.till.now, actor=OWNER)

    @rule()
    def line_is_allowed_again(self) -> None:
        if not Approval.objects.filter(state="granted").exists():
            self.till.shop.yard.approve(self.till.shop.line)
            with suppress(ClockBehind):
                fleet.refresh_permits(now=self.till.now, actor=OWNER)

    @rule(who=st.sampled_from([0, 1]))
    def take_the_refund(self, who: int) -> None:
        held = Subscription.objects.filter(account=self.customers[who]).first()
        if held is not None:
            with suppress(plans.LapseOver):
                orders.refund(subscription=held, now=self.till.now, actor=CUSTOMER)

    @rule(rate=st.sampled_from([0, 700, 1900, 2550]))
    def tax_is_charged_from_now_on(self, rate: int) -> None:
        charge(self.till.now, rate)

    @rule(
        who=st.sampled_from([0, 1]),
        days=st.sampled_from([0, 14]),
        after=st.sampled_from(["none", "pro_rata"]),
    )
    def ask_for_what_the_rules_refund(self, who: int, days: int, after: str) -> None:
        """The action compares what was shown with what it booked, and may not find a difference.

        A lapse is noticed first: that is the one thing that may change what was shown.
        """
        held = Subscription.objects.filter(account=self.customers[who]).first()
        if held is None:
            return
        now, rules = self.till.now, Rules(full_days=days, after=after)
        orders.freeze_due(now=now, actor=OWNER)
        found = quote(held, at=now, decide=by_rules(held, rules, now=now))
        with suppress(NothingToRefund, plans.NothingToEnd):
            refund_on_request(
                subscription=held, at=now, quoted=found.owed, rules=rules, now=now, actor=CUSTOMER
            )

    @rule()
    def send_back_what_no_order_took(self) -> None:
        for payment in Payment.objects.filter(outcome="unallocated"):
            actions.refund_unallocated(payment=payment, now=self.till.now, actor=OWNER)

    @rule()
    def pay_a_refund(self) -> None:
        refund = Refund.objects.filter(state="queued").first()
        if refund is not None:
            actions.mark_refund_paid(refund=refund, reference="B-1", now=self.till.now, actor=OWNER)
            self.went += refund.amount_minor

    @rule(seconds=_STEPS)
    def time_passes(self, seconds: int) -> None:
        self.till.now += timedelta(seconds=seconds)
        fleet_tasks.run(self.till.now)
        order_tasks.run(self.till.now)
        tasks.run(self.till.now)

    @rule(seconds=st.sampled_from([1, 600, 3 * 86_400]))
    def clock_is_put_back(self, seconds: int) -> None:
        self.till.now -= timedelta(seconds=seconds)
        order_tasks.run(self.till.now)

    @invariant()
    def books_are_sound(self) -> None:
        assert_sound()

    @invariant()
    def all_that_came_is_somewhere(self) -> None:
        held = books()
        assert held.get("assets:bank", 0) == self.came - self.went
        somewhere = sum(
            minor for name, minor in held.items() if name.startswith(("liabilities:", "income:"))
        )
        assert self.came + held.get("expenses:promotions", 0) == somewhere + self.went

    @invariant()
    def what_was_sold_is_earned_owed_or_still_to_be_given(self) -> None:
        fulfilled = Order.objects.filter(state="fulfilled")
        for order in fulfilled:
            held = order_books([order])[order.code]
            assert held.earned_minor + held.ended_minor <= order.amount_minor
            if order.cut_at is not None:
                owed = earned_of(order, self.till.now + timedelta(days=999)) + held.ended_minor
                assert owed == order.amount_minor

    @invariant()
    def orders_stand_still_as_long_as_periods(self) -> None:
        """What a customer holds and what their orders earn are counted apart, and agree."""
        for order in Order.objects.filter(state="fulfilled"):
            posted = order.subscription.periods.order_by("pk")
            bought = posted.get(source_code=order.code)
            since = [row for row in posted if row.kind == "freeze" and row.pk > bought.pk]
            stood = sum(((row.ends_at - row.starts_at) for row in since if row.ends_at), _NONE)
            assert order.frozen <= stood
            if order.cut_at is None and frozen_from(posted) is not None:
                assert order.frozen_from in {None, frozen_from(posted)}

    @invariant()
    def nobody_gets_more_back_than_was_paid(self) -> None:
        sums = Payment.objects.annotate(back=Sum("refunds__amount_minor"))
        assert not sums.filter(back__gt=F("received_minor")).exists()
        assert not Order.objects.filter(refund_due_minor__gt=F("refundable_minor")).exists()


def test_books_of_a_busy_shop_balance_after_every_step(shop: Shop) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call] -- hypothesis leaves it so
        lambda: BusyShop(shop),
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
