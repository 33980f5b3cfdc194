"""Money that went out twice, by a refund and by its payer's bank: a loss that staff see and end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, transaction
from test_bound import fail, sent_and_lost

from ferriage.core.errors import StaleState
from ferriage.payments import actions, bounced, refunding, suspense, twice
from ferriage.payments.models import MadeGood, Payment, Refund
from ferriage.payments.providers.contract import RefundResult
from stand_in import StandIn
from till import assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter

ASSET = f"assets:{StandIn.slug}"


def rows() -> list[tuple[int, bool]]:
    return [(one.minor, one.is_awaited) for one in twice.waiting()]


def gone(counter: Counter, minor: int = 600) -> Payment:
    """Let a refund of 1000 arrive though its payer took a part, or all, by the bank."""
    _order, refund = sent_and_lost(counter, minor)
    result = RefundResult("paid", "re_1", "")
    refunding.note(refund=refund, result=result, now=counter.now, actor=OWNER)
    return refund.payment


def receipt(counter: Counter, minor: int) -> Payment:
    """Let money come that names nothing."""
    return counter.till.receive("", minor).payment


@pytest.mark.parametrize("minor", [600, 1000])
def test_loss_is_seen_at_once_and_waits_for_the_providers_word(
    counter: Counter, minor: int
) -> None:
    _order, refund = sent_and_lost(counter, minor)

    assert rows() == [(minor, True)]
    for end in (
        lambda: twice.give_up(payment=refund.payment, reason="Gone", now=counter.now, actor=OWNER),
        lambda: twice.make_good(
            payment=refund.payment,
            receipt=receipt(counter, 100),
            now=counter.now,
            actor=OWNER,
        ),
    ):
        with pytest.raises(twice.NotMadeGood), transaction.atomic():
            end()
    assert_sound()


def test_refund_that_fails_went_not_twice(counter: Counter) -> None:
    _order, refund = sent_and_lost(counter, 600)
    fail(counter, refund)
    assert rows() == []


def test_refund_that_comes_back_went_not_twice(counter: Counter) -> None:
    payment = gone(counter)
    before = rows()
    refund = Refund.objects.get(payment=payment)
    bounced.bounce_refund(refund=refund, into=ASSET, now=counter.now, actor=OWNER)

    assert (before, rows()) == ([(600, False)], [])
    assert_sound()


def test_money_that_comes_again_makes_the_loss_good(counter: Counter) -> None:
    payment = gone(counter)
    before = books()
    first, second = receipt(counter, 400), receipt(counter, 200)

    for one in (first, second):
        twice.make_good(payment=payment, receipt=one, now=counter.now, actor=OWNER)

    assert before == {ASSET: -600, "expenses:disputes": 600}
    assert books() == {ASSET: -600, "assets:bank": 600}
    assert rows() == []
    made = MadeGood.objects.order_by("pk").values_list("amount_minor", "receipt")
    assert list(made) == [(400, first.pk), (200, second.pk)]
    assert_sound()


def test_money_makes_good_once_and_no_more_than_is_missing(counter: Counter) -> None:
    payment = gone(counter)
    much, one = receipt(counter, 601), receipt(counter, 600)
    how = {"payment": payment, "now": counter.now, "actor": OWNER}

    with pytest.raises(twice.NotMadeGood), transaction.atomic():
        twice.make_good(receipt=much, **how)
    twice.make_good(receipt=one, **how)
    with pytest.raises(twice.NotMadeGood), transaction.atomic():
        twice.make_good(receipt=one, **how)

    assert list(suspense.waiting()) == [much]
    assert_sound()


def test_money_that_went_elsewhere_makes_nothing_good(counter: Counter) -> None:
    payment = gone(counter)
    one = receipt(counter, 600)
    actions.refund_unallocated(payment=one, now=counter.now, actor=OWNER)

    with pytest.raises(StaleState), transaction.atomic():
        twice.make_good(payment=payment, receipt=one, now=counter.now, actor=OWNER)


def test_what_is_given_up_stays_a_loss(counter: Counter) -> None:
    payment = gone(counter)

    made = twice.give_up(payment=payment, reason=" No answer ", now=counter.now, actor=OWNER)
    with pytest.raises(twice.NotMadeGood):
        twice.give_up(payment=payment, reason="Again", now=counter.now, actor=OWNER)

    assert (made.amount_minor, made.reason, rows()) == (600, "No answer", [])
    assert books() == {ASSET: -600, "expenses:disputes": 600}
    assert_sound()


def test_database_takes_no_end_without_receipt_or_reason(counter: Counter) -> None:
    payment = gone(counter)
    with pytest.raises(IntegrityError), transaction.atomic():
        MadeGood.objects.create(
            payment=payment, amount_minor=1, currency="CNY", by="olga", at=counter.now
        )
