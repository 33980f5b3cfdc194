"""Tables of the three systems, as their own programs dump them, with the rows that go wrong."""

from __future__ import annotations

import contextlib
import gzip
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ferriage.arrivals.mapping import draft, read
from ferriage.arrivals.sources import OldCustomer, OldPlan, SourceWrong
from ferriage.arrivals.sources import read as read_source

DUMPS = Path(__file__).with_name("dumps")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

ALICE = OldCustomer("2", "alice@mail.example", "1", NOW + 30 * DAY, balance_cents=250)


def test_v2board_comes_with_plans_ends_and_balances() -> None:
    source = read_source("v2board", DUMPS / "v2board.sql")

    month = NOW + 30 * DAY
    assert source.plans == (
        OldPlan(
            "1",
            "基础 'Basic', 100 GiB, 10.00 for 1 month, 50.00 for 6 months, 90.00 for 12 months, "
            "120.00 for 24 months",
        ),
        OldPlan("2", "Traffic, once, 500 GiB, 50.00 for once"),
        OldPlan("3", "Old \\ gone, 50 GiB, 1.00 for 1 month"),
    )
    assert source.customers == (
        OldCustomer("1", "boss@shop.example", shut="staff"),
        ALICE,
        OldCustomer("3", "o'brien@mail.example", "1", NOW - DAY),
        OldCustomer("4", "carol@mail.example", "1", NOW - DAY, balance_cents=1999),
        OldCustomer("5", "banned@mail.example", "1", month, shut="banned", balance_cents=500),
        OldCustomer("6", "once@mail.example", "2", endless=True),
        OldCustomer("7", "new@mail.example"),
        OldCustomer("8", "gone@mail.example", "3", NOW + 10 * DAY),
        OldCustomer(
            "9", "=HYPERLINK(1)@mail.example", "1", NOW + DAY / 86400, commission_cents=320
        ),
        OldCustomer("10", "far@mail.example", "1", endless=True),
        OldCustomer("11", "debt@mail.example", "1", NOW + 365 * DAY, balance_cents=-100),
    )


XBOARD = (
    OldCustomer("1", "admin@demo.example", shut="staff"),
    OldCustomer("2", "alice@mail.example", "1", NOW + 30 * DAY, balance_cents=1050),
    # Whoever signs up there has an end of NULL and no plan: nothing is held.
    OldCustomer("3", "plain@mail.example", balance_cents=700),
    OldCustomer("4", "trial@mail.example", "2", endless=True),
)


def test_xboard_comes_with_prices_kept_as_json() -> None:
    source = read_source("xboard", DUMPS / "xboard.sql")

    assert source.plans == (
        OldPlan("1", 'Five "devices", 100 GiB, 10 for 1 month, 50.5 for 6 months'),
        OldPlan("2", "Free, 100 GiB"),
    )
    assert source.customers == XBOARD


def test_xboard_on_sqlite_says_the_same_as_its_dump(tmp_path: Path) -> None:
    file = tmp_path / "database.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE v2_plan (id INTEGER, name TEXT, prices TEXT)")
        database.execute("INSERT INTO v2_plan VALUES (1, 'Basic', '[]'), (2, 'Free', NULL)")
        database.execute(
            "CREATE TABLE v2_user (id INTEGER, email TEXT, plan_id INTEGER, expired_at INTEGER,"
            " balance INTEGER, commission_balance INTEGER, banned INTEGER, is_admin INTEGER,"
            " is_staff INTEGER)"
        )
        end = int((NOW + 30 * DAY).timestamp())
        database.executemany(
            "INSERT INTO v2_user VALUES (?, ?, ?, ?, ?, 0, 0, ?, 0)",
            [
                (1, "admin@demo.example", None, None, 0, 1),
                (2, "alice@mail.example", 1, end, 1050, 0),
                (3, "plain@mail.example", None, None, 700, 0),
                (4, "trial@mail.example", 2, None, 0, 0),
            ],
        )
        database.commit()

    source = read_source("xboard", file)

    assert source.plans == (OldPlan("1", "Basic"), OldPlan("2", "Free"))
    assert source.customers == XBOARD


MARZBAN = (
    OldCustomer("1", "ali_reza", "unlimited", NOW + 60 * DAY),
    OldCustomer("2", "monthly", "53687091200-month", NOW + 60 * DAY),
    OldCustomer("3", "usedup", "21474836480-no_reset", NOW + 60 * DAY, shut="used-up"),
    OldCustomer("4", "expired1", "unlimited", NOW - DAY),
    OldCustomer("5", "off", "unlimited", NOW + 60 * DAY, shut="banned"),
    OldCustomer("6", "waits", "unlimited", lasts=30 * DAY),
    OldCustomer("7", "forever", "unlimited", endless=True),
    OldCustomer("8", "never", "unlimited", endless=True),
)


def test_marzban_comes_with_what_was_sold_in_place_of_plans() -> None:
    source = read_source("marzban", DUMPS / "marzban.sql")

    assert source.plans == (
        OldPlan("21474836480-no_reset", "20 GiB in all"),
        OldPlan("53687091200-month", "50 GiB a month"),
        OldPlan("unlimited", "no limit"),
    )
    assert source.customers == MARZBAN


def test_marzban_on_sqlite_says_the_same_as_its_dump(tmp_path: Path) -> None:
    file = tmp_path / "db.sqlite3"
    end = int((NOW + 60 * DAY).timestamp())
    gibibyte = 1 << 30
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute(
            "CREATE TABLE users (id INTEGER NOT NULL, username VARCHAR(34) COLLATE NOCASE,"
            " status VARCHAR(8) NOT NULL, used_traffic BIGINT, data_limit BIGINT, expire INTEGER,"
            " data_limit_reset_strategy VARCHAR(8) NOT NULL, on_hold_expire_duration BIGINT)"
        )
        database.executemany(
            "INSERT INTO users VALUES (?, ?, ?, 0, ?, ?, ?, ?)",
            [
                (1, "ali_reza", "active", None, end, "no_reset", None),
                (2, "monthly", "limited", 50 * gibibyte, end, "month", None),
                (3, "usedup", "limited", 20 * gibibyte, end, "no_reset", None),
                (4, "expired1", "expired", None, int((NOW - DAY).timestamp()), "no_reset", None),
                (5, "off", "disabled", 0, end, "no_reset", None),
                (6, "waits", "on_hold", None, None, "no_reset", 30 * 86400),
                (7, "forever", "active", None, 0, "no_reset", None),
                (8, "never", "active", None, None, "no_reset", None),
            ],
        )
        database.commit()

    assert read_source("marzban", file).customers == MARZBAN


def test_marzban_that_waits_for_ever_has_no_end(tmp_path: Path) -> None:
    dump = (DUMPS / "marzban.sql").read_text().replace(str(30 * 86400), "9999999999999")
    (tmp_path / "dump.sql").write_text(dump)

    waits = read_source("marzban", tmp_path / "dump.sql").customers[5]

    assert waits == OldCustomer("6", "waits", "unlimited", endless=True)


@pytest.mark.parametrize(
    ("system", "change", "said"),
    [
        ("v2board", ("CREATE TABLE `v2_user`", "CREATE TABLE `v3_user`"), "come before its CREATE"),
        ("v2board", ("`v2_user`", "`v3_user`"), "There is no table v2_user"),
        ("v2board", ("'alice@mail.example'", "now()"), "neither text nor a number"),
        ("v2board", ("NULL,250,NULL", "NULL,'2.50',NULL"), "Column balance of row 2 holds 2.50"),
        ("v2board", ("'new@mail.example'", "'new@mail.example"), "neither text nor a number"),
        ("v2board", ("-- Dump completed", "-- "), "does not say at its end that it is complete"),
        ("marzban", ("(8, 'never'", "(7, 'never'"), "Customer 7 is there twice"),
    ],
)
def test_dump_that_is_not_whole_is_refused(
    tmp_path: Path, system: str, change: tuple[str, str], said: str
) -> None:
    dump = (DUMPS / f"{system}.sql").read_text()
    assert change[0] in dump
    (tmp_path / "dump.sql").write_text(dump.replace(*change))

    with pytest.raises(SourceWrong) as refused:
        read_source(system, tmp_path / "dump.sql")

    assert said in str(refused.value)


@pytest.mark.parametrize("system", ["v2board", "xboard", "marzban"])
def test_dump_is_refused_wherever_it_was_cut(tmp_path: Path, system: str) -> None:
    dump = (DUMPS / f"{system}.sql").read_bytes()
    completed = dump.rindex(b"-- Dump completed")
    file = tmp_path / "dump.sql"

    for length in range(100, completed, 61):
        file.write_bytes(dump[:length])
        with pytest.raises(SourceWrong):
            read_source(system, file)


def test_other_files_are_refused_with_what_to_do(tmp_path: Path) -> None:
    packed, broken = tmp_path / "dump.sql.gz", tmp_path / "broken.sqlite"
    packed.write_bytes(gzip.compress((DUMPS / "v2board.sql").read_bytes()))
    broken.write_bytes(b"SQLite format 3\0" + b"\1" * 5000)

    for file, said in (
        (packed, "Unpack it first"),
        (broken, "cannot be read"),
        (tmp_path / "none.sql", "No such file"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(SourceWrong) as refused:
            read_source("v2board", file)
        assert said in str(refused.value)


def test_draft_is_a_mapping_file_with_nothing_answered() -> None:
    source = read_source("v2board", DUMPS / "v2board.sql")

    rules = read(draft(source))

    assert (rules.source, rules.place, rules.currency, rules.never_until) == (
        "v2board",
        "",
        "",
        None,
    )
    assert {key: rule.to for key, rule in rules.plans.items()} == {"1": "", "2": "", "3": ""}
    assert "# 基础 'Basic', 100 GiB, 10.00 for 1 month" in draft(source)
    assert "# What their balances are in (ISO 4217, such as CNY). 4 have one." in draft(source)
