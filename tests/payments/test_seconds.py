"""Money above the limit that one member of staff may not move alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, connection, transaction

from ferriage.arrivals import queries as arrivals
from ferriage.arrivals.openings import CameBefore, OpeningSpent, OpeningWrong
from ferriage.core.actors import CUSTOMER, Actor
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry
from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.ledger.reversing import NotReversible
from ferriage.orders import actions as orders
from ferriage.orders import balance
from ferriage.payments import actions, seconds
from ferriage.payments.models import Payment, Proposal, Refund
from ferriage.payments.providers.bank.receipts import SecondPersonNeeded
from till import assert_sound, books

if TYPE_CHECKING:
    from ferriage.ledger.models import LedgerTransaction
    from ferriage.orders.models import Order
    from till import Till

OLGA, PAUL = Actor("staff", "olga"), Actor("staff", "paul")
LIMIT = 9
"""Whole units: the plan's month costs 10."""


@pytest.fixture
def late(till: Till) -> tuple[Payment, Order]:
    """Money of an amount that nobody asked for, and an order of the customer who sent it."""
    order = till.order()
    payment = till.receive(till.transfer(order).reference, 1001).payment
    orders.cancel(order=order, now=till.now, actor=CUSTOMER)
    return payment, order


def posted(till: Till, minor: int = 1000) -> LedgerTransaction:
    line = TransferLine("assets:bank", "equity:owner", Money(minor, "CNY"))
    return post(
        source_code=f"own_{minor}", kind="own", transfers=[line], description="Own", now=till.now
    )


def test_credit_above_the_limit_waits_for_another_person(
    till: Till, late: tuple[Payment, Order]
) -> None:
    payment, order = late

    proposal = seconds.credit(payment=payment, order=order, limit=LIMIT, now=till.now, actor=OLGA)
    assert proposal is not None
    assert order.account is not None
    waited = (balance.balance(order.account, "CNY"), seconds.waiting())
    for spelling in ("OLGA", " olga", "olga "):
        with pytest.raises(SecondPersonNeeded):
            seconds.confirm(proposal=proposal, now=till.now, actor=Actor("staff", spelling))
    with pytest.raises(SecondPersonNeeded):
        seconds.confirm(proposal=proposal, now=till.now, actor=CUSTOMER)
    seconds.confirm(proposal=proposal, now=till.now, actor=PAUL)
    with pytest.raises(StaleState):
        seconds.confirm(proposal=proposal, now=till.now, actor=PAUL)

    assert waited == (0, [proposal])
    assert balance.balance(order.account, "CNY") == 1001
    assert seconds.waiting() == []
    told = AuditEntry.objects.filter(subject=proposal.code).order_by("sequence")
    assert list(told.values_list("action", flat=True)) == [
        "proposal.entered",
        "proposal.confirmed",
    ]
    assert_sound()


def test_up_to_the_limit_everything_is_done_at_once(
    till: Till, late: tuple[Payment, Order]
) -> None:
    payment, _order = late

    assert seconds.send_back(payment=payment, limit=11, now=till.now, actor=OLGA) is None
    undone = seconds.correct(
        transaction=posted(till, 900), reason="Typo", limit=LIMIT, now=till.now, actor=OLGA
    )

    assert undone is None
    assert Refund.objects.get().amount_minor == 1001
    assert books() == {"assets:bank": 1001, "liabilities:refunds": 1001}
    assert not Proposal.objects.exists()
    assert_sound()


def test_refund_is_queued_when_it_is_confirmed(till: Till, late: tuple[Payment, Order]) -> None:
    payment, _order = late
    proposal = seconds.send_back(payment=payment, limit=LIMIT, now=till.now, actor=OLGA)
    assert proposal is not None
    before = Refund.objects.count()

    seconds.confirm(proposal=proposal, now=till.now, actor=PAUL)

    assert (before, Refund.objects.get().amount_minor) == (0, 1001)
    assert_sound()


def test_correction_above_the_limit_waits(till: Till) -> None:
    one = posted(till)
    proposal = seconds.correct(
        transaction=one, reason="Typo", limit=LIMIT, now=till.now, actor=OLGA
    )
    assert proposal is not None
    waited = books()

    seconds.confirm(proposal=proposal, now=till.now, actor=PAUL)

    assert waited == {"assets:bank": 1000, "equity:owner": 1000}
    assert books() == {}
    assert_sound()


def test_what_cannot_be_done_any_more_stays_unconfirmed(
    till: Till, late: tuple[Payment, Order]
) -> None:
    payment, order = late
    proposal = seconds.credit(payment=payment, order=order, limit=LIMIT, now=till.now, actor=OLGA)
    assert proposal is not None
    actions.refund_unallocated(payment=payment, now=till.now, actor=OLGA)

    with pytest.raises(StaleState):
        seconds.confirm(proposal=proposal, now=till.now, actor=PAUL)
    seconds.drop(proposal=proposal, now=till.now, actor=OLGA)
    with pytest.raises(StaleState):
        seconds.drop(proposal=proposal, now=till.now, actor=OLGA)

    assert seconds.waiting() == []
    assert_sound()


def test_correction_of_what_follows_an_order_is_refused_when_it_is_confirmed(till: Till) -> None:
    till.sell()
    sale = posted(till)
    proposal = seconds.correct(transaction=sale, reason=" ", limit=LIMIT, now=till.now, actor=OLGA)
    assert proposal is not None

    with pytest.raises(NotReversible):
        seconds.confirm(proposal=proposal, now=till.now, actor=PAUL)

    assert seconds.waiting() == [proposal]


def test_one_proposal_waits_for_one_thing(till: Till, late: tuple[Payment, Order]) -> None:
    payment, order = late
    seconds.send_back(payment=payment, limit=LIMIT, now=till.now, actor=OLGA)

    with pytest.raises(StaleState):
        seconds.credit(payment=payment, order=order, limit=LIMIT, now=till.now, actor=PAUL)


@pytest.mark.parametrize(
    "values",
    [
        {"confirmed_by": "Olga", "confirmed_at": "now"},
        {"confirmed_at": "now"},
        {"amount_minor": 1},
        {"entered_by": "paul"},
        {"subject": "pay_other"},
    ],
)
def test_database_refuses_one_person_and_other_words(
    till: Till, late: tuple[Payment, Order], values: dict[str, object]
) -> None:
    payment, _order = late
    seconds.send_back(payment=payment, limit=LIMIT, now=till.now, actor=OLGA)
    given = {name: till.now if value == "now" else value for name, value in values.items()}

    with pytest.raises(DatabaseError), transaction.atomic():
        Proposal.objects.update(**given)
    with pytest.raises(DatabaseError), transaction.atomic():
        Proposal.objects.all()._raw_delete("default")


def bring(till: Till, order: Order, **other: Any) -> Proposal | None:
    assert order.account is not None
    how: dict[str, Any] = {
        "account": order.account,
        "money": Money(1000, "CNY"),
        "source": "old shop",
        "number": "4711",
        "reason": "Their last statement",
        "limit": 10,
        "now": till.now,
        "actor": OLGA,
    }
    return seconds.bring(**how | other)


def held(order: Order) -> int:
    assert order.account is not None
    return balance.balance(order.account, "CNY")


def test_opening_balance_is_owed_against_the_opening_and_is_no_income(till: Till) -> None:
    order = till.order()

    assert bring(till, order) is None

    assert held(order) == 1000
    assert books() == {"equity:opening": -1000, "liabilities:credits": 1000}
    (move,) = balance.moves_of(order.account)  # type: ignore[arg-type] -- it has one
    assert (move.kind, move.source_code[:4], len(move.source_code)) == ("opening", "opn_", 24)
    entry = AuditEntry.objects.get(action="balance.opened")
    assert (entry.subject, entry.details["reason"]) == (move.source_code, "Their last statement")
    assert "4711" not in str(list(AuditEntry.objects.values()))
    orders.pay_from_balance(order=order, now=till.now, actor=CUSTOMER)
    order.refresh_from_db()
    assert order.state == "fulfilled"
    assert_sound()


def test_opening_balance_above_the_limit_waits_for_another_person(till: Till) -> None:
    order = till.order()
    proposal = bring(till, order, limit=LIMIT)
    assert proposal is not None
    waited = held(order)
    with pytest.raises(StaleState):
        bring(till, till.order(), limit=LIMIT)
    with pytest.raises(SecondPersonNeeded):
        seconds.confirm(proposal=proposal, now=till.now, actor=OLGA)

    seconds.confirm(proposal=proposal, now=till.now, actor=PAUL)
    with pytest.raises(StaleState):
        seconds.confirm(proposal=proposal, now=till.now, actor=PAUL)

    assert (waited, held(order)) == (0, 1000)
    assert_sound()


def test_one_number_of_another_shop_brings_a_balance_once(till: Till) -> None:
    first, second = till.order(), till.order()
    proposal = bring(till, first, limit=LIMIT)
    assert proposal is not None
    assert bring(till, second, number=" 4711 ") is None

    for limit in (LIMIT, 10):
        with pytest.raises(CameBefore):
            bring(till, first, limit=limit, reason="Again")
    with pytest.raises(CameBefore):
        seconds.confirm(proposal=proposal, now=till.now, actor=PAUL)
    assert bring(till, first, source="another shop") is None

    proposal.refresh_from_db()
    assert (proposal.confirmed_at, held(first), held(second)) == (None, 1000, 1000)
    assert_sound()


def take_back(till: Till, order: Order, **other: Any) -> Proposal | None:
    assert order.account is not None
    (move,) = arrivals.openings_of(order.account)
    how: dict[str, Any] = {"reason": "Typed 100 for 10", "limit": 10, "now": till.now}
    return seconds.take_back(move=move, **how | {"actor": OLGA} | other)


def test_opening_balance_typed_by_mistake_is_taken_back_and_typed_anew(till: Till) -> None:
    order = till.order()
    for _time in range(2):
        bring(till, order)
        assert take_back(till, order) is None
        assert (held(order), books()) == (0, {})

    bring(till, order, money=Money(100, "CNY"))

    assert (held(order), books()) == (100, {"equity:opening": -100, "liabilities:credits": 100})
    entry = AuditEntry.objects.filter(action="balance.opening-undone").latest("pk")
    assert (entry.details["amount"], entry.details["reason"]) == ("10.00 CNY", "Typed 100 for 10")
    with pytest.raises(CameBefore):
        bring(till, order)
    assert_sound()


def test_taking_back_above_the_limit_waits_for_another_person(till: Till) -> None:
    order = till.order()
    bring(till, order)
    proposal = take_back(till, order, limit=LIMIT)
    assert proposal is not None
    waited = held(order)
    with pytest.raises(StaleState):
        take_back(till, order, limit=LIMIT)
    with pytest.raises(SecondPersonNeeded):
        seconds.confirm(proposal=proposal, now=till.now, actor=OLGA)

    seconds.confirm(proposal=proposal, now=till.now, actor=PAUL)

    assert (waited, held(order)) == (1000, 0)
    assert_sound()


def test_opening_balance_is_not_taken_back_once_a_part_is_spent_or_kept(till: Till) -> None:
    order = till.order()
    assert order.account is not None
    bring(till, order, money=Money(1500, "CNY"), limit=20)
    proposal = take_back(till, order)
    assert proposal is not None
    balance.reserve(order=order, minor=1, now=till.now)
    with pytest.raises(OpeningSpent):
        take_back(till, order, limit=20)
    orders.pay_from_balance(order=order, now=till.now, actor=CUSTOMER)
    till.top_up(order.account, 2000)

    with pytest.raises(OpeningSpent):
        take_back(till, order, limit=20)
    with pytest.raises(OpeningSpent):
        seconds.confirm(proposal=proposal, now=till.now, actor=PAUL)

    assert held(order) == 2500
    assert_sound()


def test_opening_balance_that_is_whole_is_taken_back_beside_other_money(till: Till) -> None:
    order = till.order()
    assert order.account is not None
    till.top_up(order.account, 1000)
    bring(till, order)
    orders.pay_from_balance(order=order, now=till.now, actor=CUSTOMER)

    assert take_back(till, order) is None

    assert held(order) == 0
    assert_sound()


@pytest.mark.parametrize("reason", [" ", "x" * 201])
def test_taking_back_needs_a_reason(till: Till, reason: str) -> None:
    order = till.order()
    bring(till, order)

    with pytest.raises(OpeningWrong):
        take_back(till, order, reason=reason)

    assert held(order) == 1000


@pytest.mark.parametrize(
    "same",
    [
        {"source": "Old Shop"},
        {"source": "old  shop"},
        {"source": "ｏｌｄ\N{ZERO WIDTH SPACE}shop"},
        {"number": "04711"},
        {"number": "47 11"},
        {"number": "４７１１"},
    ],
)
def test_another_spelling_of_a_number_brings_nothing_again(
    till: Till, same: dict[str, str]
) -> None:
    first, second = till.order(), till.order()
    assert bring(till, first) is None

    with pytest.raises(CameBefore):
        bring(till, second, **same)

    assert (held(first), held(second)) == (1000, 0)


def test_numbers_that_differ_bring_a_balance_each(till: Till) -> None:
    order = till.order()

    for number in ("0", "1-23", "12-3", "@anna", "470"):
        assert bring(till, order, number=number, money=Money(1, "CNY")) is None

    assert held(order) == 5


def test_parts_of_a_sum_above_the_limit_wait_for_another_person(till: Till) -> None:
    order, other = till.order(), till.order()
    assert bring(till, order, money=Money(600, "CNY")) is None
    assert bring(till, order, number="1", money=Money(400, "CNY")) is None

    proposal = bring(till, order, number="2", money=Money(1, "CNY"))

    assert proposal is not None
    assert held(order) == 1000
    assert bring(till, other, number="3") is None
    seconds.confirm(proposal=proposal, now=till.now, actor=PAUL)
    assert held(order) == 1001
    assert bring(till, order, number="4", money=Money(1, "CNY")) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": " "},
        {"number": "mail@x.se"},
        {"number": " Mail＠x"},
        {"number": "\N{ZERO WIDTH SPACE}"},
        {"number": ""},
        {"number": "4" * 41},
        {"reason": " "},
        {"reason": "x" * 201},
        {"money": Money(0, "CNY")},
        {"money": Money(-1, "CNY")},
    ],
)
def test_opening_balance_needs_a_name_an_amount_and_a_reason(
    till: Till, wrong: dict[str, Any]
) -> None:
    order = till.order()

    with pytest.raises(OpeningWrong):
        bring(till, order, **wrong)

    assert (held(order), books()) == (0, {})


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE payments_proposal SET balance_id = NULL",
        "UPDATE payments_proposal SET balance_id = (SELECT max(id) FROM orders_balance)",
        "UPDATE payments_proposal SET amount_minor = 1",
        "UPDATE payments_proposal SET kind = 'refund', balance_id = NULL",
        "UPDATE payments_proposal SET reason = ''",
    ],
)
def test_database_refuses_another_opening_than_was_proposed(till: Till, change: str) -> None:
    proposal = bring(till, till.order(), limit=LIMIT)
    assert proposal is not None
    bring(till, till.order(), number="4712")

    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
