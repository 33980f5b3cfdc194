"""A dispute is lost while what its payment bought is ended, runs out or is paid; or is killed.

Whoever is first, what was lost is nobody's, and what was not stays the customer's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ferriage.core import audit
from ferriage.core.money import Money
from ferriage.orders import actions, balance
from ferriage.orders.models import Balance, BalanceClaim, Order
from ferriage.payments import recalls
from ferriage.payments.models import Dispute, Payment
from killing import kill_at_every_write
from till import THREE_DAYS, Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from clerks import Clerks
    from ferriage.config import Config
    from shop import Shop

CLERKS = 8


@pytest.fixture
def till(own_database: Config, make_shop: Callable[[datetime], Shop], now: datetime) -> Till:  # noqa: ARG001 -- rows go there
    shop = make_shop(now)
    shop.approve_for_years()
    return Till(shop, now)


def recalled(till: Till, order: Order, minor: int) -> Dispute:
    """Let the bank take a part of what an order brought; it is not decided yet."""
    payment = Payment.objects.get(order=order, outcome="settled")
    return recalls.take_back(
        payment=payment,
        money=Money(minor, "CNY"),
        reference=f"L-{payment.code}",
        from_account="assets:bank",
        now=till.now,
        actor=OWNER,
    )


def from_balance(till: Till, order: Order) -> Order:
    return actions.pay_from_balance(order=order, now=till.now, actor=OWNER)


def test_term_is_ended_while_its_money_is_lost(clerks: Clerks, till: Till) -> None:
    account, now = till.shop.account(), till.now.isoformat()
    top_up = till.top_up(account, 1000)
    order = from_balance(till, till.order(account=account))
    dispute = recalled(till, top_up, 600)

    acts = [("lose", {"dispute": dispute.code, "now": now})] * (CLERKS // 2)
    acts += [("end", {"order": order.code, "at": now, "now": now})] * (CLERKS // 2)
    outcomes = clerks.act(*acts)

    assert sorted(outcomes) == ["False"] * 3 + ["NothingToEnd"] * 3 + ["True", "ended"]
    assert balance.available(account, "CNY") == 400
    assert books() == {"assets:bank": 400, "liabilities:credits": 400}
    assert_sound()


def test_order_runs_out_while_what_it_reserved_is_lost(clerks: Clerks, till: Till) -> None:
    account = till.shop.account()
    top_up = till.top_up(account, 1000)
    from_balance(till, till.order(12, account=account))
    dispute = recalled(till, top_up, 600)
    then = (till.now + THREE_DAYS).isoformat()

    acts = [("lose", {"dispute": dispute.code, "now": then}), ("expire", {"now": then})]
    outcomes = clerks.act(*acts * (CLERKS // 2))

    assert sorted(outcomes) == ["0"] * 3 + ["1"] + ["False"] * 3 + ["True"]
    assert balance.available(account, "CNY") == 400
    assert books() == {"assets:bank": 400, "liabilities:credits": 400}
    assert_sound()


def test_order_is_paid_or_its_money_is_lost_first(clerks: Clerks, till: Till) -> None:
    """Either it is paid and ends again, or it is never paid with that money."""
    account, now = till.shop.account(), till.now.isoformat()
    top_up = till.top_up(account, 1000)
    order = till.order(12, account=account)
    from_balance(till, order)
    dispute = recalled(till, top_up, 1000)
    paid = {"reference": till.transfer(order).reference, "number": "B-1", "minor": 8000}

    clerks.act(("lose", {"dispute": dispute.code, "now": now}), ("book", {**paid, "now": now}))

    order.refresh_from_db()
    claim = BalanceClaim.objects.get()
    assert Balance.objects.get().reserved_minor == 0
    assert balance.balance(account, "CNY") == 0
    if order.state == "fulfilled":
        assert (order.credit_minor, claim.missing_minor) == (1000, 1000)
    else:
        assert (order.credit_minor, claim.missing_minor) == (0, 0)
        assert books() == {"assets:bank": 8000, "liabilities:unallocated": 8000}
    assert_sound()


@pytest.mark.parametrize("spent", ["fulfilled", "open"])
def test_lost_top_up_that_was_spent_is_taken_once_however_its_clerk_dies(
    clerks: Clerks, till: Till, spent: str
) -> None:
    months = 1 if spent == "fulfilled" else 12

    def prepare() -> dict[str, Any]:
        account = till.shop.account()
        top_up = till.top_up(account, 1000)
        assert from_balance(till, till.order(months, account=account)).state == spent
        return {"dispute": recalled(till, top_up, 1000).code}

    for _how in kill_at_every_write(clerks, till, "lose", prepare):
        assert not Balance.objects.exclude(amount_minor=0, reserved_minor=0).exists()
        assert not BalanceClaim.objects.filter(released_at=None).exists()
        assert books() == {}
        assert_sound()
    assert audit.first_broken() is None
