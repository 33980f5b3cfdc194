"""Eight processes spend one balance and use one coupon; one is killed before each write."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from ferriage.core import audit
from ferriage.core.actors import CUSTOMER
from ferriage.ledger.models import LedgerTransaction
from ferriage.orders import actions, balance
from ferriage.orders.actions import Grant
from ferriage.orders.models import Balance, Coupon, Order
from ferriage.payments import payback
from ferriage.payments.models import Refund
from ferriage.plans.models import Period
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
MUCH = 100_000


@pytest.fixture
def till(own_database: Config, make_shop: Callable[[datetime], Shop], now: datetime) -> Till:  # noqa: ARG001 -- rows go there
    shop = make_shop(now)
    shop.approve_for_years()
    return Till(shop, now)


# --- at once ----------------------------------------------------------------------------------


def test_eight_orders_spend_a_balance_that_is_enough_for_three(clerks: Clerks, till: Till) -> None:
    account = till.shop.account()
    till.top_up(account, 3000)
    several = [till.order(1) for _clerk in range(CLERKS)]
    # One account orders the same thing once while it is open; here it has eight orders.
    Order.objects.filter(pk__in=[order.pk for order in several]).update(account=account)
    now = till.now.isoformat()

    outcomes = clerks.act(
        *[("reserve", {"order": order.code, "minor": 1000, "now": now}) for order in several]
    )

    assert Counter(outcomes) == {"1000": 3, "BalanceTooLow": CLERKS - 3}
    assert Order.objects.filter(kind="term", state="fulfilled").count() == 3
    assert Period.objects.count() == 3
    assert books() == {"assets:bank": 3000, "liabilities:unearned": 3000}
    assert audit.first_broken() is None
    assert_sound()


def test_one_order_paid_eight_times_from_the_balance_is_paid_once(
    clerks: Clerks, till: Till
) -> None:
    account = till.shop.account()
    till.top_up(account, 9000)
    order = till.order(1, account=account)

    how = {"order": order.code, "now": till.now.isoformat()}
    outcomes = clerks.act(*[("credit", how)] * CLERKS)

    assert Counter(outcomes) == {"fulfilled": 1, "NotFromBalance": CLERKS - 1}
    assert balance.balance(account, "CNY") == 8000
    assert_sound()


def test_topup_is_spent_or_sent_back_and_never_both(clerks: Clerks, till: Till) -> None:
    account = till.shop.account()
    topup = till.top_up(account, 1000)
    order = till.order(1, account=account)
    now = till.now.isoformat()

    acts = [("credit", {"order": order.code, "now": now})] * (CLERKS // 2)
    acts += [("return_topup", {"order": topup.code, "now": now})] * (CLERKS // 2)
    clerks.act(*acts)

    order.refresh_from_db()
    assert (order.state == "fulfilled") != Refund.objects.exists()
    assert balance.balance(account, "CNY") == 0
    assert_sound()


def test_balance_is_asked_back_once_by_eight_presses_of_one_form(
    clerks: Clerks, till: Till
) -> None:
    account = till.shop.account()
    till.top_up(account, 1000)
    seen = payback.offers(account, with_changes=True)[0].seen
    how = {"account": account.pk, "minor": 100, "seen": seen, "now": till.now.isoformat()}

    outcomes = clerks.act(*[("ask_back", how)] * CLERKS)

    assert Counter(outcomes) == {"100": 1, "StaleState": CLERKS - 1}
    assert [refund.amount_minor for refund in Refund.objects.all()] == [100]
    assert balance.balance(account, "CNY") == 900
    assert_sound()


def test_balance_is_spent_or_asked_back_and_never_both(clerks: Clerks, till: Till) -> None:
    account = till.shop.account()
    till.top_up(account, 1000)
    order = till.order(1, account=account)
    seen = payback.offers(account, with_changes=True)[0].seen
    now = till.now.isoformat()

    back = {"account": account.pk, "minor": 1000, "seen": seen, "now": now}
    acts = [("credit", {"order": order.code, "now": now}), ("ask_back", back)]
    clerks.act(*acts * (CLERKS // 2))

    order.refresh_from_db()
    assert (order.state == "fulfilled") != Refund.objects.exists()
    assert balance.balance(account, "CNY") == 0
    assert_sound()


def test_coupon_for_three_uses_is_used_three_times_by_eight(clerks: Clerks, till: Till) -> None:
    grant = Grant(off_bps=5000, most_uses=3, most_per_account=None, valid_from=till.now)
    actions.make_coupon(word="SPRING", grant=grant, note="", now=till.now, actor=OWNER)
    price, now = till.shop.prices[1].code, till.now.isoformat()

    outcomes = clerks.act(
        *[
            (
                "order",
                {
                    "account": till.shop.account().pk,
                    "price": price,
                    "coupon": "spring",
                    "now": now,
                },
            )
            for _clerk in range(CLERKS)
        ]
    )

    assert Counter(outcomes) == {"open": 3, "CouponNotUsable": CLERKS - 3}
    assert Coupon.objects.get().uses == Order.objects.filter(discount_minor=500).count() == 3
    assert_sound()


def test_coupons_and_reserves_are_given_back_once_by_eight_workers(
    clerks: Clerks, till: Till
) -> None:
    grant = Grant(off_bps=5000, most_uses=9, most_per_account=None, valid_from=till.now)
    coupon = actions.make_coupon(word="SPRING", grant=grant, note="", now=till.now, actor=OWNER)
    account = till.shop.account()
    till.top_up(account, 300)
    order = actions.place(
        account=account,
        price=till.shop.prices[1],
        place="XD",
        coupon="SPRING",
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )
    actions.pay_from_balance(order=order, now=till.now, actor=CUSTOMER)

    outcomes = clerks.act(*[("expire", {"now": (till.now + THREE_DAYS).isoformat()})] * CLERKS)

    assert Counter(outcomes) == {"1": 1, "0": CLERKS - 1}
    coupon.refresh_from_db()
    assert (coupon.uses, balance.available(account, "CNY")) == (0, 300)
    assert_sound()


# --- killed -----------------------------------------------------------------------------------


def test_order_from_the_balance_is_paid_once_however_its_clerk_dies(
    clerks: Clerks, till: Till
) -> None:
    account = till.shop.account()
    till.top_up(account, MUCH)
    sold: list[Order] = []

    def prepare() -> dict[str, Any]:
        sold.append(till.order(account=account))
        return {"order": sold[-1].code}

    for _how in kill_at_every_write(clerks, till, "credit", prepare):
        order = Order.objects.get(pk=sold[-1].pk)
        assert (order.state, order.credit_minor) == ("fulfilled", 1000)
        posted = LedgerTransaction.objects.filter(source_code=order.code)
        assert [row.kind for row in posted] == ["balance-spent"]
        assert Period.objects.filter(source_code=order.code).count() == 1
        head = Balance.objects.get()
        assert (head.amount_minor, head.reserved_minor) == (MUCH - 1000 * len(sold), 0)

    assert books() == {
        "assets:bank": MUCH,
        "liabilities:credits": MUCH - 1000 * len(sold),
        "liabilities:unearned": 1000 * len(sold),
    }
    assert audit.first_broken() is None


def test_topup_stands_on_the_balance_once_however_its_clerk_dies(
    clerks: Clerks, till: Till
) -> None:
    account = till.shop.account()
    made: list[Order] = []

    def prepare() -> dict[str, Any]:
        made.append(till.order_topup(account, 700 + len(made)))
        reference = till.transfer(made[-1]).reference
        return {"reference": reference, "number": f"B-{len(made)}", "minor": 699 + len(made)}

    for _how in kill_at_every_write(clerks, till, "book", prepare):
        total = sum(order.amount_minor for order in made)
        assert balance.balance(account, "CNY") == total
        assert books() == {"assets:bank": total, "liabilities:credits": total}


def test_topup_is_sent_back_once_however_its_clerk_dies(clerks: Clerks, till: Till) -> None:
    account = till.shop.account()
    made: list[Order] = []

    def prepare() -> dict[str, Any]:
        made.append(till.top_up(account, 700 + len(made)))
        return {"order": made[-1].code}

    for _how in kill_at_every_write(clerks, till, "return_topup", prepare):
        refund = Refund.objects.get(payment__order=made[-1])
        assert refund.amount_minor == made[-1].amount_minor
        assert balance.balance(account, "CNY") == 0


def test_balance_is_asked_back_once_however_its_clerk_dies(clerks: Clerks, till: Till) -> None:
    account = till.shop.account()
    minors: list[int] = []

    def prepare() -> dict[str, Any]:
        minors.append(700 + len(minors))
        till.top_up(account, minors[-1])
        seen = payback.offers(account, with_changes=True)[0].seen
        return {"account": account.pk, "minor": minors[-1], "seen": seen}

    for _how in kill_at_every_write(clerks, till, "ask_back", prepare):
        assert [one.amount_minor for one in Refund.objects.order_by("pk")] == minors
        assert balance.balance(account, "CNY") == 0
