"""kill -9 before every write of a statement's posting; and one statement posted by all at once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from clerks import KILLED
from ferriage.payments import actions, tasks
from ferriage.payments.models import BankAccount, Payment, Refund, StatementLine
from ferriage.payments.providers.bank import files
from ferriage.plans.models import Period
from statement_files import FEE, IBAN, RENT, Entry, camt
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from clerks import Clerks
    from ferriage.config import Config
    from shop import Shop

CLERKS = 8
MOST_WRITES = 120


@pytest.fixture
def till(own_database: Config, make_shop: Callable[[datetime], Shop], now: datetime) -> Till:  # noqa: ARG001 -- rows go there
    shop = make_shop(now)
    shop.approve_for_years()
    return Till(shop, now)


@pytest.fixture
def account(till: Till) -> BankAccount:
    return files.add_account(
        name="Everyday", number=IBAN, currency="CNY", now=till.now, actor=OWNER
    )


def uploaded(till: Till, account: BankAccount, *entries: Entry) -> str:
    data = camt(list(entries), currency="CNY", version="08", opening=0)
    return files.upload(account=account, name="a", data=data, now=till.now, actor=OWNER).code


def paid(till: Till, number: str) -> Entry:
    reference = till.transfer(till.order()).reference
    return Entry(minor=1000, text=f"for {reference}", reference=number, payer_iban="XX")


def test_statement_comes_to_one_outcome_however_its_clerk_dies(
    clerks: Clerks, till: Till, account: BankAccount
) -> None:
    times = 0
    for write in range(1, MOST_WRITES):
        times += 1
        refund = owed(till)
        file = uploaded(
            till,
            account,
            paid(till, f"A{write}"),
            Entry(minor=-1000, text=f"{refund.code}", reference=f"B{write}"),
            Entry(minor=-390, text="fee", reference=f"C{write}", code="CHRG"),
            Entry(minor=7, text="who?", reference=f"D{write}"),
        )
        how = {"file": file, "now": till.now.isoformat()}

        first = clerks.act(("post_statement", how), die_at=write)
        assert_sound()
        again = clerks.act(("post_statement", how))
        tasks.run(till.now)

        assert KILLED not in again
        assert_sound()
        refund.refresh_from_db()
        assert refund.state == "paid"
        assert Period.objects.count() == times
        assert Counter(StatementLine.objects.values_list("state", "outcome")) == {
            ("done", "settled"): times,
            ("done", "refund-paid"): times,
            ("done", "fee"): times,
            ("done", "unallocated"): times,
        }
        if first != [KILLED]:
            break
    else:
        pytest.fail("it never came to its end")
    assert times > 20, "nothing was written, so nothing was tested"
    assert books() == {
        "assets:bank": (1000 + 7 - 390) * times,
        "expenses:fees": 390 * times,
        "liabilities:unallocated": 7 * times,
        "liabilities:unearned": 1000 * times,
    }


def owed(till: Till) -> Refund:
    """Queue a refund of money that nobody asked for."""
    payment = till.receive("nobody", 1000).payment
    return actions.refund_unallocated(payment=payment, now=till.now, actor=OWNER)


def test_one_file_posted_by_eight_is_posted_once(
    clerks: Clerks, till: Till, account: BankAccount
) -> None:
    how = {
        "file": uploaded(till, account, paid(till, "A1"), FEE, RENT),
        "now": till.now.isoformat(),
    }

    outcomes = clerks.act(*[("post_statement", how)] * CLERKS)

    assert Counter(outcomes) == {"posted": 1, "StaleState": CLERKS - 1}
    assert_once()


def test_one_statement_uploaded_eight_times_and_posted_at_once_books_each_line_once(
    clerks: Clerks, till: Till, account: BankAccount
) -> None:
    entries = (paid(till, "A1"), FEE, RENT)
    acts = [
        ("post_statement", {"file": uploaded(till, account, *entries), "now": till.now.isoformat()})
        for _clerk in range(CLERKS)
    ]

    outcomes = clerks.act(*acts)

    assert Counter(outcomes) == {"posted": CLERKS}
    assert_once()


def assert_once() -> None:
    assert Counter(StatementLine.objects.values_list("state", "outcome")) == {
        ("done", "settled"): 1,
        ("done", "fee"): 1,
        ("waits", ""): 1,
    }
    assert Payment.objects.count() == Period.objects.count() == 1
    assert books() == {
        "assets:bank": 1000 - 390,
        "expenses:fees": 390,
        "liabilities:unearned": 1000,
    }
    assert_sound()
