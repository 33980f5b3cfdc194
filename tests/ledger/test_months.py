"""Closing months, partners' shares and payouts, and what hosting costs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError
from django.db.transaction import atomic
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from ferriage.core.actors import CUSTOMER, Actor
from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.ledger import actions, partners, queries
from ferriage.ledger.actions import TransferLine, post
from ferriage.ledger.actions.closing import close
from ferriage.ledger.models import (
    Agreement,
    Closing,
    HostingBill,
    LedgerTransaction,
    Partner,
    Payout,
    SettledShare,
    Settlement,
    Share,
)
from ferriage.ledger.months import last_instant, next_month

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.django_db

OLGA, VERA = Actor("staff", "olga"), Actor("staff", "vera")
JANUARY, FEBRUARY, MARCH = date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)
THIRDS = {"": 3334, "anna": 3333, "bo": 3333}


def _in(month: date, day: int = 15) -> datetime:
    return datetime(month.year, month.month, day, 12, tzinfo=UTC)


def _earn(minor: int, month: date, *, service: str = "ferry", source: str = "ord_1") -> None:
    """Book earned income, or with a negative amount income that is taken back."""
    lines = ("liabilities:unearned", f"income:{service}")
    debit, credit = lines if minor > 0 else lines[::-1]
    number = LedgerTransaction.objects.count()
    post(
        source_code=source,
        kind="earned",
        sequence=number,
        transfers=[
            TransferLine(debit, credit, Money(abs(minor), "CNY")),
        ],
        description="",
        now=_in(month),
    )


def _fund(minor: int = 10**9) -> None:
    line = TransferLine("assets:bank", "liabilities:unearned", Money(minor, "CNY"))
    post(source_code="pay", kind="sale", transfers=[line], description="", now=_in(JANUARY, 1))


def _agree(
    shares: Mapping[str, int] = THIRDS, *, since: date = JANUARY, until: date | None = None
) -> Agreement:
    for name in shares:
        if name and not Partner.objects.filter(name=name).exists():
            actions.add_partner(name=name, now=_in(JANUARY), actor=OLGA)
    return actions.agree(
        service="ferry",
        shares=shares,
        valid_from=since,
        valid_to=until,
        now=_in(JANUARY),
        actor=OLGA,
    )


def _close(month: date) -> Closing:
    return close(month=month, check=queries.check, now=_in(next_month(month), 2), actor=OLGA)


def _shares(month: date) -> dict[str, int]:
    rows = SettledShare.objects.filter(settlement__month=month).select_related("partner")
    return {row.partner.name if row.partner else "": row.amount_minor for row in rows}


def _owed(name: str) -> int:
    return partners.owed_minor(Partner.objects.get(name=name), "CNY")


# --- closing ----------------------------------------------------------------------------------


def test_month_is_closed_with_its_balances() -> None:
    _fund()
    _earn(700, JANUARY)
    _earn(1, FEBRUARY)

    closing = _close(JANUARY)

    assert closing.balances == [
        ["assets:bank", "CNY", 10**9],
        ["income:ferry", "CNY", -700],
        ["liabilities:unearned", "CNY", 700 - 10**9],
    ]
    assert queries.month_to_close(_in(MARCH)) == FEBRUARY
    assert queries.month_to_close(_in(FEBRUARY)) is None


@pytest.mark.parametrize(
    ("month", "message"),
    [(FEBRUARY, "2026-02 is not over"), (JANUARY, "is closed already"), (MARCH, "not over")],
)
def test_only_the_next_month_that_is_over_is_closed(month: date, message: str) -> None:
    _fund()
    _close(JANUARY)

    with pytest.raises(actions.MonthNotClosable, match=message):
        close(month=month, check=queries.check, now=_in(FEBRUARY), actor=OLGA)


def test_month_is_not_left_out() -> None:
    _fund()
    _close(JANUARY)

    with pytest.raises(actions.MonthNotClosable, match="2026-02 is to be closed first"):
        _close(MARCH)


def test_no_month_before_the_books_began_is_closed() -> None:
    with pytest.raises(actions.MonthNotClosable, match="Nothing is posted yet"):
        _close(JANUARY)
    line = TransferLine("assets:bank", "liabilities:unearned", Money(5, "CNY"))
    post(source_code="x", kind="x", transfers=[line], description="", now=_in(FEBRUARY))

    with pytest.raises(actions.MonthNotClosable, match="The books begin in 2026-02"):
        _close(JANUARY)
    with pytest.raises(actions.MonthNotClosable, match="2026-02 is to be closed first"):
        _close(MARCH)

    assert Closing.objects.count() == 0


def test_month_whose_books_are_wrong_stays_open() -> None:
    line = TransferLine("liabilities:refunds", "assets:bank", Money(5, "CNY"))
    post(source_code="x", kind="x", transfers=[line], description="", now=_in(JANUARY))

    with pytest.raises(actions.BooksWrong, match="assets:bank CNY is negative"):
        _close(JANUARY)

    assert not Closing.objects.exists()


def test_posting_in_a_closed_month_is_refused_in_words() -> None:
    _fund()
    _close(JANUARY)

    with pytest.raises(actions.MonthClosed, match="2026-01 is closed"):
        _earn(1, JANUARY)


# --- shares -----------------------------------------------------------------------------------


def test_share_of_a_month_is_split_and_owed() -> None:
    _fund()
    _agree()
    _earn(10_000, JANUARY)

    _close(JANUARY)

    assert _shares(JANUARY) == {"": 3334, "anna": 3333, "bo": 3333}
    assert (_owed("anna"), _owed("bo")) == (3333, 3333)
    assert queries.balance("expenses:partner-share:ferry", "CNY") == 6666
    assert queries.balance("income:ferry", "CNY") == -10_000
    (posting,) = LedgerTransaction.objects.filter(kind="shares")
    assert posting.posted_at == last_instant(JANUARY)


def test_settling_again_changes_nothing() -> None:
    _fund()
    _agree()
    _earn(10_000, JANUARY)
    _close(JANUARY)

    assert actions.settle(month=JANUARY, now=_in(MARCH), actor=OLGA) == []
    assert _owed("anna") == 3333


def test_loss_of_a_month_carries_over_until_it_is_made_up() -> None:
    _fund()
    _agree({"": 5000, "anna": 5000})
    _earn(1000, JANUARY)
    _close(JANUARY)
    _earn(200, FEBRUARY)
    _earn(-500, FEBRUARY)
    _close(FEBRUARY)
    _close(MARCH)
    _earn(1000, date(2026, 4, 1))
    _close(date(2026, 4, 1))

    rows = Settlement.objects.order_by("month").values_list(
        "income_minor", "carried_in_minor", "split_minor", "carried_out_minor"
    )

    assert list(rows) == [
        (1000, 0, 1000, 0),
        (-300, 0, 0, -300),
        (0, -300, 0, -300),
        (1000, -300, 700, 0),
    ]
    assert _owed("anna") == 500 + 350
    assert queries.check() == []


def test_agreement_holds_from_its_month_until_another_does() -> None:
    _fund()
    _agree({"": 5000, "anna": 5000})
    _agree({"": 9000, "anna": 1000}, since=FEBRUARY, until=MARCH)
    for month in (JANUARY, FEBRUARY, MARCH):
        _earn(1000, month)
        _close(month)

    assert [_shares(month) for month in (JANUARY, FEBRUARY, MARCH)] == [
        {"": 500, "anna": 500},
        {"": 900, "anna": 100},
        {},
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": {"": 5000, "anna": 4999}}, "come to 99.99 %"),
        ({"shares": {"": 10_001, "anna": -1}}, "come to 100.0 %"),
        ({"shares": {"": 5000, "carl": 5000}}, "There is no partner called carl"),
        ({"valid_from": date(2026, 1, 2)}, "whole months"),
        ({"valid_from": MARCH, "valid_to": MARCH}, "end before it begins"),
        ({"valid_from": JANUARY}, "2026-01 is closed and settled"),
    ],
)
def test_agreement_that_cannot_hold_is_refused(changes: dict[str, object], message: str) -> None:
    _fund()
    _agree()
    _close(JANUARY)
    values = {"service": "ferry", "shares": THIRDS, "valid_from": FEBRUARY} | changes

    with pytest.raises(actions.AgreementWrong, match=message):
        actions.agree(**values, now=_in(FEBRUARY), actor=OLGA)  # type: ignore[arg-type]

    assert Agreement.objects.count() == 1


def test_database_takes_no_agreement_whose_shares_do_not_sum_to_the_whole() -> None:
    Share.objects.create(agreement_id="agr_x", share_bps=9999)

    with pytest.raises(DatabaseError, match="sum to 10000"):
        Agreement.objects.create(
            code="agr_x", service="ferry", valid_from=JANUARY, created_at=_in(JANUARY)
        )


def test_database_lets_nobody_edit_an_agreement() -> None:
    agreement = _agree({"": 5000, "anna": 5000})

    with pytest.raises(DatabaseError, match="never edited"), atomic():
        Share.objects.create(agreement=agreement, share_bps=1)
    for change in (Share.objects.update, Agreement.objects.update):
        with pytest.raises(DatabaseError, match="append-only"), atomic():
            change(**{"share_bps": 1} if change == Share.objects.update else {"service": "x"})


def test_database_takes_no_agreement_that_begins_in_a_closed_month() -> None:
    _fund()
    _close(JANUARY)
    Share.objects.create(agreement_id="agr_x", share_bps=10_000)
    values = {"service": "ferry", "created_at": _in(FEBRUARY)}

    with pytest.raises(DatabaseError, match="a month that is open"), atomic():
        Agreement.objects.create(code="agr_x", valid_from=JANUARY, **values)
    Agreement.objects.create(code="agr_x", valid_from=FEBRUARY, **values)


class Splits(TestCase):
    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.integers(-5000, 5000).filter(bool), min_size=1, max_size=5))
    def test_shares_sum_to_what_is_split_whatever_the_months_bring(self, months: list[int]) -> None:
        _fund()
        _agree()
        month, total = JANUARY, 0
        _earn(10**6, month)
        total = 10**6
        for minor in months:
            _earn(minor, month)
            total += minor
            _close(month)
            month = next_month(month)

        settled = Settlement.objects.order_by("month")
        shared = sum(SettledShare.objects.values_list("amount_minor", flat=True))
        last = settled.last()
        assert last is not None
        assert shared + last.carried_out_minor == total
        assert shared == sum(row.split_minor for row in settled)
        for name in ("anna", "bo"):
            (statement,) = partners.statements(Partner.objects.get(name=name))
            assert statement.earned_minor == _owed(name)


# --- payouts ----------------------------------------------------------------------------------


@pytest.fixture
def anna() -> Partner:
    """Return a partner who is owed 50.00."""
    _fund()
    _agree({"": 5000, "anna": 5000})
    _earn(10_000, JANUARY)
    _close(JANUARY)
    return Partner.objects.get(name="anna")


def _queue(partner: Partner, minor: int) -> Payout:
    return actions.queue_payout(
        partner=partner, money=Money(minor, "CNY"), now=_in(FEBRUARY), actor=OLGA
    )


def test_payout_is_paid_with_the_number_of_the_bank(anna: Partner) -> None:
    payout = _queue(anna, 3000)

    actions.note_payout(payout=payout, reference=" B-7 ", now=_in(FEBRUARY), actor=VERA)

    payout.refresh_from_db()
    (statement,) = partners.statements(anna)
    assert (payout.state, payout.paid_reference, payout.paid_by) == ("paid", "B-7", "staff:vera")
    assert (statement.earned_minor, statement.paid_minor, statement.owed_minor) == (
        5000,
        3000,
        2000,
    )
    assert _owed("anna") == 2000


def test_no_more_is_queued_than_is_owed(anna: Partner) -> None:
    _queue(anna, 3000)

    with pytest.raises(actions.PayoutWrong, match=r"20\.00 CNY at most"):
        _queue(anna, 2001)

    assert Payout.objects.count() == 1


def test_payout_is_noted_once(anna: Partner) -> None:
    payout = _queue(anna, 5000)
    actions.note_payout(payout=payout, reference="B-7", now=_in(FEBRUARY), actor=VERA)

    with pytest.raises(StaleState):
        actions.note_payout(payout=payout, reference="B-8", now=_in(FEBRUARY), actor=VERA)
    with pytest.raises(StaleState):
        actions.cancel_payout(payout=payout, now=_in(FEBRUARY), actor=VERA)
    with pytest.raises(DatabaseError, match="paid or cancelled once"), atomic():
        Payout.objects.update(paid_reference="B-9")

    assert _owed("anna") == 0


def test_cancelled_payout_may_be_queued_again(anna: Partner) -> None:
    actions.cancel_payout(payout=_queue(anna, 5000), now=_in(FEBRUARY), actor=OLGA)

    assert _queue(anna, 5000).state == "queued"


def test_payout_above_the_limit_needs_a_second_person(anna: Partner) -> None:
    payout = actions.queue_payout(
        partner=anna,
        money=Money(5000, "CNY"),
        second_person_above_minor=4999,
        now=_in(FEBRUARY),
        actor=OLGA,
    )
    same = [*(Actor("staff", name) for name in ("olga", "Olga", " OLGA ", "\uff4flga")), CUSTOMER]

    for one in same:
        with pytest.raises(actions.SecondPersonNeeded):
            actions.note_payout(payout=payout, reference="B-7", now=_in(FEBRUARY), actor=one)
    with pytest.raises(DatabaseError, match="two_people"), atomic():
        Payout.objects.update(
            state="paid", paid_at=_in(FEBRUARY), paid_by="staff:Olga", paid_reference="B-7"
        )
    actions.note_payout(payout=payout, reference="B-7", now=_in(FEBRUARY), actor=VERA)

    assert (payout.state, payout.paid_by) == ("paid", "staff:vera")


def test_payout_at_the_limit_may_be_one_persons(anna: Partner) -> None:
    payout = actions.queue_payout(
        partner=anna,
        money=Money(5000, "CNY"),
        second_person_above_minor=5000,
        now=_in(FEBRUARY),
        actor=OLGA,
    )

    actions.note_payout(payout=payout, reference="B-7", now=_in(FEBRUARY), actor=OLGA)

    assert payout.state == "paid"


# --- hosting ----------------------------------------------------------------------------------


def _bill(*, monthly: bool = False) -> HostingBill:
    return actions.record_bill(
        gateway="gw_1",
        what="Small host",
        money=Money(3000, "CNY"),
        monthly=monthly,
        now=_in(JANUARY),
        actor=OLGA,
    )


def test_bill_is_owed_and_then_paid() -> None:
    _fund()
    bill = _bill()
    owed = queries.balance("liabilities:payable:hosting", "CNY")

    actions.pay_bill(bill=bill, reference="B-1", now=_in(JANUARY), actor=OLGA)

    assert owed == -3000
    assert queries.balance("liabilities:payable:hosting", "CNY") == 0
    assert queries.balance("expenses:hosting:gw_1", "CNY") == 3000
    with pytest.raises(StaleState):
        actions.pay_bill(bill=bill, reference="B-2", now=_in(JANUARY), actor=OLGA)


def test_monthly_bill_comes_each_month_until_it_is_ended() -> None:
    bill = _bill(monthly=True)
    work = [actions.book_bills(now=_in(month)) for month in (JANUARY, FEBRUARY, FEBRUARY)]
    actions.end_bill(bill=bill, now=_in(MARCH), actor=OLGA)
    after = [actions.book_bills(now=_in(MARCH) + timedelta(days=60 * times)) for times in range(3)]

    assert (work, after) == ([0, 1, 0], [1, 0, 0])
    assert queries.balance("expenses:hosting:gw_1", "CNY") == 9000
