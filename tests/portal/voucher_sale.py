"""Vouchers as a customer gets hold of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.core.money import Money
from ferriage.payments import actions as payments
from yard import OWNER

if TYPE_CHECKING:
    from shop import Shop


def issue_voucher(shop: Shop, months: int) -> str:
    """Issue a voucher that somebody paid the whole price for, and return its code."""
    worth = Money(shop.prices[months].amount_minor, "CNY")
    issued = payments.issue_vouchers(
        name="test",
        plan=shop.plan,
        term_months=months,
        money=worth,
        count=1,
        kind="sold",
        paid_per_code=worth,
        now=shop.now,
        actor=OWNER,
    )
    return issued.codes[0]
