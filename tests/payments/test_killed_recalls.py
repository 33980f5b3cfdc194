"""kill -9 before every write of a recall: when it opens, is won, is lost, or was something else.

What was recalled is a month with a device on it, or a top-up of a balance; both are held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ferriage.core import audit
from ferriage.core.money import Money
from ferriage.devices.models import Device
from ferriage.ledger.models import LedgerTransaction
from ferriage.orders.models import Balance, BalanceHold
from ferriage.payments import recalls
from ferriage.payments.models import BankAccount, Dispute, Payment, StatementLine
from ferriage.payments.providers.bank import files
from ferriage.plans.models import Hold
from killing import kill_at_every_write
from statement_files import IBAN, Entry, camt
from till import Till, books
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from clerks import Clerks
    from ferriage.config import Config
    from shop import Shop

PRICE = 1000
KINDS = ["month", "topup"]


@pytest.fixture
def till(own_database: Config, make_shop: Callable[[datetime], Shop], now: datetime) -> Till:  # noqa: ARG001 -- rows go there
    shop = make_shop(now)
    shop.approve_for_years()
    return Till(shop, now)


@pytest.fixture
def bank(till: Till) -> BankAccount:
    return files.add_account(
        name="Everyday", number=IBAN, currency="CNY", now=till.now, actor=OWNER
    )


def paid(till: Till, kind: str) -> Payment:
    """Sell a month with a device on it, or a top-up."""
    if kind == "topup":
        order = till.top_up(till.shop.account(), PRICE)
    else:
        order = till.sell()
        assert order.subscription is not None
        till.shop.device(order.subscription)
    return Payment.objects.get(order=order)


def recalled(till: Till, kind: str) -> Dispute:
    payment = paid(till, kind)
    return recalls.take_back(
        payment=payment,
        money=Money(PRICE, "CNY"),
        reference=f"sli_{payment.pk}",
        from_account="assets:bank",
        now=till.now,
        actor=OWNER,
    )


def uploaded(till: Till, bank: BankAccount, *entries: Entry) -> str:
    data = camt(list(entries), currency="CNY", version="08", opening=0)
    return files.upload(account=bank, name="a", data=data, now=till.now, actor=OWNER).code


def postings(code: str) -> list[str]:
    rows = LedgerTransaction.objects.filter(source_code=code).order_by("kind")
    return [row.kind for row in rows]


def assert_held(kind: str, *, now: int, ever: int) -> None:
    """Assert how many recalls hold something at present, and how many did at all."""
    holds = BalanceHold.objects.all() if kind == "topup" else Hold.objects.all()
    ended = "released_at" if kind == "topup" else "ended_at"
    assert (holds.filter(**{ended: None}).count(), holds.count()) == (now, ever)
    if kind == "topup":
        assert sum(Balance.objects.values_list("reserved_minor", flat=True)) == PRICE * now
    else:
        assert Device.objects.filter(hold_reason="staff").count() == now


def kept(kind: str) -> str:
    return "liabilities:credits" if kind == "topup" else "liabilities:unearned"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by", ["mark", "staff"])
def test_recall_opens_once_however_its_clerk_dies(
    clerks: Clerks, till: Till, bank: BankAccount, kind: str, by: str
) -> None:
    """By a line that is marked as a return, and by what staff say of one that is not."""
    payments: list[Payment] = []

    def prepare() -> dict[str, Any]:
        payments.append(paid(till, kind))
        text = f"RCUR {payments[-1].reference}" if by == "mark" else "out"
        number = f"R{len(payments)}"
        entry = Entry(minor=-PRICE, text=text, reference=number, reversal=by == "mark")
        file = uploaded(till, bank, entry)
        if by == "mark":
            return {"file": file}
        clerks.act(("post_statement", {"file": file, "now": till.now.isoformat()}))
        line = StatementLine.objects.latest("pk")
        return {"line": line.pk, "payment": payments[-1].code}

    act = "post_statement" if by == "mark" else "take_back"
    for _how in kill_at_every_write(clerks, till, act, prepare):
        dispute = Dispute.objects.get(payment=payments[-1])
        assert (dispute.state, postings(dispute.code)) == ("open", ["recalled"])
        assert StatementLine.objects.latest("pk").outcome == "recalled"
        assert_held(kind, now=len(payments), ever=len(payments))

    assert books() == {
        "assets:disputed": PRICE * len(payments),
        kept(kind): PRICE * len(payments),
    }
    assert audit.first_broken() is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by", ["reference", "staff"])
def test_recall_is_won_once_however_its_clerk_dies(
    clerks: Clerks, till: Till, kind: str, by: str
) -> None:
    disputes: list[Dispute] = []

    def prepare() -> dict[str, Any]:
        disputes.append(recalled(till, kind))
        if by == "staff":
            came = till.receive("nobody's", PRICE).payment
            return {"dispute": disputes[-1].code, "payment": came.code}
        reference = disputes[-1].payment.reference
        return {"reference": reference, "number": f"B-{len(disputes)}", "minor": PRICE}

    act = "book" if by == "reference" else "win_recall"
    for _how in kill_at_every_write(clerks, till, act, prepare):
        disputes[-1].refresh_from_db()
        assert disputes[-1].state == "won"
        assert postings(disputes[-1].code) == ["recall-returned", "recalled"]
        assert Payment.objects.filter(outcome="returned").count() == len(disputes)
        assert_held(kind, now=0, ever=len(disputes))

    assert books() == {"assets:bank": PRICE * len(disputes), kept(kind): PRICE * len(disputes)}


@pytest.mark.parametrize("kind", KINDS)
def test_recall_is_lost_once_however_its_clerk_dies(clerks: Clerks, till: Till, kind: str) -> None:
    disputes: list[Dispute] = []

    def prepare() -> dict[str, Any]:
        disputes.append(recalled(till, kind))
        return {"dispute": disputes[-1].code}

    for _how in kill_at_every_write(clerks, till, "lose", prepare):
        disputes[-1].refresh_from_db()
        assert disputes[-1].state == "lost"
        assert_held(kind, now=0, ever=len(disputes))
        order = disputes[-1].payment.order
        assert order is not None
        gone = {"month": ["ended", "sale"], "topup": ["taken-back", "topup"]}
        assert postings(order.code) == gone[kind]

    assert books() == {}


@pytest.mark.parametrize("kind", KINDS)
def test_recall_that_was_something_else_is_booked_once_however_its_clerk_dies(
    clerks: Clerks, till: Till, kind: str
) -> None:
    disputes: list[Dispute] = []

    def prepare() -> dict[str, Any]:
        disputes.append(recalled(till, kind))
        return {"dispute": disputes[-1].code}

    for _how in kill_at_every_write(clerks, till, "void_recall", prepare):
        disputes[-1].refresh_from_db()
        assert disputes[-1].state == "void"
        assert postings(disputes[-1].code) == ["recall-void", "recalled"]
        assert_held(kind, now=0, ever=len(disputes))

    assert books() == {"expenses:fees": PRICE * len(disputes), kept(kind): PRICE * len(disputes)}
