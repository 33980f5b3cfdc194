"""A term ends with the approvals that its line rests on, or before (rule R4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.approvals.models import Approval, Decision
from ferriage.fleet import actions as fleet
from ferriage.orders import actions
from ferriage.orders.models import Order
from ferriage.plans import actions as plans
from ferriage.plans.models import Period
from till import Till, assert_sound, books
from yard import ISSUED, OWNER

if TYPE_CHECKING:
    from shop import Shop

LAPSE = datetime(2027, 3, 1, tzinfo=UTC)
"""The yard's approval ends with 28 February 2027."""


@pytest.fixture
def year(shop: Shop) -> Till:
    """A shop whose approval lasts twelve hours less than a year from now."""
    return Till(shop, shop.now)


def test_term_past_the_end_of_the_approval_is_refused_naming_the_end(year: Till) -> None:
    with pytest.raises(actions.TermOutlivesApproval, match="2027-03-01 00:00 UTC") as caught:
        year.order(12)

    assert caught.value.sold_until == LAPSE
    assert Order.objects.count() == 0
    assert Decision.objects.filter(subject__startswith="ord_").count() == 0


def test_term_that_ends_with_the_approval_is_sold_and_one_second_later_is_not(year: Till) -> None:
    year.now = datetime(2026, 9, 1, tzinfo=UTC)
    assert year.sell(6).period_ends_at == LAPSE

    year.now += timedelta(seconds=1)
    with pytest.raises(actions.TermOutlivesApproval):
        year.order(6)


def test_renewal_counts_from_the_end_of_what_is_held(year: Till) -> None:
    first = year.sell(6)
    assert first.account is not None

    with pytest.raises(actions.TermOutlivesApproval):
        year.order(6, account=first.account)
    second = year.sell(1, account=first.account)

    assert second.period_ends_at == datetime(2026, 10, 1, 12, tzinfo=UTC)


def test_renewed_approval_lets_the_long_term_be_sold(year: Till) -> None:
    year.shop.approve_for_years()

    assert year.sell(24).state == "fulfilled"
    assert_sound()


def test_term_that_fits_when_ordered_but_not_when_paid_is_refunded(year: Till) -> None:
    year.now = datetime(2026, 9, 1, tzinfo=UTC)
    order = year.order(6)
    payment = year.transfer(order)
    year.now += timedelta(hours=1)

    captured = year.receive(payment.reference, order.amount_minor)

    assert (captured.outcome, captured.reason) == ("refund", "term-outlives-approval")
    order.refresh_from_db()
    assert order.state == "open"
    assert Period.objects.count() == 0
    assert books() == {"assets:bank": 5000, "liabilities:refunds": 5000}
    assert_sound()


def test_approval_that_was_shortened_meanwhile_refunds_a_term_that_crosses_its_end(
    year: Till,
) -> None:
    order = year.order(6)
    payment = year.transfer(order)
    short = replace(ISSUED, valid_to=date(2026, 4, 30))
    fleet.revoke_approval(approval=Approval.objects.get(), now=year.now, actor=OWNER)
    year.shop.yard.approve(year.shop.line, short)
    fleet.refresh_permits(now=year.now, actor=OWNER)

    captured = year.receive(payment.reference, order.amount_minor)

    assert (captured.outcome, captured.reason) == ("refund", "term-outlives-approval")
    assert year.sell(1).state == "fulfilled"
    assert_sound()


def test_month_before_the_approval_ends_no_term_is_sold_and_the_end_is_named(year: Till) -> None:
    year.now = LAPSE - timedelta(days=20)

    with pytest.raises(actions.TermOutlivesApproval):
        year.order(1)

    year.now = LAPSE
    with pytest.raises(actions.NotOnSale):
        year.order(1)


def test_line_that_lasts_longest_carries_the_term(year: Till) -> None:
    other = year.shop.yard.plan("XD second")
    year.shop.yard.approve(other, replace(ISSUED, valid_to=date(2030, 2, 28)))
    fleet.put_in_service(line=other, now=year.now, actor=OWNER)
    plans.add_offer(plan=year.shop.plan, line=other, now=year.now, actor=OWNER)

    order = year.sell(24)

    lines = Decision.objects.filter(subject=order.code).values_list("line_code", flat=True)
    assert list(lines) == [other.code, other.code]
