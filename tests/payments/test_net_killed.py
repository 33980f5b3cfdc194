"""kill -9 before every write and every commit of start, capture, refund and settlement.

What the killed process had begun the provider knows, or is asked about; so whatever was on its
way, the worker brings the money to one outcome.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from clerks import KILLED
from counter import Counter, open_counter
from ferriage.core import audit
from ferriage.core.money import Money
from ferriage.ledger.models import LedgerTransaction
from ferriage.payments import tasks
from ferriage.payments.models import Dispute, InboxEvent, Payment, Refund
from ferriage.payments.providers.contract import Event
from ferriage.plans.models import Period
from stand_in import StandIn
from till import Till, assert_sound, books

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from clerks import Clerks
    from ferriage.config import Config
    from ferriage.orders.models import Order
    from shop import Shop

HOUR = timedelta(hours=1)
MOST_WRITES = 80
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


def kill_at_every_write(
    clerks: Clerks, counter: Counter, name: str, prepare: Callable[[], dict[str, Any]]
) -> Iterator[None]:
    """Prepare, kill the clerk before its n-th write, let the worker go on; for every n there is.

    Nobody does the step again but the worker: a provider does not call back twice here.
    """
    for write in range(1, MOST_WRITES):
        how = prepare() | {"now": counter.now.isoformat()}
        first = clerks.act((name, how), die_at=write)
        assert_sound()
        counter.till.now += HOUR
        tasks.run(counter.now)
        tasks.run(counter.now)
        assert InboxEvent.objects.filter(handled_at=None).count() == 0
        assert_sound()
        yield
        if first != [KILLED]:
            assert write > 2, "nothing was written, so nothing was tested"
            return
    pytest.fail("it never came to its end")


def postings(code: str) -> list[str]:
    rows = LedgerTransaction.objects.filter(source_code=code).order_by("kind")
    return [row.kind for row in rows]


def test_capture_comes_to_one_outcome_however_its_clerk_dies(
    clerks: Clerks, counter: Counter
) -> None:
    account = counter.till.shop.account()
    sold: list[Order] = []

    def prepare() -> dict[str, Any]:
        sold.append(counter.till.order(account=account))
        payment = counter.begin(sold[-1])
        (raw,) = counter.world.pay(payment, counter.now)
        return {"body": raw.body.decode(), "signature": raw.headers["x-signature"]}

    for _write in kill_at_every_write(clerks, counter, "callback", prepare):
        order = sold[-1]
        order.refresh_from_db()
        payment = Payment.objects.get(order=order)
        assert (order.state, payment.outcome) == ("fulfilled", "settled")
        assert (postings(payment.code), postings(order.code)) == (["receipt"], ["sale"])
        assert Period.objects.filter(source_code=order.code).count() == 1

    assert books() == {
        ASSET: 1000 * len(sold),
        "liabilities:unearned": 1000 * len(sold),
    }
    assert audit.first_broken() is None


def dispute_of(counter: Counter, money: str, number: int, word: str) -> dict[str, Any]:
    event = Event(
        event_id=f"evt_{word}_{number}",
        kind="dispute-opened" if word == "opened" else "dispute-lost",
        transaction_id=money,
        dispute=f"dp_{number}",
        money=Money(1000, "CNY"),
    )
    raw = counter.world.say(event, counter.now, "none")
    return {"body": raw.body.decode(), "signature": raw.headers["x-signature"]}


@pytest.mark.parametrize("dies", ["dispute", pytest.param("money", marks=pytest.mark.long)])
def test_dispute_before_its_money_is_done_once_however_a_clerk_dies(
    clerks: Clerks, counter: Counter, dies: str
) -> None:
    """Either the dispute's clerk dies and its money comes after, or that of the money does."""
    account = counter.till.shop.account()
    sold: list[Payment] = []
    paid: dict[str, Any] = {}

    def prepare() -> dict[str, Any]:
        nonlocal paid
        sold.append(counter.begin(counter.till.order(account=account)))
        (raw,) = counter.world.pay(sold[-1], counter.now)
        paid = {"body": raw.body.decode(), "signature": raw.headers["x-signature"]}
        money = json.loads(raw.body)["transaction_id"]
        words = ["opened", "lost"] if dies == "money" else ["lost"]
        said = [dispute_of(counter, money, len(sold), word) for word in words]
        if dies == "dispute":
            return said[0]
        for how in said:
            assert clerks.act(("callback", how | {"now": counter.now.isoformat()})) == ["early"]
        return paid

    for _write in kill_at_every_write(clerks, counter, "callback", prepare):
        if dies == "dispute":
            clerks.act(("callback", paid | {"now": counter.now.isoformat()}))
        payment = sold[-1]
        payment.refresh_from_db()
        known = InboxEvent.objects.filter(event_id=f"evt_lost_{len(sold)}")
        disputes = Dispute.objects.filter(payment=payment).values_list("state", flat=True)
        # What died before it was kept was never told; the provider calls again.
        assert list(disputes) == ["lost"] * known.count()
        assert postings(payment.code) == ["receipt"]
        assert not InboxEvent.objects.exclude(awaits=None).exists()
        assert_sound()

    assert Dispute.objects.filter(state="lost").count() >= len(sold) - 2
    assert audit.first_broken() is None


def test_start_is_gone_on_with_however_its_clerk_dies(clerks: Clerks, counter: Counter) -> None:
    account = counter.till.shop.account()
    begun: list[Order] = []

    def prepare() -> dict[str, Any]:
        begun.append(counter.till.order(account=account))
        return {"order": begun[-1].code}

    for _write in kill_at_every_write(clerks, counter, "begin", prepare):
        order = begun[-1]
        payment = counter.begin(order)
        assert Payment.objects.filter(order=order).count() == 1
        counter.tell(counter.world.pay(payment, counter.now))
        order.refresh_from_db()
        assert order.state == "fulfilled"

    assert counter.world.books.read("SELECT count(*) FROM session") == [(len(begun),)]
    assert books() == {ASSET: 1000 * len(begun), "liabilities:unearned": 1000 * len(begun)}


def test_refund_goes_out_once_however_its_clerk_dies(clerks: Clerks, counter: Counter) -> None:
    refunds: list[Refund] = []

    def prepare() -> dict[str, Any]:
        refunds.append(counter.refund())
        return {"refund": refunds[-1].code}

    for _write in kill_at_every_write(clerks, counter, "send", prepare):
        refund = refunds[-1]
        refund.refresh_from_db()
        assert refund.state == "paid"
        assert postings(refund.code) == ["refund-paid"]

    assert counter.world.books.read("SELECT count(*), sum(paid) FROM refund") == [
        (len(refunds), 1000 * len(refunds))
    ]
    assert books() == {}


def test_settlement_is_posted_once_however_its_clerk_dies(clerks: Clerks, counter: Counter) -> None:
    sold: list[Payment] = []

    def prepare() -> dict[str, Any]:
        sold.append(counter.sell())
        number = len(sold)
        assert sold[-1].transaction_id is not None
        counter.line(f"row_{number}", "charge", sold[-1].transaction_id, 1000, 29)
        counter.line(f"out_{number}", "payout", f"po_{number}", -971)
        return {"account": counter.account.code}

    for _write in kill_at_every_write(clerks, counter, "read_books", prepare):
        assert books() == {
            "assets:bank": 971 * len(sold),
            "expenses:fees": 29 * len(sold),
            "liabilities:unearned": 1000 * len(sold),
        }
