"""The provider's own books against ours."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, transaction

from ferriage.core.errors import StaleState
from ferriage.payments import queries, settlement, tasks
from ferriage.payments.models import Difference, SettlementLine
from stand_in import StandIn
from till import assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter
    from ferriage.payments.models import Payment

ASSET = f"assets:{StandIn.slug}"


def read(counter: Counter) -> int:
    counter.till.now += timedelta(hours=1)
    return settlement.read_books(account=counter.account, now=counter.now)


def alarms(counter: Counter) -> list[tuple[str, str, str]]:
    found = queries.worklist(counter.now).differences
    return [(one.kind, one.subject, one.details) for one in found]


def charge(counter: Counter, payment: Payment, gross: int = 1000) -> None:
    assert payment.transaction_id is not None
    counter.line(f"row_{payment.pk}", "charge", payment.transaction_id, gross, 29)


def test_fees_and_payout_are_posted_once_and_sales_are_not_posted_again(counter: Counter) -> None:
    for _customer in range(2):
        charge(counter, counter.sell())
    counter.line("row_fee", "fee", "", -5)
    counter.line("row_out", "payout", "po_1", -1937)

    imported = [read(counter), read(counter)]

    assert imported == [4, 0]
    assert books() == {
        "assets:bank": 1937,
        "expenses:fees": 63,
        "liabilities:unearned": 2000,
    }
    assert alarms(counter) == []


def test_payout_that_failed_comes_back(counter: Counter) -> None:
    charge(counter, counter.sell())
    counter.line("row_out", "payout", "po_1", -971)
    counter.line("row_back", "payout", "po_1", 971)

    read(counter)

    assert books() == {ASSET: 971, "expenses:fees": 29, "liabilities:unearned": 1000}


def test_money_that_we_know_nothing_of_alarms_until_we_do(counter: Counter) -> None:
    payment = counter.begin(counter.till.order())
    callbacks = counter.world.pay(payment, counter.now)
    counter.line("row_1", "charge", "txn_1", 1000)
    read(counter)
    before = alarms(counter)

    counter.tell(callbacks)
    read(counter)

    assert before == [("money-unknown", "txn_1", "10.00 CNY")]
    assert alarms(counter) == []
    assert Difference.objects.get().resolved_by == "agrees by now"
    assert_sound()


def test_other_amount_alarms(counter: Counter) -> None:
    payment = counter.sell()
    charge(counter, payment, gross=900)

    read(counter)
    read(counter)

    assert alarms(counter) == [("amount", payment.transaction_id, "10.00 CNY ≠ 9.00 CNY")]


def test_refund_that_we_did_not_send_and_a_line_of_another_kind_alarm(counter: Counter) -> None:
    counter.line("row_1", "refund", "re_nobody", -400)
    counter.line("row_2", "other", "x", 7)
    counter.line("row_3", "dispute", "dp_nobody", -1000)

    read(counter)

    assert alarms(counter) == [
        ("refund-unknown", "re_nobody", "-4.00 CNY"),
        ("other", "row_2", "0.07 CNY"),
        ("dispute-unknown", "dp_nobody", "-10.00 CNY"),
    ]


def test_refund_that_we_sent_agrees(counter: Counter) -> None:
    refund = counter.refund()
    tasks.run(counter.now)
    refund.refresh_from_db()
    counter.line("row_1", "refund", refund.paid_reference, -1000)
    charge(counter, refund.payment)

    read(counter)

    assert alarms(counter) == []


def test_money_that_the_provider_does_not_hold_after_a_week_alarms(counter: Counter) -> None:
    payment = counter.sell()
    read(counter)
    before = alarms(counter)
    counter.till.now += timedelta(days=7)

    read(counter)

    assert before == []
    assert alarms(counter) == [("money-missing", payment.transaction_id, "10.00 CNY")]


def test_difference_that_staff_noted_is_not_raised_again(counter: Counter) -> None:
    counter.line("row_2", "other", "x", 7)
    read(counter)
    (found,) = queries.worklist(counter.now).differences

    settlement.resolve(difference=found, now=counter.now, actor=OWNER)
    with pytest.raises(StaleState):
        settlement.resolve(difference=found, now=counter.now, actor=OWNER)
    read(counter)

    assert alarms(counter) == []


def test_worker_reads_each_hour_and_not_more(counter: Counter) -> None:
    counter.line("row_fee", "fee", "", -5)

    imported = [settlement.read_due(counter.now) for _again in range(2)]
    counter.line("row_fee2", "fee", "", -5)
    imported.append(settlement.read_due(counter.now + timedelta(hours=1)))

    assert imported == [1, 0, 1]


def test_lines_are_not_changed(counter: Counter) -> None:
    counter.line("row_fee", "fee", "", -5)
    read(counter)

    for change in (
        lambda rows: rows.update(gross_minor=1, net_minor=1),
        lambda rows: rows.delete(),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change(SettlementLine.objects.all())


def test_books_are_read_with_the_same_number_of_queries(
    counter: Counter, django_assert_max_num_queries: object
) -> None:
    charge(counter, counter.sell())
    read(counter)
    with django_assert_max_num_queries(14):  # type: ignore[operator] -- pytest-django's fixture
        read(counter)
