from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.core.money import Money
from ferriage.orders import papercheck, taxreport
from ferriage.orders.models import Document, Order
from ferriage.orders.taxreport import Quarter
from taxed import charge, confirm, set_up
from till import books

if TYPE_CHECKING:
    from till import Till

DAY = timedelta(days=1)
FIRST = Quarter(2026, 1)


def lines(quarter: Quarter) -> list[tuple[str, str, int, int, int]]:
    return [
        (line.corrects, line.place, line.rate_bps, line.net_minor, line.tax_minor)
        for line in taxreport.report(quarter)
    ]


@pytest.mark.parametrize(
    ("text", "quarter"),
    [
        ("2026-Q1", Quarter(2026, 1)),
        ("2026-Q5", None),
        ("9999-Q1", None),
        ("２０２６-Q1", None),
        ("", None),
    ],
)
def test_quarter_is_read_as_it_is_written(text: str, quarter: Quarter | None) -> None:
    assert Quarter.read(text) == quarter


def test_quarter_ends_where_the_next_begins() -> None:
    assert Quarter.of(datetime(2026, 3, 31, 23, 59, tzinfo=UTC)) == FIRST
    assert FIRST.next.begins_at == datetime(2026, 4, 1, tzinfo=UTC)
    assert Quarter(2026, 4).next == Quarter(2027, 1)


def test_quarter_sums_by_place_and_rate(till: Till) -> None:
    charge(till.now)
    till.sell(24)
    till.sell(1)
    confirm(till.now, rate_bps=2500)
    till.sell(1)

    assert lines(FIRST) == [("", "XD", 1900, 10924, 2076), ("", "XD", 2500, 800, 200)]
    assert books()["liabilities:tax:XD"] == 2276


def test_refund_in_the_quarter_of_the_sale_is_taken_off(till: Till) -> None:
    charge(till.now)
    order = till.sell()
    till.now += 10 * DAY
    till.end(order, till.now)

    (line,) = lines(FIRST)
    assert line[3] + line[4] == 1000 - Order.objects.get().refund_due_minor


def test_refund_of_an_earlier_quarter_corrects_that_one(till: Till) -> None:
    charge(till.now)
    order = till.sell(24)
    till.now += 181 * DAY
    till.end(order, till.now)

    credit = Document.objects.get(kind="credit")
    assert lines(FIRST) == [("", "XD", 1900, 10084, 1916)]
    assert lines(Quarter(2026, 3)) == [
        ("2026-Q1", "XD", 1900, -credit.net_minor, -credit.tax_minor)
    ]
    assert "".join(taxreport.csv(Quarter(2026, 3))) == (
        "quarter,corrects,place,rate_percent,currency,net,tax\n"
        f"2026-Q3,2026-Q1,XD,19.00,CNY,{Money(-credit.net_minor, 'CNY').decimal()},"
        f"{Money(-credit.tax_minor, 'CNY').decimal()}\n"
    )


def test_documents_that_disagree_with_the_books_are_found(till: Till) -> None:
    charge(till.now)
    till.sell(24)
    Order.objects.update(tax_minor=1915)

    assert [finding.message for finding in papercheck.check()] == ["holds 1916, by the orders 1915"]


def test_threshold_counts_sales_to_other_members_net(till: Till) -> None:
    setup = set_up(till.now, home_place="DE")
    confirm(till.now, "DE")
    orders = [till.order(months) for months in (24, 12, 1, 6)]
    for order, (place, taxed) in zip(
        orders, [("FR", "DE"), ("DE", "DE"), ("CH", ""), ("AT", "DE")], strict=True
    ):
        state = "taxed" if taxed else "outside"
        rate = 1900 if taxed else 0
        Order.objects.filter(pk=order.pk).update(tax_state=state, tax_place=taxed, tax_rate=rate)
        till.receive(till.transfer(order).reference, order.amount_minor)
        Order.objects.filter(pk=order.pk).update(place=place)

    watch = taxreport.watch(setup, 2026)

    assert watch is not None
    assert (watch.used, watch.other) == (Money(0, "EUR"), (Money(10084 + 4202, "CNY"),))
    assert watch.percent == 0


def test_seller_outside_of_the_union_has_no_threshold(till: Till) -> None:
    assert taxreport.watch(set_up(till.now, home_place="CH"), 2026) is None


def test_doubt_is_counted_and_never_guessed(till: Till) -> None:
    till.sell()
    set_up(till.now)
    till.sell()

    assert taxreport.untaxed_by_doubt() == [("unknown", "XD", 1), ("unset", "XD", 1)]
    assert "liabilities:tax:XD" not in books()
