"""What the books cost: settling an order, and looking at books of 10,000 to 1,000,000 transactions.

A real database made by the real actions, then filled through the books' own posting. The machine is
shared, so read the ratios: settling is put beside the same writes done bare, in the same run; pages
are put beside the smallest books. Bare is: every INSERT, UPDATE and DELETE that settling these
orders sends, with its values ready, in the same transactions, committed as often, by Django's
cursor to the same tables with all their indexes, constraints and triggers; no question asked.

    make bench-money
    .venv/bin/python benchmarks/money.py --only settling
    FERRIAGE_TEST_DATABASE=postgres .venv/bin/python benchmarks/money.py --sizes 10000 100000
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "approvals"), str(TESTS / "backoffice")]
os.environ["DJANGO_SETTINGS_MODULE"] = "settings_for_tests"

import django
import pytest

django.setup()

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from people import logged_in, make_staff

import lawbook
from counter import open_counter
from ferriage.accounts import actions as accounts
from ferriage.accounts.models import Account
from ferriage.approvals import packs
from ferriage.approvals.actions import create_party
from ferriage.core import clock
from ferriage.core.actors import Actor
from ferriage.core.money import Money
from ferriage.ledger import actions as ledger
from ferriage.ledger import export, income, partners, queries, verify
from ferriage.ledger.actions import Posting, TransferLine
from ferriage.ledger.actions.closing import close
from ferriage.ledger.models import LedgerAccount, Partner
from ferriage.ledger.months import begins_at, next_month
from ferriage.orders.models import Order
from ferriage.payments.models import BankAccount
from ferriage.payments.providers.bank import booking, files
from ferriage.plans.models import Subscription
from ferriage.web.portal.customer import COOKIE
from shop import open_shop
from statement_files import IBAN, Entry, camt
from till import Till
from yard import OWNER, Yard, prepare_site

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model

    from counter import Counter

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST = date(2027, 1, 1)
"""The books' months begin after the sales that were settled for the first figure."""
MONTHS = 24
SIZES = (10_000, 100_000)
SETTLED = 100
PAGE = 500
ROUNDS = 5
LOOKS = 15
"""The best of so many is what a page takes: the rest is what others on the machine take."""
OLGA = Actor("staff", "olga")


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# --- settling ---------------------------------------------------------------------------------


def settling(till: Till, counter: Counter) -> None:
    """Print how many orders are settled in a second, and what of it the books are."""
    print(f"{SETTLED} orders a round, each paid by bank transfer and committed; a second")
    ratio = beside_bare("settling", lambda: paid_by_bank(till), commit=True)
    books = beside_bare("the books' part of it", lambda: posted(till), commit=True)
    print(f"  settling / bare {ratio:.2f} (aim 0.3); books / bare {books:.2f}")
    ratio = beside_bare("settling by callback", lambda: paid_by_callback(counter), commit=True)
    print(f"  settling by a provider's signed callback / bare {ratio:.2f} (aim 0.3)")
    ratio = beside_bare("settling from a statement", lambda: paid_by_statement(till), commit=True)
    print(f"  settling from a statement / bare {ratio:.2f}, 25 lines a transaction on both sides")
    print("the same, nothing of it committed: what the program alone takes")
    ratio = beside_bare("settling", lambda: paid_by_bank(till), commit=False)
    print(f"  settling / bare {ratio:.2f}")


def paid_by_bank(till: Till) -> Callable[[], None]:
    """Place orders; return what settles them."""
    asked = asked_by(till)

    def settle() -> None:
        for order, reference in asked:
            assert till.receive(reference, order.due_minor).outcome == "settled"

    return settle


def paid_by_callback(counter: Counter) -> Callable[[], None]:
    """Place orders and let them be paid at a provider; return what takes its callbacks."""
    begun = [counter.begin(counter.till.order()) for _number in range(SETTLED)]
    told = [raw for payment in begun for raw in counter.world.pay(payment, counter.now)]

    def settle() -> None:
        assert counter.tell(told) == ["settled"] * SETTLED

    return settle


def paid_by_statement(till: Till) -> Callable[[], None]:
    """Place orders; return what settles them from the lines of one bank statement."""
    entries = [Entry(minor=order.due_minor, text=reference) for order, reference in asked_by(till)]
    account = BankAccount.objects.first() or files.add_account(
        name="Everyday", number=IBAN, currency="CNY", now=till.now, actor=OWNER
    )
    data = camt(entries, currency="CNY", number=str(next(till.numbers)))
    file = files.upload(account=account, name="lines", data=data, now=till.now, actor=OWNER)
    files.store(file=file, now=till.now, actor=OWNER)

    def settle() -> None:
        assert booking.book_kept(till.now) == SETTLED

    return settle


def asked_by(till: Till) -> list[tuple[Order, str]]:
    """Place orders; return each with the reference that its payer quotes."""
    orders = [till.order() for _number in range(SETTLED)]
    return [(order, till.transfer(order).reference or "") for order in orders]


def posted(till: Till) -> Callable[[], None]:
    """Place orders; return what posts what settling them posts, and nothing else."""
    orders = [till.order() for _number in range(SETTLED)]

    def books() -> None:
        for order in orders:
            money = Money(order.amount_minor, order.currency)
            steps = [
                Posting(order.code, step, (TransferLine(debit, credit, money),), order.code)
                for step, debit, credit in STEPS
            ]
            ledger.post_all(steps, now=till.now)

    return books


STEPS = (
    ("receipt", "assets:bank", "liabilities:unallocated"),
    ("sale", "liabilities:unallocated", "liabilities:unearned"),
)


def beside_bare(name: str, prepare: Callable[[], Callable[[], None]], *, commit: bool) -> float:
    """Print how often some work is done in a second, and its writes alone; return the ratio.

    Both do the same transactions. The work is done once and undone, which tells its writes; these
    are written with their values ready; then the same work is done with other orders.
    """
    run = timed if commit else undone
    whole, alone = [], []
    for _round in range(ROUNDS):
        written = transactions_of(prepare())
        alone.append(run(lambda written=written: write(written)))
        whole.append(run(prepare()))
    rates = [SETTLED / min(times) for times in (whole, alone)]
    count = sum(map(len, written)) // SETTLED
    print(f"  {name:<38}{rates[0]:>8.0f}")
    print(f"  {f'its {count} writes each, bare':<38}{rates[1]:>8.0f}")
    return rates[0] / rates[1]


def transactions_of(work: Callable[[], None]) -> list[list[tuple[str, Any]]]:
    """Return the writes of some work by transaction, and let nothing of it stay."""
    written: list[list[tuple[str, Any]]] = [[]]
    depth = 0

    def note(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        nonlocal depth
        # What is a transaction by itself is a savepoint in the one that is undone.
        depth += sql.startswith("SAVEPOINT")
        if sql.startswith("RELEASE"):
            depth -= 1
            if not depth and written[-1]:
                written.append([])
        if sql.lstrip().startswith(("INSERT", "UPDATE", "DELETE")):
            written[-1].append((sql, params))
        return execute(sql, params, many, context)

    sequences = numbers_given()
    with connection.execute_wrapper(note):
        undone(work)
    give_again(sequences)
    return [one for one in written if one]


def write(written: list[list[tuple[str, Any]]]) -> None:
    """Write what some work wrote, in the same transactions."""
    for one in written:
        with transaction.atomic(), connection.cursor() as cursor:
            for sql, params in one:
                cursor.execute(sql, params)


def numbers_given() -> list[tuple[str, int | None]]:
    """Return the state of PostgreSQL's sequences, which no rollback sets back."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT sequencename, last_value FROM pg_sequences")
        return list(cursor.fetchall())


def give_again(sequences: list[tuple[str, int | None]]) -> None:
    """Set sequences back, so that rows that are written again get the same keys."""
    with connection.cursor() as cursor:
        for name, last in sequences:
            cursor.execute("SELECT setval(%s, %s, %s)", [name, last or 1, last is not None])


def undone(work: Callable[[], None]) -> float:
    """Return the seconds of some work, and let nothing of it stay."""
    with transaction.atomic():
        taken = timed(work)
        transaction.set_rollback(True)
    return taken


# --- big books --------------------------------------------------------------------------------


def fill(begun: int, size: int, like: Order) -> float:
    """Post up to so many transactions, month after month; return transactions a second.

    By the books' own posting, 500 in one, so that each has its place in the chain. A customer and
    ten orders come with every forty, copied of one order past the actions: what is measured is
    whether pages find their own rows among them.
    """
    copy_customers(begun // 40, size // 40, like)
    began = time.perf_counter()
    for start in range(begun, size, PAGE):
        month = (start - begun) * MONTHS // (size - begun)
        at = begins_at(month_after(month)) + timedelta(days=1 + start % 20)
        ledger.post_all([sale(number) for number in range(start, start + PAGE)], now=at)
    return (size - begun) / (time.perf_counter() - began)


def copy_customers(begun: int, after: int, like: Order) -> None:
    """Copy an order's customer with ten such orders, once for each number."""
    assert like.subscription is not None
    with transaction.atomic():
        copy(Account, like.subscription.account_id, begun, after, number_hash="'b' || n")
        copy(
            Subscription,
            like.subscription_id,
            begun,
            after,
            code="'sub_b' || n",
            account_id="(SELECT id FROM accounts_account WHERE number_hash = 'b' || n)",
        )
        held = "(SELECT {} FROM plans_subscription WHERE code = 'sub_b' || (n / 10))"
        copy(
            Order,
            like.pk,
            begun * 10,
            after * 10,
            code="'ord_b' || n",
            account_id=held.format("account_id"),
            subscription_id=held.format("id"),
        )


def copy(model: type[Model], pk: int | None, begun: int, after: int, **other: str) -> None:
    """Copy a row once for each number `n`, with other values in some columns."""
    table = model._meta  # noqa: SLF001 -- Django's documented way to a table's columns
    columns = [field.column for field in table.concrete_fields if not field.primary_key]
    values = ", ".join(other.get(column, f'"{column}"') for column in columns)
    named = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO {table.db_table} ({named})
            WITH RECURSIVE numbers (n) AS (
                SELECT CAST(%s AS bigint) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < %s
            )
            SELECT {values} FROM numbers, {table.db_table} WHERE id = %s
            """,  # noqa: S608 -- names of columns
            [begun, after, pk],
        )


@dataclass(frozen=True)
class Looker:
    """Who looks: a customer with two years of renewals, and an owner of the shop."""

    last: Order
    customer: Client
    staff: Client

    def account(self) -> None:
        """See the customer's own page."""
        assert self.customer.get("/account/").status_code == 200

    def orders(self) -> None:
        """See what staff see of the customer."""
        assert self.last.subscription is not None
        page = f"/staff/customers/{self.last.subscription.code}/"
        assert self.staff.get(page).status_code == 200


def look(till: Till) -> Looker:
    """Let a customer renew for two years, and log everybody in."""
    account = till.shop.account()
    for _month in range(MONTHS):
        last = till.sell(1, account=account)
    customer = Client()
    now = clock.now()
    customer.cookies[COOKIE] = accounts.start_session(account=account, now=now)
    return Looker(last, customer, logged_in(make_staff("olga", "owner")))


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


def pages(looker: Looker) -> dict[str, Callable[[], object]]:
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
        "a customer's own page": looker.account,
        "a customer's page for staff": looker.orders,
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


def big_books(sizes: list[int], looker: Looker) -> None:
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
        rate = fill(begun, size, looker.last)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
        figures = {
            name: min(timed(work) for _round in range(LOOKS)) * 1000
            for name, work in pages(looker).items()
        }
        columns.append(figures | {"closing a month": closing() * 1000, "posted a second": rate})
        begun = size
    for name in columns[0]:
        cells = "".join(f"{column[name]:>12,.1f}" for column in columns)
        print(f"  {name:<32}{cells}   {columns[-1][name] / columns[0][name]:>7.1f}x")
    print(f"  {'transactions':<32}{'':>{12 * len(sizes)}}   {sizes[-1] / sizes[0]:>7.1f}x")
    verified()


def verified() -> None:
    """Print what the offline verifier says of all that was filled in, and its seconds."""
    books = verify.Books()
    began = time.perf_counter()
    findings = list(verify.read((f"{line}\n".encode() for line in export.chain()), books))
    assert not findings, findings
    print(f"verified: {verify.summary(books)}, in {time.perf_counter() - began:.0f} s")


def main() -> None:
    """Make the shop, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--only", choices=("settling", "books"))
    parsed = parser.parse_args()
    config = settings.FERRIAGE
    demo = replace(config.approvals, packs=(str(packs.demo_path()),))
    settings.FERRIAGE = replace(config, approvals=demo)
    call_command("migrate", verbosity=0)
    lawbook.accept(*lawbook.everyday())
    prepare_site()
    print(f"on {connection.vendor}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="ferriage-bench-") as home:
        party = create_party(name="Demo Lines Ltd", place="XD", now=NOW, actor=OWNER)
        shop = open_shop(Yard(party, Path(home) / "evidence", NOW))
        shop.approve_for_years()
        till = Till(shop, NOW)
        if parsed.only != "books":
            with pytest.MonkeyPatch.context() as patch:
                settling(till, open_counter(till, Path(home) / "standin.db", patch))
        if parsed.only != "settling":
            big_books(parsed.sizes, look(till))
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
