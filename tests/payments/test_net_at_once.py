"""Sixteen processes take one callback, one start, one refund and one book at the same moment."""

from __future__ import annotations

from collections import Counter as Tally
from typing import TYPE_CHECKING

import pytest

from counter import Counter, open_counter
from ferriage.core import audit
from ferriage.core.money import Money
from ferriage.ledger.models import LedgerTransaction
from ferriage.payments.models import InboxEvent, Payment, SettlementLine
from ferriage.payments.providers.contract import Event
from ferriage.plans.models import Period
from stand_in import StandIn
from till import Till, assert_sound, books

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from clerks import Clerks
    from ferriage.config import Config
    from ferriage.payments.providers.contract import RawEvent
    from shop import Shop

CLERKS = 16
ASSET = f"assets:{StandIn.slug}"


@pytest.fixture
def counter(
    own_database: Config,  # noqa: ARG001 -- rows go there
    make_shop: Callable[[datetime], Shop],
    now: datetime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Counter:
    shop = make_shop(now)
    shop.approve_for_years()
    return open_counter(Till(shop, now), tmp_path / "standin.db", monkeypatch)


def act(raw: RawEvent, counter: Counter) -> tuple[str, dict[str, str]]:
    how = {"body": raw.body.decode(), "signature": raw.headers["x-signature"]}
    return "callback", how | {"now": counter.now.isoformat()}


def kinds() -> Tally[str]:
    return Tally(LedgerTransaction.objects.values_list("kind", flat=True))


def test_one_callback_replayed_by_sixteen_is_posted_once(clerks: Clerks, counter: Counter) -> None:
    payment = counter.begin(counter.till.order())
    (raw,) = counter.world.pay(payment, counter.now)

    outcomes = clerks.act(*[act(raw, counter)] * CLERKS)

    assert Tally(outcomes) == {"settled": 1, "duplicate": CLERKS - 1}
    assert InboxEvent.objects.count() == Payment.objects.count() == Period.objects.count() == 1
    assert kinds() == {"receipt": 1, "sale": 1}
    assert books() == {ASSET: 1000, "liabilities:unearned": 1000}
    assert audit.first_broken() is None
    assert_sound()


def test_sixteen_events_of_one_money_are_posted_once(clerks: Clerks, counter: Counter) -> None:
    payment = counter.begin(counter.till.order())
    counter.world.pay(payment, counter.now)
    said = [
        Event(
            event_id=f"evt_{number}x",
            kind="paid",
            payment=payment.code,
            transaction_id="txn_1",
            money=Money(1000, "CNY"),
        )
        for number in range(CLERKS)
    ]
    raws = [counter.world.say(event, counter.now, "none") for event in said]

    outcomes = clerks.act(*[act(raw, counter) for raw in raws])

    assert Tally(outcomes) == {"settled": 1, "duplicate": CLERKS - 1}
    assert InboxEvent.objects.count() == CLERKS
    assert kinds() == {"receipt": 1, "sale": 1}
    assert_sound()


def test_sixteen_starts_of_one_order_begin_one_payment(clerks: Clerks, counter: Counter) -> None:
    how = {"order": counter.till.order().code, "now": counter.now.isoformat()}

    outcomes = clerks.act(*[("begin", how)] * CLERKS)

    assert Tally(outcomes) == {"pending": CLERKS}
    assert Payment.objects.count() == 1
    assert counter.world.books.read("SELECT count(*) FROM session") == [(1,)]


def test_one_refund_sent_by_sixteen_goes_out_once(clerks: Clerks, counter: Counter) -> None:
    refund = counter.refund()
    how = {"refund": refund.code, "now": counter.now.isoformat()}

    outcomes = clerks.act(*[("send", how)] * CLERKS)

    refund.refresh_from_db()
    assert refund.state == "paid"
    assert set(outcomes) <= {"paid", "StaleState"}
    assert kinds()["refund-paid"] == 1
    assert books() == {}
    assert_sound()


def test_one_book_read_by_sixteen_is_posted_once(clerks: Clerks, counter: Counter) -> None:
    payment = counter.sell()
    assert payment.transaction_id is not None
    counter.line("row_1", "charge", payment.transaction_id, 1000, 29)
    counter.line("row_2", "payout", "po_1", -971)
    how = {"account": counter.account.code, "now": counter.now.isoformat()}

    clerks.act(*[("read_books", how)] * CLERKS)

    assert SettlementLine.objects.count() == 2
    assert kinds()["settlement"] == 2
    assert books() == {"assets:bank": 971, "expenses:fees": 29, "liabilities:unearned": 1000}
    assert_sound()
