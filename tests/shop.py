"""A whole shop in the invented place, from which tests of plans, devices, orders, pages start.

    party ── approval ── line ── offer ── plan ── service
                          │                └── prices: CNY 10, 50, 90, 120 for 1, 6, 12, 24 months
                        pool ── gateway "alpha"

Every row is made by the action that makes it in a real shop. Use the fixture `shop`, or
`make_shop(now)` for another instant; name them, `law` and `make_yard` in your conftest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from ferriage.accounts import actions as accounts
from ferriage.core.actors import CUSTOMER
from ferriage.core.codes import new_code
from ferriage.core.db import writing
from ferriage.core.money import Money
from ferriage.devices import actions as devices
from ferriage.devices.keys import new_keypair
from ferriage.plans import actions as plans
from ferriage.plans.several import proposed
from yard import ISSUED, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.devices.models import Device
    from ferriage.fleet.models import Line, Pool
    from ferriage.plans.models import Plan, Price, Service, Subscription
    from yard import EnrolledGateway, Yard

PRICES = {1: 1000, 6: 5000, 12: 9000, 24: 12000}


@dataclass(frozen=True)
class Shop:
    """A shop that sells one plan on one open line; `prices` are by term in months."""

    yard: Yard
    line: Line
    service: Service
    plan: Plan
    prices: dict[int, Price]
    gateway: EnrolledGateway
    now: datetime

    @property
    def pool(self) -> Pool:
        return self.line.pools.get()

    def approve_for_years(self) -> None:
        """Add an approval until 2030, so that every term may be sold."""
        self.yard.approve(self.line, replace(ISSUED, valid_to=date(2030, 12, 31)))

    def account(self, place: str = "XD") -> Account:
        """Open a customer's account; `accounts.open_account` gives its number too."""
        return accounts.open_account(now=self.now, actor=CUSTOMER, place=place).account

    def add_plan(self, name: str, *lines: Line, service: Service | None = None) -> Plan:
        """Add a plan without prices, offered on these lines."""
        plan = plans.create_plan(
            service=service or self.service, name=name, now=self.now, actor=OWNER
        )
        for line in lines:
            plans.add_offer(plan=plan, line=line, now=self.now, actor=OWNER)
        return plan

    def extend(
        self, account: Account, months: int = 1, *, at: datetime | None = None
    ) -> Subscription:
        """Post a term as a settled order does, and tell the gateways. No money moves."""
        at = at or self.now
        with writing():  # as settling does, so that two at once see each other
            extension = plans.extend(
                account=account,
                plan=self.plan,
                subscription=proposed(account, self.plan, now=at),
                term_months=months,
                source_code=new_code("ord"),
                now=at,
                actor=CUSTOMER,
            )
        devices.refresh(subscription=extension.subscription, now=at, actor=CUSTOMER)
        return extension.subscription

    def holder(self, months: int = 1) -> Subscription:
        """Return the subscription of a new customer who holds a term."""
        return self.extend(self.account(), months)

    def device(self, subscription: Subscription, *, at: datetime | None = None) -> Device:
        """Register a device with a fresh key."""
        return devices.add_device(
            subscription=subscription,
            public_key=new_keypair().public,
            now=at or self.now,
            actor=CUSTOMER,
        )


def open_shop(yard: Yard) -> Shop:
    """Open the shop in a yard."""
    line = yard.open_line()
    service = plans.create_service(slug="ferry", name="Ferry", now=yard.now, actor=OWNER)
    plan = plans.create_plan(service=service, name="Five devices", now=yard.now, actor=OWNER)
    prices = {
        months: plans.set_price(
            plan=plan, term_months=months, money=Money(amount, "CNY"), now=yard.now, actor=OWNER
        )
        for months, amount in PRICES.items()
    }
    plans.add_offer(plan=plan, line=line, now=yard.now, actor=OWNER)
    return Shop(yard, line, service, plan, prices, yard.gateway(line), yard.now)


@pytest.fixture
def make_shop(make_yard: Callable[[datetime], Yard]) -> Callable[[datetime], Shop]:
    """Build a shop in the test's database, as of an instant."""
    return lambda now: open_shop(make_yard(now))


@pytest.fixture
def shop(db: None, make_shop: Callable[[datetime], Shop], now: datetime) -> Shop:  # noqa: ARG001 -- asks for the database
    return make_shop(now)
