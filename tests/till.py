"""The counter of a shop: orders, transfers, vouchers, and what must hold of the books after each.

Use the fixture `till`; name `shop`, `law` and `make_yard` beside it in your conftest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from django.db.models import Sum

from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.ledger import queries as ledger
from ferriage.orders import actions as orders
from ferriage.payments import actions as payments
from ferriage.payments import queries
from ferriage.payments.models import Payment
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.orders.models import Order
    from ferriage.payments.capture import Captured
    from ferriage.plans.models import Plan
    from shop import Shop

THREE_DAYS = timedelta(hours=72)


@dataclass
class Till:
    """Sells the shop's plan; every step is the real action. `now` may be moved on."""

    shop: Shop
    now: datetime
    numbers: Iterator[int] = field(default_factory=count)

    def order(self, months: int = 1, *, account: Account | None = None) -> Order:
        return orders.place(
            account=account or self.shop.account(),
            price=self.shop.prices[months],
            place="XD",
            now=self.now,
            expires_at=self.now + THREE_DAYS,
            actor=CUSTOMER,
        )

    def transfer(self, order: Order) -> Payment:
        return payments.start_bank(order=order, now=self.now, actor=CUSTOMER)

    def receive(
        self,
        reference: str | None,
        minor: int,
        *,
        currency: str = "CNY",
        number: str = "",
        payer_place: str = "",
    ) -> Captured:
        return payments.book_receipt(
            reference=reference or "",
            transaction_id=number or f"T{next(self.numbers)}",
            money=Money(minor, currency),
            payer_place=payer_place,
            now=self.now,
            actor=OWNER,
        )

    def sell(self, months: int = 1, *, account: Account | None = None) -> Order:
        """Place an order and pay it by bank."""
        order = self.order(months, account=account)
        captured = self.receive(self.transfer(order).reference, order.amount_minor)
        assert captured.outcome == "settled"
        order.refresh_from_db()
        return order

    def order_topup(self, account: Account, minor: int) -> Order:
        return orders.place_topup(
            account=account,
            money=Money(minor, "CNY"),
            place="XD",
            now=self.now,
            expires_at=self.now + THREE_DAYS,
            actor=CUSTOMER,
        )

    def top_up(self, account: Account, minor: int) -> Order:
        """Put an amount on an account's balance, by bank."""
        order = self.order_topup(account, minor)
        assert self.receive(self.transfer(order).reference, minor).outcome == "settled"
        order.refresh_from_db()
        return order

    def voucher(self, months: int = 1, *, paid: int = 0, plan: Plan | None = None) -> str:
        """Issue one voucher: free, or sold for an amount."""
        return self.vouchers(1, months, paid=paid, plan=plan)[0]

    def vouchers(
        self, number: int, months: int = 1, *, paid: int = 0, plan: Plan | None = None
    ) -> list[str]:
        return payments.issue_vouchers(
            name="Shelf",
            plan=plan or self.shop.plan,
            term_months=months,
            money=Money(self.shop.prices[months].amount_minor, "CNY"),
            count=number,
            kind="sold" if paid else "free",
            paid_per_code=Money(paid, "CNY"),
            now=self.now,
            actor=OWNER,
        ).codes

    def redeem(self, order: Order, code: str) -> Captured:
        return payments.redeem_voucher(order=order, code=code, now=self.now, actor=CUSTOMER)

    def end(self, order: Order, at: datetime) -> Order:
        """End the order's subscription at an instant; returns the order as it is then."""
        order.refresh_from_db()
        assert order.subscription is not None
        orders.end_subscription(
            subscription=order.subscription, at=at, reason="Asked", now=self.now, actor=OWNER
        )
        order.refresh_from_db()
        return order


def books() -> dict[str, int]:
    """Return what every account in CNY holds, the side it grows on positive; zeros left out."""
    return {
        row.name: row.balance_minor
        if row.name.startswith(("assets:", "expenses:"))
        else -row.balance_minor
        for row in ledger.trial_balance()
        if row.currency == "CNY" and row.balance_minor
    }


def assert_sound() -> None:
    """Assert what must hold at every commit: books balance, all money has exactly one outcome."""
    found = queries.check()
    assert found == [], found
    assert sum(row.balance_minor for row in ledger.trial_balance()) == 0
    captured = Payment.objects.filter(state=Payment.State.CAPTURED)
    assert not captured.exclude(
        outcome__in=[
            "settled",
            "refund",
            "unallocated",
            "credited",
            "returned",
            "reseller",
            "charged-back",
            "made-good",
        ]
    ).exists()
    assert received() == sum(
        payment.received_minor or 0 for payment in captured.filter(provider="bank", currency="CNY")
    )


def received() -> int:
    """Return what was booked at the bank or over the counter in CNY, from the ledger alone."""
    rows = ledger.Transfer.objects.filter(
        debit__name__regex="^assets:(bank|cash)", transaction__kind="receipt", currency="CNY"
    )
    return rows.aggregate(total=Sum("amount_minor"))["total"] or 0


@pytest.fixture
def till(shop: Shop) -> Till:
    shop.approve_for_years()
    return Till(shop, shop.now)
