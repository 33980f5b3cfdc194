"""What a lost dispute did not find is taken when it comes to a balance: it is nobody's again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, transaction
from test_gifts import order_code, reveal

from dearer import GB, held_by, open_dearer, order_pack, sell_packs, use
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.orders import actions as orders
from ferriage.orders import balance
from ferriage.orders.models import BalanceClaim, BalanceMove, Order
from ferriage.payments import actions, disputes, payback, recalls
from ferriage.payments.models import Payment
from ferriage.plans.queries import subscription_end
from stand_in import StandIn
from till import THREE_DAYS, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter
    from ferriage.accounts.models import Account
    from till import Till

ASSET = f"assets:{StandIn.slug}"
DAY = timedelta(days=1)


@pytest.fixture
def account(till: Till) -> Account:
    return till.shop.account()


def paid(counter: Counter, order: Order) -> Payment:
    payment = counter.begin(order)
    counter.tell(counter.world.pay(payment, counter.now))
    payment.refresh_from_db()
    order.refresh_from_db()
    assert payment.outcome == "settled"
    return payment


def lose(counter: Counter, payment: Payment, minor: int, name: str = "dp_1") -> None:
    money = Money(minor, payment.currency)
    counter.say("dispute-lost", payment, f"evt_{name}", dispute=name, money=money)


def from_balance(counter: Counter, order: Order) -> Order:
    return orders.pay_from_balance(order=order, now=counter.now, actor=CUSTOMER)


def claim() -> tuple[int, int, bool]:
    """Return what the one claim missed, what of it came, and whether it is over."""
    one = BalanceClaim.objects.get()
    return one.lost_minor, one.found_minor, one.released_at is not None


def spent_in_part(counter: Counter, account: Account) -> tuple[Payment, Order]:
    """Let a top-up of 1000 pay a term, and 600 of it be taken back: the term goes on."""
    payment = paid(counter, counter.till.order_topup(account, 1000))
    order = from_balance(counter, counter.till.order(account=account))
    lose(counter, payment, 600)
    return payment, order


def test_what_was_spent_of_a_lost_top_up_is_taken_when_it_comes_back(
    counter: Counter, account: Account
) -> None:
    _payment, order = spent_in_part(counter, account)
    before = (claim(), books()["expenses:disputes"])

    counter.till.end(order, counter.now)

    assert before == ((600, 0, False), 600)
    assert claim() == (600, 600, True)
    assert balance.available(account, "CNY") == 400
    assert books() == {ASSET: 400, "liabilities:credits": 400}
    assert_sound()


def test_what_comes_back_bit_by_bit_is_taken_until_nothing_is_missing(
    counter: Counter, account: Account
) -> None:
    till = counter.till
    start = till.now
    _payment, order = spent_in_part(counter, account)
    part = (order.period_ends_at - start) / 10  # type: ignore[operator] -- it is fulfilled

    found = []
    for tenths in (9, 5, 1):
        till.end(order, start + tenths * part)
        found.append((claim(), balance.available(account, "CNY")))

    assert found == [
        ((600, 100, False), 0),
        ((600, 500, False), 0),
        ((600, 600, True), 300),
    ]
    assert_sound()


def test_other_money_on_the_balance_stays_the_customers(counter: Counter, account: Account) -> None:
    spent_in_part(counter, account)

    counter.till.top_up(account, 700)

    assert balance.available(account, "CNY") == 700
    assert claim() == (600, 0, False)
    assert_sound()


@pytest.mark.parametrize("how", ["cancelled", "paid otherwise"])
def test_open_order_is_not_paid_with_lost_money(till: Till, account: Account, how: str) -> None:
    payment = Payment.objects.get(order=till.top_up(account, 1000), outcome="settled")
    till.top_up(account, 200)
    order = from_till(till, till.order(12, account=account))
    dispute = recalls.take_back(
        payment=payment,
        money=Money(1000, "CNY"),
        reference="L1",
        from_account="assets:bank",
        now=till.now,
        actor=OWNER,
    )
    disputes.lose(dispute=dispute, now=till.now, actor=OWNER)

    order.refresh_from_db()
    assert (order.credit_minor, order.due_minor) == (200, 8800)
    assert claim() == (1000, 1000, True)
    assert books() == {"assets:bank": 200, "liabilities:credits": 200}
    assert_sound()
    if how == "cancelled":
        orders.cancel(order=order, now=till.now, actor=CUSTOMER)
        assert balance.available(account, "CNY") == 200
    else:
        assert till.receive(till.transfer(order).reference, 8800).outcome == "settled"
        assert balance.balance(account, "CNY") == 0
    assert_sound()


def from_till(till: Till, order: Order) -> Order:
    return orders.pay_from_balance(order=order, now=till.now, actor=CUSTOMER)


def test_what_staff_credited_stays_a_claim_too(counter: Counter, account: Account) -> None:
    payment = counter.late()
    actions.credit_unallocated(payment=payment, account=account, now=counter.now, actor=OWNER)
    order = from_balance(counter, counter.till.order(account=account))
    lose(counter, payment, 600)

    counter.till.end(order, counter.now)

    assert claim() == (600, 600, True)
    assert balance.available(account, "CNY") == 400
    assert_sound()


def test_term_of_anothers_that_lost_money_paid_brings_nothing_to_a_balance(
    counter: Counter, account: Account
) -> None:
    till = counter.till
    payment = paid(counter, till.order_topup(account, 1000))
    friend = till.shop.account()
    given = orders.give(
        account=account,
        recipient=friend,
        price=till.shop.prices[1],
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )
    given = from_balance(counter, given)
    lose(counter, payment, 999)

    till.end(given, till.now)

    assert [balance.available(one, "CNY") for one in (account, friend)] == [1, 0]
    assert claim() == (999, 999, True)
    assert_sound()


@pytest.mark.parametrize("changed", ["before", "after"])
def test_change_of_plan_puts_no_lost_money_on_a_balance(
    counter: Counter, account: Account, changed: str
) -> None:
    """Of 27000 of a dearer term 26000 go to the balance when a cheaper month takes over."""
    till = counter.till
    dearer = open_dearer(till)
    payment = paid(counter, till.order_topup(account, 27_000))
    order = from_balance(counter, dearer.place(account))
    if changed == "after":
        lose(counter, payment, 26_500)
    change = dearer.change(held_by(order), price=till.shop.prices[1])
    assert change.state == "fulfilled"
    if changed == "before":
        lose(counter, payment, 26_500)
    middle = (claim()[:2], balance.available(account, "CNY"))

    till.end(change, till.now)

    assert middle == ((26_500, 26_000) if changed == "after" else (500, 0), 0)
    assert balance.available(account, "CNY") == 500
    assert books() == {ASSET: 500, "liabilities:credits": 500}
    assert_sound()


def test_order_that_went_on_by_a_change_brings_nothing_to_a_balance(counter: Counter) -> None:
    """Paid over the net, 9000: 6000 of it went to the balance, and 3000 into the dearer month."""
    till = counter.till
    dearer = open_dearer(till)
    payment = counter.sell(12)
    assert payment.order is not None
    assert payment.order.account is not None
    change = dearer.change(held_by(payment.order), price=dearer.prices[1])
    lose(counter, payment, 8999)
    before = (claim(), balance.available(payment.order.account, "CNY"))

    till.end(change, till.now)

    assert before == ((2999, 0, False), 0)
    assert balance.available(payment.order.account, "CNY") == 1
    assert books() == {ASSET: 1, "liabilities:credits": 1}
    assert_sound()


def test_two_lost_payments_in_one_order_take_each_its_own(
    counter: Counter, account: Account
) -> None:
    till = counter.till
    first = paid(counter, till.order_topup(account, 300))
    second = paid(counter, till.order_topup(account, 500))
    till.top_up(account, 500)
    order = from_balance(counter, till.order(account=account))
    lose(counter, first, 299, "dp_1")
    lose(counter, second, 499, "dp_2")

    till.end(order, till.now)

    found = BalanceClaim.objects.order_by("pk").values_list("lost_minor", "found_minor")
    assert list(found) == [(299, 299), (499, 499)]
    assert balance.available(account, "CNY") == 502
    assert_sound()


def test_money_that_was_taken_is_neither_spent_nor_paid_back(
    counter: Counter, account: Account
) -> None:
    _payment, order = spent_in_part(counter, account)
    counter.till.end(order, counter.now)

    (offer,) = payback.offers(account, with_changes=True)
    gift = orders.pay_from_balance(
        order=order_code(counter.till, account), now=counter.now, actor=CUSTOMER
    )

    assert offer.whole == Money(400, "CNY")
    assert (gift.state, gift.credit_minor) == ("open", 400)
    assert_sound()


def test_what_a_used_code_covers_of_a_loss_is_not_taken_a_second_time(
    counter: Counter, account: Account
) -> None:
    till = counter.till
    payment = paid(counter, till.order_topup(account, 1000))
    gift = from_balance(counter, order_code(till, account))
    term = till.order()
    till.redeem(term, reveal(till, gift))

    lose(counter, payment, 600)
    kept = claim()
    till.end(term, till.now)
    actions.queue_ended(order=term, now=till.now, actor=OWNER)

    assert kept == (0, 0, True)
    assert "expenses:disputes" not in books()
    assert sum(minor for name, minor in books().items() if name.startswith("liab")) == 400
    assert_sound()


def test_loss_that_is_told_again_claims_nothing_more(counter: Counter, account: Account) -> None:
    payment, order = spent_in_part(counter, account)
    counter.till.end(order, counter.now)

    lose(counter, payment, 600)

    taken = BalanceMove.objects.filter(kind="taken-back").values_list("amount_minor", flat=True)
    assert list(taken) == [-600]
    assert claim() == (600, 600, True)
    assert_sound()


@pytest.mark.parametrize("found", [-1, 601])
def test_database_takes_no_more_than_was_lost(
    counter: Counter, account: Account, found: int
) -> None:
    spent_in_part(counter, account)

    with pytest.raises(IntegrityError, match="found_of_lost"), transaction.atomic():
        BalanceClaim.objects.update(found_minor=found)


# --- what lost money bought -------------------------------------------------------------------


def test_term_that_a_lost_top_up_paid_ends(counter: Counter, account: Account) -> None:
    till = counter.till
    payment = paid(counter, till.order_topup(account, 12_000))
    order = from_balance(counter, till.order(24, account=account))
    till.now += 100 * DAY
    orders.recognise(now=till.now)
    earned = books()["income:ferry"]

    lose(counter, payment, 12_000)
    orders.recognise(now=till.now + 400 * DAY)

    order.refresh_from_db()
    assert order.cut_at == till.now
    assert subscription_end(held_by(order)).is_over(till.now)
    assert claim() == (12_000, 12_000 - earned, False)
    assert books() == {"expenses:disputes": earned, "income:ferry": earned}
    assert_sound()


@pytest.mark.parametrize("other", [499, 500])
def test_term_that_other_money_paid_half_of_goes_on(
    counter: Counter, account: Account, other: int
) -> None:
    goes_on = other == 500
    till = counter.till
    till.top_up(account, other)
    payment = paid(counter, till.order_topup(account, 1000 - other))
    order = from_balance(counter, till.order(account=account))

    lose(counter, payment, 1000 - other)

    assert subscription_end(held_by(order)).is_over(till.now) is not goes_on
    assert balance.available(account, "CNY") == (0 if goes_on else other)
    assert_sound()
    if goes_on:
        till.end(order, till.now)
        assert balance.available(account, "CNY") == other
        assert_sound()


def test_two_payments_that_are_both_lost_end_what_they_paid_together(
    counter: Counter, account: Account
) -> None:
    till = counter.till
    first = paid(counter, till.order_topup(account, 400))
    second = paid(counter, till.order_topup(account, 400))
    till.top_up(account, 200)
    order = from_balance(counter, till.order(account=account))

    lose(counter, first, 400, "dp_1")
    between = subscription_end(held_by(order)).is_over(till.now)
    lose(counter, second, 400, "dp_2")

    assert not between
    assert subscription_end(held_by(order)).is_over(till.now)
    assert balance.available(account, "CNY") == 200
    assert books() == {"assets:bank": 200, "liabilities:credits": 200}
    assert_sound()


def test_parts_that_come_to_the_whole_end_what_a_top_up_paid(
    counter: Counter, account: Account
) -> None:
    payment, order = spent_in_part(counter, account)
    before = subscription_end(held_by(order)).is_over(counter.now)

    lose(counter, payment, 400, "dp_2")

    assert not before
    assert subscription_end(held_by(order)).is_over(counter.now)
    assert books() == {}
    assert_sound()


def test_only_what_lost_money_paid_ends(counter: Counter, account: Account) -> None:
    """A renewal that was paid honestly begins when it would have begun."""
    till = counter.till
    payment = paid(counter, till.order_topup(account, 1000))
    first = from_balance(counter, till.order(account=account))
    renewal = till.sell(account=account)

    lose(counter, payment, 1000)

    for order in (first, renewal):
        order.refresh_from_db()
    assert first.cut_at == till.now
    assert (renewal.cut_at, renewal.subscription) == (None, first.subscription)
    assert books() == {"assets:bank": 1000, "liabilities:unearned": 1000}
    assert_sound()


def test_renewal_that_is_lost_is_cut_before_it_begins(counter: Counter, account: Account) -> None:
    till = counter.till
    honest = till.sell(account=account)
    payment = paid(counter, till.order_topup(account, 1000))
    renewal = from_balance(counter, till.order(account=account))

    lose(counter, payment, 1000)

    renewal.refresh_from_db()
    assert renewal.cut_at == renewal.period_starts_at
    assert subscription_end(held_by(honest)).at == honest.period_ends_at
    assert books() == {"assets:bank": 1000, "liabilities:unearned": 1000}
    assert_sound()


def test_change_that_took_over_what_lost_money_paid_ends_too(counter: Counter) -> None:
    till = counter.till
    dearer = open_dearer(till)
    payment = counter.sell(12)
    assert payment.order is not None
    assert payment.order.account is not None
    change = dearer.change(held_by(payment.order), price=dearer.prices[1])

    lose(counter, payment, 9000)

    assert subscription_end(held_by(change)).is_over(till.now)
    assert balance.available(payment.order.account, "CNY") == 0
    assert claim() == (3000, 3000, True)
    assert books() == {}
    assert_sound()


def test_pack_that_lost_money_paid_ends_alone(counter: Counter, account: Account) -> None:
    till = counter.till
    price = sell_packs(till)
    term = till.sell(account=account)
    payment = paid(counter, till.order_topup(account, 400))
    pack = from_balance(counter, order_pack(till, term, price))
    use(held_by(term), 110 * GB, till.now)
    orders.count_use(now=till.now)

    lose(counter, payment, 400)

    pack.refresh_from_db()
    assert pack.cut_at == till.now
    assert not subscription_end(held_by(term)).is_over(till.now)
    assert books() == {
        "assets:bank": 1000,
        "expenses:disputes": 200,
        "liabilities:unearned": 1200,
    }
    assert_sound()


def test_devices_of_what_lost_money_paid_are_held_and_no_others(
    counter: Counter, account: Account
) -> None:
    till = counter.till
    payment = paid(counter, till.order_topup(account, 1000))
    order = from_balance(counter, till.order(account=account))
    device, other = till.shop.device(held_by(order)), till.shop.device(held_by(till.sell()))
    runs = device.hold_at
    till.now += DAY

    lose(counter, payment, 1000)

    for one in (device, other):
        one.refresh_from_db()
    assert (runs, device.hold_at) == (order.period_ends_at, till.now)
    assert other.hold_at == runs
    assert_sound()
