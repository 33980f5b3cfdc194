"""`ferriage import` as an operator types it: report, mapping file, and for good."""

from __future__ import annotations

import contextlib
import csv
import sqlite3
from pathlib import Path

import pytest

from running_ferriage import ferriage

DUMPS = Path(__file__).parents[1] / "arrivals" / "dumps"
DUMP = str(DUMPS / "v2board.sql")
ENDS, LONG = ("1774958400", "1803902400"), "4000000000"
"""Where the time of customers 2 and 11 ends in the dump, and an end that this test never sees."""
CONCLUSION = (
    "We read the act and find that no permission is asked for.\nThe act that we read\n"
    "chapter 2, section 1\n2026-11-01\nOlga Harbour\nyes\n"
)
OPENED = "SE\n\n\nHarbour AB\n\n\n\n" + CONCLUSION * 4


@pytest.fixture
def board(shop: Path) -> Path:
    """A shop whose line is planned and not open yet."""
    done = ferriage(shop, "init", "--local", stdin=OPENED)
    assert done.returncode == 0, done.stderr
    return shop


def _plan(shop: Path) -> str:
    with contextlib.closing(sqlite3.connect(shop / "data/ferriage.sqlite3")) as database:
        return str(database.execute("SELECT code FROM plans_plan ORDER BY id").fetchone()[0])


def _accounts(shop: Path) -> int:
    with contextlib.closing(sqlite3.connect(shop / "data/ferriage.sqlite3")) as database:
        return int(database.execute("SELECT count(*) FROM accounts_account").fetchone()[0])


def test_first_report_writes_a_mapping_and_changes_nothing(board: Path) -> None:
    done = ferriage(board, "import", "v2board", DUMP)

    mapping = board / "import-v2board.toml"
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "Wrote import-v2board.toml: say there what each plan becomes, and run this again.\n\n"
        "11 customers\n"
    )
    assert "Nothing was changed. Add `--apply`" in done.stdout
    assert mapping.stat().st_mode & 0o777 == 0o600
    assert _accounts(board) == 0


def _mapped(board: Path, place: str) -> None:
    """Fill in the mapping file for plan 1, and let times end later than today."""
    ferriage(board, "import", "v2board", DUMP)
    mapping = board / "import-v2board.toml"
    text = mapping.read_text().replace('place = ""', f'place = "{place}"')
    text = text.replace('currency = ""', 'currency = "SEK"')
    mapping.write_text(text.replace('to = ""', f'to = "{_plan(board)}"', 1))
    dump = Path(DUMP).read_text()
    for end in ENDS:
        dump = dump.replace(end, LONG)
    (board / "dump.sql").write_text(dump)


def test_import_takes_over_who_may_come_and_lists_the_numbers(board: Path) -> None:
    _mapped(board, "SE")
    with contextlib.closing(sqlite3.connect(board / "data/ferriage.sqlite3")) as database:
        database.execute("UPDATE plans_plan SET quota_bytes = 100000000000")
        database.commit()

    report = ferriage(board, "import", "v2board", "dump.sql", "--report", "who.csv")
    done = ferriage(board, "import", "v2board", "dump.sql", "--apply")
    again = ferriage(board, "import", "v2board", "dump.sql", "--apply")

    assert (report.returncode, done.returncode, again.returncode) == (0, 0, 0)
    with (board / "who.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (board / "who.csv").stat().st_mode & 0o777 == 0o600
    assert rows[0] == {
        "customer": "1",
        "name": "boss@shop.example",
        "plan there": "",
        "outcome": "staff",
        "why": "are staff of the other shop",
    }
    assert "get a plan with a quota, and a whole month of it" in report.stdout
    assert "come with a balance alone" in done.stdout
    assert "Balances that come: 22.49 SEK; the shop owes them from the start." in done.stdout
    assert "The numbers of those who came are in import-v2board-numbers.csv" in done.stdout
    with (board / "import-v2board-numbers.csv").open(newline="") as file:
        numbers = list(csv.DictReader(file))
    assert [(row["customer"], row["plan"], row["balance"]) for row in numbers] == [
        ("2", "Home", "2.50 SEK"),
        ("4", "", "19.99 SEK"),
        ("11", "Home", ""),
    ]
    assert _accounts(board) == 3
    assert "      3  came before\n" in again.stdout
    assert done.stdout.endswith("\n3 came over now.\n")
    assert again.stdout.endswith(
        "\nNobody came over now.\n3 came over before; nothing was done twice for them.\n"
    )
    assert "The numbers of those who came" not in again.stdout
    with (board / "import-v2board-numbers.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == numbers


def test_import_says_what_the_register_refuses(board: Path) -> None:
    _mapped(board, "CN")

    done = ferriage(board, "import", "v2board", "dump.sql", "--apply")

    assert done.returncode == 0, done.stderr
    assert "      2  may not be served: the register refuses\n" in done.stdout
    assert "2 customers in CN do not get Home: " in done.stdout
    assert _accounts(board) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("v2board", DUMP, "--apply"), 1, "There is no mapping file import-v2board.toml"),
        (("v2board", "none.sql"), 1, "No such file"),
        (("marzban", DUMP), 1, "There is no table users"),
        (("v2board", "mysql://root@localhost/v2board"), 2, "mysqldump --single-transaction"),
    ],
)
def test_import_that_cannot_be_says_what_to_do(
    shop: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = ferriage(shop, "import", *arguments)

    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
