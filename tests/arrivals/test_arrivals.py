"""What becomes of customers of another shop: their time, their balance, or why they stay."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from ferriage.accounts.models import Account
from ferriage.accounts.queries import account_by_number
from ferriage.approvals.actions import ClockBehind
from ferriage.approvals.models import Decision
from ferriage.arrivals import actions, openings, queries
from ferriage.arrivals.mapping import MappingWrong, PlanRule, Rules, read
from ferriage.arrivals.models import Arrival
from ferriage.arrivals.numberlist import COLUMNS, ListUnusable, NumberList
from ferriage.arrivals.sources import OldCustomer
from ferriage.arrivals.sources import read as read_source
from ferriage.core import audit
from ferriage.core.actors import Actor
from ferriage.core.models import AuditEntry
from ferriage.core.money import Money
from ferriage.orders.balance import balance
from ferriage.plans.models import Period, Subscription
from till import assert_sound, books

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ferriage.arrivals.actions import HandedOut
    from ferriage.arrivals.queries import Planned
    from shop import Shop

DUMPS = Path(__file__).with_name("dumps")
COMMAND = Actor("command", "import")
DAY = timedelta(days=1)
MONTH = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def rules(shop: Shop) -> Rules:
    """V2Board's plan 1 is the shop's plan; 3 stays away; nobody said what 2 is."""
    shop.approve_for_years()
    return Rules(
        source="v2board",
        place="XD",
        currency="CNY",
        plans={"1": PlanRule(shop.plan.code, "XD"), "3": PlanRule("none", "XD")},
    )


def customers() -> tuple[OldCustomer, ...]:
    return read_source("v2board", DUMPS / "v2board.sql").customers


def take_over(
    people: Sequence[OldCustomer], rules: Rules, now: datetime
) -> tuple[list[Planned], list[HandedOut]]:
    handed: list[HandedOut] = []
    planned = actions.take_over(
        customers=people, rules=rules, keep=handed.extend, now=now, actor=COMMAND
    )
    return planned, handed


def fates(planned: Iterable[Planned]) -> dict[str, str]:
    return {one.customer.id: one.fate for one in planned}


FATES = {
    "1": "staff",
    "2": "time",
    "3": "over",
    "4": "balance",
    "5": "banned",
    "6": "endless",
    "7": "nothing",
    "8": "left-out",
    "9": "time",
    "10": "endless",
    "11": "time",
}


def test_report_says_what_becomes_of_each_and_changes_nothing(rules: Rules, now: datetime) -> None:
    planned = queries.plan_all(customers=customers(), rules=rules, now=now)

    assert fates(planned) == FATES
    assert not Account.objects.exists()
    assert not Arrival.objects.exists()


def test_those_who_come_get_number_time_and_balance(
    shop: Shop, rules: Rules, now: datetime
) -> None:
    planned, handed = take_over(customers(), rules, now)

    assert fates(planned) == FATES
    accounts = {one.planned.customer.id: account_by_number(one.number) for one in handed}
    assert set(accounts) == {"2", "4", "9", "11"}
    assert Account.objects.count() == 4
    alice, carol = accounts["2"], accounts["4"]
    assert alice is not None
    assert carol is not None
    assert (alice.account_class, alice.place, alice.label) == ("public", "XD", "")
    held = Subscription.objects.get(account=alice)
    assert (held.plan, held.service, held.anchor_at) == (shop.plan, shop.service, now)
    period = held.periods.get()
    assert (period.kind, period.starts_at, period.ends_at) == ("grant", now, MONTH)
    assert period.reason == "Came over from v2board"
    assert not Subscription.objects.filter(account=carol).exists()
    assert (balance(alice, "CNY"), balance(carol, "CNY")) == (250, 1999)
    assert shop.device(held).subscription == held


def test_nobody_brings_a_balance_by_hand_and_by_an_import(
    shop: Shop, rules: Rules, now: datetime
) -> None:
    account, money = shop.account(), Money(1999, "CNY")
    how: dict[str, Any] = {"source": "v2board", "money": money, "reason": "Asked"}
    code = openings.named(number="4", **how)
    openings.bring(account=account, money=money, code=code, reason="Asked", now=now, actor=COMMAND)

    planned, _handed = take_over(customers(), rules, now)

    assert fates(planned) == FATES | {"4": "already"}
    for number in ("2", "4"):
        with pytest.raises(openings.CameBefore):
            openings.named(number=number, **how)
    assert openings.named(number="3", **how) != code
    assert books() == {"liabilities:credits": 2249, "equity:opening": -2249}


def test_balance_that_was_taken_back_comes_with_the_import(
    shop: Shop, rules: Rules, now: datetime
) -> None:
    account, money = shop.account(), Money(1, "CNY")
    code = openings.named(source="v2board", number="4", money=money, reason="Asked")
    openings.bring(account=account, money=money, code=code, reason="Asked", now=now, actor=COMMAND)
    move = queries.opening_of(code)
    assert move is not None
    openings.take_back(move=move, reason="Not theirs", now=now, actor=COMMAND)

    planned, _handed = take_over(customers(), rules, now)

    assert (fates(planned), queries.opening_of(code)) == (FATES, None)
    assert books() == {"liabilities:credits": 2249, "equity:opening": -2249}
    assert_sound()


def test_balances_are_owed_against_opening_and_nothing_is_income(
    rules: Rules, now: datetime
) -> None:
    take_over(customers(), rules, now)

    assert books() == {"liabilities:credits": 2249, "equity:opening": -2249}
    assert_sound()


def test_nobody_comes_twice(rules: Rules, now: datetime) -> None:
    take_over(customers(), rules, now)
    before = (Account.objects.count(), Period.objects.count(), AuditEntry.objects.count())

    planned, handed = take_over(customers(), rules, now + DAY / 24)

    came = {"2": "already", "4": "already", "9": "already", "11": "already"}
    assert fates(planned) == FATES | came
    assert handed == []
    assert (Account.objects.count(), Period.objects.count(), AuditEntry.objects.count()) == before


def test_same_number_in_another_shop_is_somebody_else(rules: Rules, now: datetime) -> None:
    take_over(customers(), rules, now)

    planned, _handed = take_over(customers(), replace(rules, source="second"), now)

    assert fates(planned) == FATES


def test_end_and_currency_named_later_let_the_rest_come(rules: Rules, now: datetime) -> None:
    first, _ = take_over(customers(), replace(rules, currency=""), now)
    end = datetime(2027, 1, 1, tzinfo=UTC)
    fuller = replace(
        rules,
        never_until=end,
        plans={**rules.plans, "2": rules.plans["1"]},
    )

    second, handed = take_over(customers(), fuller, now)

    assert [fates(first)[one] for one in ("2", "4", "9")] == ["no-currency", "no-currency", "time"]
    assert [fates(second)[one] for one in ("2", "4", "6", "9", "10")] == [
        "time",
        "balance",
        "time",
        "already",
        "time",
    ]
    ends = {one.planned.customer.id: one.planned.ends_at for one in handed}
    assert (ends["6"], ends["10"]) == (end, end)


@pytest.mark.parametrize(
    ("currency", "cents", "minor"),
    [("CNY", 250, 250), ("JPY", 250, 3), ("JPY", 300, 3), ("KWD", 1, 10)],
)
def test_balance_comes_in_minor_units_rounded_up_for_the_customer(
    rules: Rules, now: datetime, currency: str, cents: int, minor: int
) -> None:
    person = OldCustomer("1", "a", balance_cents=cents)

    planned = queries.plan_all(customers=[person], rules=replace(rules, currency=currency), now=now)

    assert planned[0].balance == Money(minor, currency)


def test_marzban_comes_with_waiting_times_that_begin_now(
    shop: Shop, rules: Rules, now: datetime
) -> None:
    plan = PlanRule(shop.plan.code, "XD")
    rules = replace(rules, source="marzban", plans={"unlimited": plan, "53687091200-month": plan})

    planned, handed = take_over(read_source("marzban", DUMPS / "marzban.sql").customers, rules, now)

    assert fates(planned) == {
        "1": "time",
        "2": "time",
        "3": "used-up",
        "4": "over",
        "5": "banned",
        "6": "time",
        "7": "endless",
        "8": "endless",
    }
    assert {one.planned.customer.id: one.planned.ends_at for one in handed} == {
        "1": now + 60 * DAY,
        "2": now + 60 * DAY,
        "6": now + 30 * DAY,
    }
    assert books() == {}


# --- the register -----------------------------------------------------------------------------


def test_register_refuses_and_says_why(shop: Shop, rules: Rules, now: datetime) -> None:
    abroad = replace(rules, plans={"1": PlanRule(shop.plan.code, "CN")})
    before = Decision.objects.count()

    planned, handed = take_over(customers()[:5], abroad, now)

    assert fates(planned) == {
        "1": "staff", "2": "register", "3": "over", "4": "balance", "5": "banned"
    }  # fmt: skip
    assert "China" in planned[1].why
    assert [one.planned.customer.id for one in handed] == ["4"]
    assert not Subscription.objects.exists()
    decision = Decision.objects.order_by("sequence").last()
    assert decision is not None
    assert (decision.allowed, decision.line_code) == (False, shop.line.code)
    assert Decision.objects.count() == before + 1


def test_time_beyond_the_approval_stays(shop: Shop, now: datetime) -> None:
    rules = Rules("v2board", plans={"1": PlanRule(shop.plan.code, "XD")})
    person = OldCustomer("1", "a", "1", datetime(2031, 1, 1, tzinfo=UTC))

    planned, handed = take_over([person], rules, now)

    assert fates(planned) == {"1": "outlives"}
    assert handed == []


def test_plan_that_is_offered_nowhere_or_withdrawn_is_refused(
    shop: Shop, rules: Rules, now: datetime
) -> None:
    bare = shop.add_plan("Bare")

    planned, _ = take_over(
        customers()[1:2], replace(rules, plans={"1": PlanRule(bare.code, "XD")}), now
    )

    assert (planned[0].fate, planned[0].why) == (
        "register",
        "The plan is offered on no line, or was withdrawn.",
    )


def test_mapping_that_says_too_little_opens_nothing(shop: Shop, now: datetime) -> None:
    alice = customers()[1:2]

    unsaid, _ = take_over(alice, Rules("v2board", currency="CNY"), now)
    nowhere, _ = take_over(
        alice, Rules("v2board", currency="CNY", plans={"1": PlanRule(shop.plan.code, "")}), now
    )

    assert (unsaid[0].fate, nowhere[0].fate) == ("unmapped", "no-place")
    assert not Account.objects.exists()


def test_plan_that_is_not_there_is_named(now: datetime, db: None) -> None:  # noqa: ARG001 -- asks for the database
    with pytest.raises(MappingWrong) as refused:
        take_over(customers(), Rules("v2board", plans={"1": PlanRule("pln_NONE", "XD")}), now)

    assert str(refused.value) == "There is no plan pln_NONE. `ferriage list` shows plans."


def test_nobody_comes_while_the_clock_is_behind(rules: Rules, now: datetime) -> None:
    with pytest.raises(ClockBehind):
        take_over(customers(), rules, now - DAY)

    assert not Arrival.objects.exists()


# --- what is kept -----------------------------------------------------------------------------


def test_shop_keeps_no_name_and_no_link_to_the_other_shop(rules: Rules, now: datetime) -> None:
    take_over(customers(), rules, now)

    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 -- names from the database itself
            kept = repr(cursor.fetchall())
            assert "mail.example" not in kept, table
    hashes = list(Arrival.objects.order_by("pk").values_list("customer_hash", flat=True))
    assert hashes == sorted(hashes)


def test_arrivals_are_append_only(rules: Rules, now: datetime) -> None:
    take_over(customers(), rules, now)

    for change in (
        lambda: Arrival.objects.update(source="other"),
        lambda: Arrival.objects.all().delete(),
    ):
        with pytest.raises(DatabaseError, match="append-only"):
            _in_a_savepoint(change)


def _in_a_savepoint(change: object) -> None:
    from django.db import transaction

    with transaction.atomic():
        change()  # type: ignore[operator] -- one of two functions


def test_one_entry_says_what_was_done(rules: Rules, now: datetime) -> None:
    take_over(customers(), rules, now)

    entry = AuditEntry.objects.get(action="customers.came_over")
    run = Arrival.objects.values_list("run_code", flat=True).distinct().get()
    assert (entry.subject, entry.details) == (
        run,
        {"source": "v2board", "with_time": 3, "with_balance": 2},
    )
    assert audit.first_broken() is None


def test_number_of_statements_does_not_grow_with_the_page(rules: Rules, now: datetime) -> None:
    counts = []
    for size in (1, 30):
        page = [OldCustomer(f"{size}{n}", "a", "1", now + DAY) for n in range(size)]
        with CaptureQueriesContext(connection) as statements:
            take_over(page, rules, now)
        counts.append(len(statements))

    assert counts[0] == counts[1]


# --- the list of numbers ----------------------------------------------------------------------


def lines(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def keep_in(path: Path, people: Sequence[OldCustomer], rules: Rules, now: datetime) -> None:
    with NumberList(path) as numbers:
        actions.take_over(customers=people, rules=rules, keep=numbers.add, now=now, actor=COMMAND)


def test_list_names_each_with_number_and_is_for_its_owner_alone(
    shop: Shop, rules: Rules, now: datetime, tmp_path: Path
) -> None:
    path = tmp_path / "numbers.csv"

    keep_in(path, customers(), rules, now)

    head, *rows = lines(path)
    assert tuple(head) == COLUMNS
    assert path.stat().st_mode & 0o777 == 0o600
    assert [[cell for place, cell in enumerate(row) if place != 2] for row in rows] == [
        ["2", "alice@mail.example", shop.plan.name, "2026-03-31T12:00:00Z", "2.50 CNY"],
        ["4", "carol@mail.example", "", "", "19.99 CNY"],
        ["9", "'=HYPERLINK(1)@mail.example", shop.plan.name, "2026-03-01T12:00:01Z", ""],
        ["11", "debt@mail.example", shop.plan.name, "2027-03-01T12:00:00Z", ""],
    ]
    assert all(account_by_number(row[2]) for row in rows)


@pytest.mark.parametrize(
    "left",
    [
        b"",
        b"customer,na",
        b"customer,name,number,plan,until,balance\r\n",
        b"customer,name,number,plan,until,balance\r\n7,b,0000-0000-0000-0000,P,,\r\n",
        b"customer,name,number,plan,until,balance\r\n7,b,0000-0000-0000-0000,P,,\r\n8,c,00",
    ],
)
def test_list_forgets_what_was_never_committed(
    rules: Rules, now: datetime, tmp_path: Path, left: bytes
) -> None:
    path = tmp_path / "numbers.csv"
    path.touch(mode=0o600)
    path.write_bytes(left)

    keep_in(path, customers()[:5], rules, now)

    assert [row[0] for row in lines(path)] == ["customer", "2", "4"]


def test_list_keeps_what_was_committed_before(rules: Rules, now: datetime, tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    keep_in(path, customers()[:5], rules, now)
    first = lines(path)
    with path.open("ab") as file:
        file.write(b"7,b,0000-0000-0000-0000,P,,\r\n")

    keep_in(path, customers(), rules, now)

    assert lines(path)[:3] == first
    assert [row[0] for row in lines(path)] == ["customer", "2", "4", "9", "11"]


def test_list_that_others_may_read_or_that_is_another_file_is_refused(
    tmp_path: Path,
    db: None,  # noqa: ARG001 -- asks for the database
) -> None:
    open_to_all, other, link = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    open_to_all.touch()
    open_to_all.chmod(0o640)
    other.touch(mode=0o600)
    other.write_text("My diary\n")
    link.symlink_to(other)
    busy = tmp_path / "d"

    with NumberList(busy):
        for path, said in (
            (open_to_all, "not a file that only you may read"),
            (other, "it is another file"),
            (link, "symbolic links"),
            (tmp_path, "Is a directory"),
            (busy, "another import writes it"),
        ):
            with pytest.raises(ListUnusable, match=said), NumberList(path):
                pass

    assert other.read_text() == "My diary\n"


# --- the mapping file -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "“source” is a name"),
        ('source = "Old Shop"', "“source” is a name"),
        ('source = "x"\nplans = 3', "“plans” is a table"),
        ('source = "x"\nplace = "Sweden"', "“Sweden” is no place"),
        ('source = "x"\ncurrency = "cny"', "“cny” is no currency"),
        ('source = "x"\nplaces = "SE"', "no use for “places”"),
        ('source = "x"\nlanguage = 3', "“language” is a text in quotes"),
        ('source = "x"\nnever_until = "soon"', "“never_until” is a day"),
        ('source = "x"\nnever_until = 2027-01-01T00:00:00Z', "“never_until” is a day"),
        ('source = "x"\n[plans]\n1 = "pln_X"', "“plans.1” is a table"),
        ('source = "x"\n[plans.1]\nfor = "pln_X"', "no use for “for”"),
        ("source = ", "is no TOML"),
    ],
)
def test_mapping_that_cannot_be_meant_is_refused(text: str, said: str) -> None:
    with pytest.raises(MappingWrong) as refused:
        read(text)

    assert said in str(refused.value)


def test_mapping_takes_a_place_for_each_plan_and_runs_through_a_day() -> None:
    rules = read(
        'source = "old.shop-1"\nplace = "SE"\nnever_until = 2027-12-31\n'
        '[plans."1"]\nto = "pln_A"\n[plans."2"]\nto = "none"\nplace = "DE"\n'
    )

    assert rules.plans == {"1": PlanRule("pln_A", "SE"), "2": PlanRule("none", "DE")}
    assert rules.never_until == datetime(2028, 1, 1, tzinfo=UTC)
