from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.core import codes
from ferriage.core.actors import CUSTOMER
from ferriage.core.models import AuditEntry
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.orders import actions as orders
from ferriage.orders import tasks as order_tasks
from ferriage.payments import actions, tasks
from ferriage.payments.models import Payment, Refund, Voucher, VoucherBatch
from ferriage.payments.providers.voucher.actions import (
    MOST_CODES,
    BatchWrong,
    UsedVoucher,
    VoucherForOtherPlan,
    VoucherNotTaken,
    WrongVoucher,
)
from ferriage.plans import actions as plans
from ferriage.plans.models import Period
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from ferriage.orders.models import Order

PRICE = 1000


def test_batch_keeps_no_code_only_its_hash(till: Till) -> None:
    made = till.vouchers(3, paid=PRICE)

    assert all(codes.is_code(code) for code in made)
    assert len(set(made)) == 3
    rows = [*Voucher.objects.values_list(), *VoucherBatch.objects.values_list()]
    entry = AuditEntry.objects.get(action="vouchers.issued")
    assert [code for code in made if code in f"{rows} {entry.details}"] == []


def test_sold_batch_is_owed_to_whoever_holds_its_codes(till: Till) -> None:
    till.vouchers(3, paid=800)

    assert books() == {"assets:bank": 2400, "liabilities:vouchers": 2400}
    assert_sound()


def test_free_batch_costs_nothing_until_it_is_used(till: Till) -> None:
    till.vouchers(3)

    assert books() == {}
    assert_sound()


@pytest.mark.parametrize(
    ("paid", "then"),
    [
        (0, {"expenses:promotions": PRICE, "liabilities:unearned": PRICE}),
        (PRICE, {"assets:bank": PRICE, "liabilities:unearned": PRICE}),
        (800, {"assets:bank": 800, "expenses:promotions": 200, "liabilities:unearned": PRICE}),
        (1300, {"assets:bank": 1300, "income:vouchers": 300, "liabilities:unearned": PRICE}),
    ],
)
def test_voucher_pays_the_order_whatever_was_paid_for_it(
    till: Till, paid: int, then: dict[str, int]
) -> None:
    code = till.voucher(paid=paid)
    order = till.order()

    captured = till.redeem(order, code)

    order.refresh_from_db()
    assert captured.outcome == "settled"
    assert (order.state, order.refundable_minor) == ("fulfilled", min(paid, PRICE))
    assert books() == then
    assert_sound()


@pytest.mark.parametrize(
    "write",
    [
        str.lower,
        codes.grouped,
        lambda code: f"  {codes.grouped(code)}\n",
        lambda code: code.replace("0", "O").replace("1", "l"),
        " ".join,
        lambda code: code.translate({ord(str(digit)): chr(0xFF10 + digit) for digit in range(10)}),
    ],
)
def test_code_is_taken_as_people_write_it(till: Till, write: Callable[[str], str]) -> None:
    code = till.voucher()

    assert till.redeem(till.order(), write(code)).outcome == "settled"


@pytest.mark.parametrize("code", ["", "0" * 15, "0" * 16, "U" * 16, "0" * 17, "voucher please"])
def test_wrong_code_changes_nothing(till: Till, code: str) -> None:
    till.voucher()
    order = till.order()

    with pytest.raises(WrongVoucher):
        till.redeem(order, code)

    _assert_unused(order)


def test_voucher_pays_one_order(till: Till) -> None:
    code = till.voucher()
    first, second = till.order(), till.order()
    till.redeem(first, code)
    before = books()

    with pytest.raises(UsedVoucher):
        till.redeem(second, code)

    second.refresh_from_db()
    assert second.state == "open"
    assert books() == before
    assert Payment.objects.count() == 1


def test_repeating_it_for_the_same_order_changes_nothing(till: Till) -> None:
    code, order = till.voucher(paid=PRICE), till.order()
    till.redeem(order, code)
    before = books()

    assert till.redeem(order, code).outcome == "duplicate"

    assert books() == before
    assert Period.objects.count() == 1


def test_voucher_for_another_term_says_what_it_is_for(till: Till) -> None:
    code, order = till.voucher(6), till.order(1)

    with pytest.raises(VoucherForOtherPlan, match="6 months of Five devices of Ferry"):
        till.redeem(order, code)

    _assert_unused(order)


def test_voucher_for_another_plan_says_what_it_is_for(till: Till) -> None:
    other = till.shop.add_plan("Ten devices", till.shop.line)
    code, order = till.voucher(plan=other), till.order()

    with pytest.raises(VoucherForOtherPlan, match="Ten devices of Ferry"):
        till.redeem(order, code)

    _assert_unused(order)


def expired(till: Till, order: Order) -> None:
    till.now = order.expires_at
    order_tasks.run(till.now)


def overdue(till: Till, order: Order) -> None:
    till.now = order.expires_at


def cancelled(till: Till, order: Order) -> None:
    orders.cancel(order=order, now=till.now, actor=CUSTOMER)


def line_held(till: Till, order: Order) -> None:  # noqa: ARG001 -- one form for all
    fleet.hold_line(line=till.shop.line, reason="Cable cut", now=till.now, actor=OWNER)


@pytest.mark.parametrize(
    ("become", "reason"),
    [
        (expired, "order-expired"),
        (overdue, "order-expired"),
        (cancelled, "order-cancelled"),
        (line_held, "not-authorised"),
    ],
)
def test_order_that_cannot_be_settled_leaves_the_voucher_unused(
    till: Till, become: Callable[[Till, Order], None], reason: str
) -> None:
    code, order = till.voucher(), till.order()
    become(till, order)
    order.refresh_from_db()

    with pytest.raises(VoucherNotTaken) as caught:
        till.redeem(order, code)

    assert caught.value.reason == reason
    _assert_unused(order)


def test_fulfilled_order_takes_no_voucher(till: Till) -> None:
    order, code = till.sell(), till.voucher()

    with pytest.raises(VoucherNotTaken):
        till.redeem(order, code)

    assert Voucher.objects.filter(used_at=None).count() == 1
    assert_sound()


def test_voucher_bought_before_a_price_change_still_pays(till: Till) -> None:
    code = till.voucher(paid=PRICE)
    price = plans.set_price(
        plan=till.shop.plan, term_months=1, money=Money(1500, "CNY"), now=till.now, actor=OWNER
    )
    till.shop.prices[1] = price
    order = till.order()

    till.redeem(order, code)

    assert books() == {
        "assets:bank": PRICE,
        "expenses:promotions": 500,
        "liabilities:unearned": 1500,
    }
    assert_sound()


@pytest.mark.parametrize(("paid", "owed"), [(0, 0), (800, 542), (PRICE, 678), (1300, 678)])
def test_early_end_owes_the_paid_part_and_takes_the_gift_back(
    till: Till, paid: int, owed: int
) -> None:
    order, code = till.order(), till.voucher(paid=paid)
    till.redeem(order, code)
    till.now += timedelta(days=10)

    order = till.end(order, till.now)
    tasks.run(till.now)
    order_tasks.run(till.now)

    assert order.refund_due_minor == owed
    assert sum(refund.amount_minor for refund in Refund.objects.all()) == owed
    held = books()
    assert held.get("expenses:promotions", 0) == max(PRICE - paid, 0) - (678 - owed)
    assert held["income:ferry"] == 322
    assert_sound()


def _batch(till: Till, **changes: object) -> None:
    values: dict[str, object] = {
        "name": "Shelf",
        "plan": till.shop.plan,
        "term_months": 1,
        "money": Money(PRICE, "CNY"),
        "count": 1,
        "kind": "sold",
        "paid_per_code": Money(PRICE, "CNY"),
        "now": till.now,
        "actor": OWNER,
    }
    actions.issue_vouchers(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": " "},
        {"count": 0},
        {"count": MOST_CODES + 1},
        {"term_months": 0},
        {"kind": "lent"},
        {"kind": "free"},
        {"paid_per_code": Money(0, "CNY")},
        {"paid_per_code": Money(-1, "CNY")},
        {"paid_per_code": Money(PRICE, "EUR")},
        {"money": Money(-1, "CNY")},
    ],
)
def test_batch_that_does_not_add_up_is_refused(till: Till, changes: dict[str, object]) -> None:
    with pytest.raises(BatchWrong):
        _batch(till, **changes)

    assert VoucherBatch.objects.count() == 0
    assert books() == {}


def _assert_unused(order: Order) -> None:
    state = order.state
    order.refresh_from_db()
    assert order.state in {state, "expired"}
    assert not Voucher.objects.exclude(used_at=None).exists()
    assert (Payment.objects.count(), Period.objects.count()) == (0, 0)
    assert_sound()
