"""Another plan of the shop's service, and what a customer does between the two.

service "Ferry" ─┬─ "Five devices": CNY 10, 50, 90, 120 for 1, 6, 12, 24 months
                 └─ "Ten devices":  CNY 30, 150, 270, 360, twice as fast, on the same line
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.devices.models import UsageMonth
from ferriage.orders import actions
from ferriage.plans import actions as plans
from ferriage.plans import quota
from ferriage.plans.models import AddOnPrice, Plan
from shop import PRICES
from till import THREE_DAYS, Till
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.orders.models import Order
    from ferriage.plans.models import Price, Subscription

TIMES = 3
GB = 10**9


@dataclass(frozen=True)
class Dearer:
    """The dearer plan with its prices, and the price of a place for a device on either plan."""

    till: Till
    plan: Plan
    prices: dict[int, Price]
    slots: dict[int, AddOnPrice]

    def place(self, account: Account, months: int = 12) -> Order:
        """Order a term of this plan for an account, now."""
        return actions.place(
            account=account,
            price=self.prices[months],
            place="XD",
            now=self.till.now,
            expires_at=self.till.now + THREE_DAYS,
            actor=CUSTOMER,
        )

    def change(
        self,
        subscription: Subscription,
        months: int = 12,
        *,
        price: Price | None = None,
        now: datetime | None = None,
    ) -> Order:
        """Order this plan (or another price) for a subscription, now."""
        now = now or self.till.now
        return actions.place_change(
            account=subscription.account,
            subscription=subscription,
            price=price or self.prices[months],
            place="XD",
            now=now,
            expires_at=now + THREE_DAYS,
            actor=CUSTOMER,
        )

    def pay(self, order: Order) -> str:
        """Pay what is due by bank; returns what became of the money."""
        outcome = self.till.receive(self.till.transfer(order).reference, order.due_minor).outcome
        order.refresh_from_db()
        return outcome

    def slot(self, term: Order) -> Order:
        """Order one more place for a term."""
        assert term.account is not None
        return actions.place_addon(
            account=term.account,
            term=term,
            price=self.slots[term.plan_sold.pk],
            place="XD",
            now=self.till.now,
            expires_at=self.till.now + THREE_DAYS,
            actor=CUSTOMER,
        )


def sell_packs(till: Till, *, quota: int = 100 * GB, pack: int = 20 * GB) -> AddOnPrice:
    """Give the shop's plan a quota, and sell packs to it for CNY 4."""
    Plan.objects.filter(pk=till.shop.plan.pk).update(quota_bytes=quota)
    till.shop.plan.refresh_from_db()
    return plans.set_addon_price(
        plan=till.shop.plan,
        kind=AddOnPrice.Kind.QUOTA_PACK,
        quota_bytes=pack,
        money=Money(400, "CNY"),
        now=till.shop.now,
        actor=OWNER,
    )


def order_pack(till: Till, term: Order, price: AddOnPrice) -> Order:
    """Order a quota pack for a term."""
    assert term.account is not None
    return actions.place_addon(
        account=term.account,
        term=term,
        price=price,
        place="XD",
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )


def use(subscription: Subscription, used: int, now: datetime) -> UsageMonth:
    """Let a subscription have used so many bytes of the month that an instant lies in."""
    begins_at, ends_at = quota.stretch_of(subscription, now)
    month, _made = UsageMonth.objects.update_or_create(
        subscription=subscription,
        begins_at=begins_at,
        ends_at=ends_at,
        defaults={"bytes_used": used, "used_at": now},
    )
    return month


def open_dearer(till: Till, *, slot_minor: int = 300) -> Dearer:
    """Add the dearer plan to a shop."""
    shop = till.shop
    plan = plans.create_plan(
        service=shop.service,
        name="Ten devices",
        device_limit=10,
        rate_down_bps=200_000_000,
        rate_up_bps=200_000_000,
        now=shop.now,
        actor=OWNER,
    )
    plans.add_offer(plan=plan, line=shop.line, now=shop.now, actor=OWNER)
    prices = {
        months: plans.set_price(
            plan=plan,
            term_months=months,
            money=Money(amount * TIMES, "CNY"),
            now=shop.now,
            actor=OWNER,
        )
        for months, amount in PRICES.items()
    }
    slots = {
        one.pk: plans.set_addon_price(
            plan=one,
            kind=AddOnPrice.Kind.DEVICE_SLOT,
            money=Money(slot_minor, "CNY"),
            now=shop.now,
            actor=OWNER,
        )
        for one in (shop.plan, plan)
    }
    return Dearer(till, plan, prices, slots)


def held_by(order: Order) -> Subscription:
    """Return the subscription that a fulfilled order went onto, as it is now."""
    order.refresh_from_db()
    assert order.subscription is not None
    return order.subscription
