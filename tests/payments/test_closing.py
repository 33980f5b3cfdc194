"""Closing months of a shop that sells: each keeps what was used in it, and nothing is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from ferriage.ledger import actions as ledger
from ferriage.ledger import export, income, queries, verify
from ferriage.ledger.models import Closing, LedgerTransaction
from ferriage.ledger.months import ends_at
from ferriage.orders import actions as orders
from ferriage.orders.earning import earned_of
from ferriage.payments import tasks
from ferriage.payments.closing import close_month
from ferriage.payments.models import Payment
from till import Till, assert_sound
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.orders.models import Order
    from shop import Shop

pytestmark = pytest.mark.django_db

MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)
DAY = timedelta(days=1)


def _close_all(now: datetime) -> list[date]:
    closed = []
    while (month := queries.month_to_close(now)) is not None:
        close_month(month=month, now=now, actor=OWNER)
        closed.append(month)
    return closed


def _earned() -> dict[date, int]:
    return {row.month: row.figures.get("earned", 0) for row in income.months("CNY")}


def _expected(order: Order, months: list[date]) -> dict[date, int]:
    """Return what each month has to hold of an order, from its price and time alone."""
    order.refresh_from_db()
    found, before = {}, 0
    for month in months:
        upto = earned_of(order, ends_at(month))
        found[month], before = upto - before, upto
    return found


def test_closed_month_holds_what_was_used_up_to_its_last_instant(till: Till) -> None:
    order = till.sell(12)

    _close_all(datetime(2026, 4, 9, tzinfo=UTC))

    assert _earned() == _expected(order, [MARCH])
    assert_sound()


def test_worker_that_slept_dates_each_month_in_itself(till: Till) -> None:
    order = till.sell(12)

    orders.recognise(now=datetime(2026, 6, 20, tzinfo=UTC))

    months = [MARCH, APRIL, date(2026, 5, 1)]
    dated = LedgerTransaction.objects.filter(kind="earned").order_by("posted_at")
    assert [row.posted_at for row in dated] == [
        *(ends_at(month) - timedelta(microseconds=1) for month in months),
        datetime(2026, 6, 20, tzinfo=UTC),
    ]
    expected = _expected(order, months)
    assert {month: _earned()[month] for month in months} == expected
    assert sum(_earned().values()) == earned_of(order, datetime(2026, 6, 20, tzinfo=UTC))


def test_what_ends_after_a_month_was_closed_is_booked_in_the_open_one(till: Till) -> None:
    order = till.sell(12)
    till.now = datetime(2026, 4, 9, tzinfo=UTC)
    _close_all(till.now)
    balances = Closing.objects.get().balances
    march = _earned()[MARCH]

    till.end(order, till.now)
    tasks.run(till.now)
    _close_all(datetime(2026, 5, 2, tzinfo=UTC))

    assert _earned()[MARCH] == march
    assert Closing.objects.order_by("month")[0].balances == balances
    assert Closing.objects.count() == 2
    assert_sound()


def test_money_that_comes_for_a_closed_month_is_booked_when_it_comes(till: Till) -> None:
    reference = till.transfer(till.order()).reference
    till.sell()
    till.now = datetime(2026, 4, 9, tzinfo=UTC)
    _close_all(till.now)

    captured = till.receive(reference, 1000)

    posted = LedgerTransaction.objects.get(kind="receipt", source_code=captured.payment.code)
    assert (captured.outcome, posted.posted_at) == ("refund", till.now)
    assert_sound()


def test_nothing_is_closed_when_a_payment_is_not_in_the_books(till: Till) -> None:
    order = till.sell()
    Payment.objects.filter(order=order).update(outcome="unallocated")
    earned = LedgerTransaction.objects.filter(kind="earned").count()

    with pytest.raises(ledger.BooksWrong, match="was fulfilled and not paid"):
        _close_all(datetime(2026, 4, 9, tzinfo=UTC))

    assert not Closing.objects.exists()
    assert LedgerTransaction.objects.filter(kind="earned").count() == earned


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["sell", "sell", "end", "close", "work"]),
        st.sampled_from([1, 6, 12]),
        st.integers(1, 40 * 86_400),
    ),
    min_size=3,
    max_size=8,
)


@settings(max_examples=15, deadline=None)
@given(steps=_STEPS)
def _whatever_happens(shop: Shop, steps: list[tuple[str, int, int]]) -> None:
    place = transaction.savepoint_create()
    try:
        _play(Till(shop, shop.now), steps)
    finally:
        transaction.savepoint_rollback(place)


def _play(till: Till, steps: list[tuple[str, int, int]]) -> None:
    shares = {"": 3334, "anna": 3333, "bo": 3333}
    for name in ("anna", "bo"):
        ledger.add_partner(name=name, now=till.now, actor=OWNER)
    ledger.agree(service="ferry", shares=shares, valid_from=MARCH, now=till.now, actor=OWNER)
    sold = [till.sell()]
    for step, months, seconds in steps:
        till.now += timedelta(seconds=seconds)
        tasks.run(till.now)
        if step == "sell":
            sold.append(till.sell(months))
        elif step == "end":
            running = [order for order in sold if order.cut_at is None]
            if running and running[-1].period_ends_at > till.now:
                till.end(running[-1], till.now)
                tasks.run(till.now)
        elif step == "close":
            _close_all(till.now)
        else:
            orders.recognise(now=till.now)
    _close_all(till.now + 40 * DAY)
    assert_sound()
    lines = [f"{line}\n".encode() for line in export.chain()]
    assert list(verify.read(lines, verify.Books())) == []


def test_chain_of_a_shop_holds_whatever_happens(shop: Shop) -> None:
    shop.approve_for_years()
    _whatever_happens(shop)
