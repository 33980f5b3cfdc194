"""What the books cost: settling an order, and looking at books of 10,000 to 1,000,000 transactions.

A real database made by the real actions, then filled through the books' own posting. The machine is
shared, so read the ratios: settling is put beside the same writes done bare, with their values
ready, in the same run and equally never committed; pages are put beside the smallest books.

    make bench-money
    .venv/bin/python benchmarks/money.py
    FERRIAGE_TEST_DATABASE=postgres .venv/bin/python benchmarks/money.py --sizes 10000 100000
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "approvals")]
os.environ["DJANGO_SETTINGS_MODULE"] = "settings_for_tests"

import django

django.setup()

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

import lawbook
from ferriage.approvals import packs
from ferriage.approvals.actions import create_party
from ferriage.core.actors import Actor
from ferriage.core.money import Money
from ferriage.ledger import actions as ledger
from ferriage.ledger import income, partners, queries
from ferriage.ledger.actions import Posting, TransferLine
from ferriage.ledger.actions.closing import close
from ferriage.ledger.models import LedgerAccount, Partner
from ferriage.ledger.months import begins_at, next_month
from shop import open_shop
from till import Till
from yard import OWNER, Yard, prepare_site

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST = date(2027, 1, 1)
"""The books' months begin after the sales that were settled for the first figure."""
MONTHS = 24
SIZES = (10_000, 100_000)
SETTLED = 200
PAGE = 500
ROUNDS = 5
OLGA = Actor("staff", "olga")


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# --- settling ---------------------------------------------------------------------------------


def settling(till: Till) -> None:
    """Print how many orders are settled in a second, and what of it the books are."""
    orders = [till.order() for _number in range(SETTLED)]
    asked = [(till.transfer(order).reference, order.due_minor) for order in orders]

    def settle() -> None:
        for reference, minor in asked:
            assert till.receive(reference, minor).outcome == "settled"

    def books() -> None:
        """Post what settling these orders posts, and nothing else."""
        for order in orders:
            for step, debit, credit in STEPS:
                line = TransferLine(debit, credit, Money(order.amount_minor, order.currency))
                ledger.post(
                    source_code=order.code,
                    kind=step,
                    transfers=[line],
                    description=f"Order {order.code}",
                    now=till.now,
                )

    print(f"{SETTLED} orders, each paid by bank transfer; a second")
    whole, bare = beside_bare("settling", settle)
    posting, its_bare = beside_bare("the books' part of it", books)
    print(f"  {'part of the time that is the books':<38}{posting / whole:>8.0%}")
    print(f"  settling / bare {bare / whole:.2f} (aim 0.3); books / bare {its_bare / posting:.2f}")


STEPS = (
    ("receipt", "assets:bank", "liabilities:unallocated"),
    ("sale", "liabilities:unallocated", "liabilities:unearned"),
)


def beside_bare(name: str, work: Callable[[], None]) -> tuple[float, float]:
    """Print and return the seconds of some work, and of its writes alone."""
    writes: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        if sql.lstrip().startswith(("INSERT", "UPDATE", "DELETE")):
            writes.append((sql, params))
        return execute(sql, params, many, context)

    def bare() -> None:
        with connection.cursor() as cursor:
            for sql, params in writes:
                cursor.execute(sql, params)

    with connection.execute_wrapper(note):
        undone(work)
    whole, alone = (min(undone(one) for _round in range(3)) for one in (work, bare))
    print(f"  {name:<38}{SETTLED / whole:>8.0f}")
    print(f"  {f'its {len(writes) // SETTLED} writes each, bare':<38}{SETTLED / alone:>8.0f}")
    return whole, alone


def undone(work: Callable[[], None]) -> float:
    """Return the seconds of some work, and let nothing of it stay."""
    with transaction.atomic():
        taken = timed(work)
        transaction.set_rollback(True)
    return taken


# --- big books --------------------------------------------------------------------------------


def fill(begun: int, size: int) -> float:
    """Post up to so many transactions, spread over the months; return transactions a second."""
    began = time.perf_counter()
    for start in range(begun, size, PAGE):
        month = (start // PAGE) % MONTHS
        at = begins_at(month_after(month)) + timedelta(days=1 + start % 20)
        ledger.post_all([sale(number) for number in range(start, start + PAGE)], now=at)
    return (size - begun) / (time.perf_counter() - began)


def sale(number: int) -> Posting:
    """Return what a sale moves, all of it earned at once."""
    service = ("home", "travel")[number % 2]
    money = Money(1000 + number % 9000, "CNY")
    lines = (
        TransferLine("assets:bank", "liabilities:unearned", money),
        TransferLine("liabilities:unearned", f"income:{service}", money),
    )
    return Posting(f"ben_{number}", "sale", lines, f"Sale {number}")


def month_after(number: int) -> date:
    """Return one of the months that the books are spread over."""
    month = FIRST
    for _ in range(number):
        month = next_month(month)
    return month


def pages() -> dict[str, Callable[[], object]]:
    """Return what people look at, by name."""
    bank = LedgerAccount.objects.get(name="assets:bank", currency="CNY")
    anna = Partner.objects.get(name="anna")
    middle = month_after(MONTHS // 2)
    return {
        "trial balance": queries.trial_balance,
        "income of all months": lambda: income.months("CNY"),
        "entries behind a figure": lambda: income.entries("earned", month=middle, currency="CNY"),
        "entries of an account": lambda: income.entries_of_account(bank),
        "a partner's statement": lambda: partners.statements(anna),
        "one posting": lambda: undone(post_one),
    }


def post_one() -> None:
    """Post one sale, as an order does."""
    ledger.post_all([sale(10**9)], now=begins_at(month_after(MONTHS + 1)))


def closing() -> float:
    """Return the seconds of closing the first open month, and let it stay open."""
    month = queries.month_to_close(begins_at(month_after(MONTHS + 1)))
    assert month is not None
    now = begins_at(month_after(MONTHS + 1))
    return undone(lambda: close(month=month, check=queries.check, now=now, actor=OLGA) and None)


def big_books(sizes: list[int]) -> None:
    """Print what pages and closing take as the books grow."""
    ledger.add_partner(name="anna", now=NOW, actor=OLGA)
    for service in ("home", "travel"):
        ledger.agree(
            service=service,
            shares={"": 6667, "anna": 3333},
            valid_from=FIRST,
            now=NOW,
            actor=OLGA,
        )
    print(f"{'transactions, milliseconds each':<34}" + "".join(f"{size:>12,}" for size in sizes))
    columns: list[dict[str, float]] = []
    begun = 0
    for size in sizes:
        rate = fill(begun, size)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
        figures = {
            name: statistics.median(timed(work) for _round in range(ROUNDS)) * 1000
            for name, work in pages().items()
        }
        columns.append(figures | {"closing a month": closing() * 1000, "posted a second": rate})
        begun = size
    for name in columns[0]:
        cells = "".join(f"{column[name]:>12,.1f}" for column in columns)
        print(f"  {name:<32}{cells}   {columns[-1][name] / columns[0][name]:>7.1f}x")


def main() -> None:
    """Make the shop, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    sizes: list[int] = parser.parse_args().sizes
    config = settings.FERRIAGE
    demo = replace(config.approvals, packs=(str(packs.demo_path()),))
    settings.FERRIAGE = replace(config, approvals=demo)
    call_command("migrate", verbosity=0)
    lawbook.accept(*lawbook.everyday())
    prepare_site()
    print(f"on {connection.vendor}")
    with tempfile.TemporaryDirectory(prefix="ferriage-bench-") as home:
        party = create_party(name="Demo Lines Ltd", place="XD", now=NOW, actor=OWNER)
        shop = open_shop(Yard(party, Path(home) / "evidence", NOW))
        shop.approve_for_years()
        settling(Till(shop, NOW))
    big_books(sizes)


if __name__ == "__main__":
    main()
