"""The newspaper's two shops, played with nothing but the program."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from running_ferriage import ferriage

BEAN_CHECK = Path(sys.executable).with_name("bean-check")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Play once; return the directory and what was said."""
    directory = tmp_path_factory.mktemp("demo-books")
    # A database of somebody's shop in the environment must not be touched, or even opened.
    done = ferriage(
        directory,
        *("demo-books", "--dir", "made"),
        FERRIAGE_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return directory / "made", done.stdout


def test_one_seller_took_1080_and_every_yuan_has_a_place(played: tuple[Path, str]) -> None:
    sums = re.findall(r"([\d.]+) CNY received = ([\d.]+) .* \+ ([\d.]+) .* \+ ([\d.]+) ", played[1])

    one = [tuple(map(Decimal, row)) for row in sums if row[0] == "1080.00"]
    assert len(one) == 2
    assert all(received == sum(parts) for received, *parts in one)
    assert one[1][2] == 0


def test_two_partners_shares_add_up_to_the_fen(played: tuple[Path, str]) -> None:
    rows = _transfers(played[0] / "two-partners" / "books.csv")
    shares = {
        name: sum(row.amount for row in rows if row.credit == f"liabilities:partner:{name}")
        for name in ("anna", "bo")
    }
    paid = {
        name: sum(row.amount for row in rows if row.debit == f"liabilities:partner:{name}")
        for name in ("anna", "bo")
    }
    kept = re.search(r"the operator keeps ([\d.]+) CNY", played[1])
    assert kept is not None

    assert sum(row.amount for row in rows if row.kind == "receipt") == Decimal(14_000)
    assert sum(row.amount for row in rows if row.credit.startswith("income:")) == Decimal(14_000)
    assert shares == paid
    assert Decimal(kept[1]) + sum(shares.values()) == Decimal(14_000)


@pytest.mark.parametrize("shop", ["one-seller", "two-partners"])
def test_strangers_programs_accept_the_exports(played: tuple[Path, str], shop: str) -> None:
    books = played[0] / shop
    text = (books / "books.beancount").read_text()
    spoiled = books / "spoiled.beancount"
    spoiled.write_text(re.sub(r"(balance Income:\w+  -?\d+)\.", r"\g<1>1.", text, count=1))

    assert _bean_check(books / "books.beancount").returncode == 0
    assert _bean_check(spoiled).returncode != 0
    assert ferriage(books, "ledger", "verify", "books.jsonl").returncode == 0
    assert text.count(" balance ") > 10


def test_directory_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()

    done = ferriage(tmp_path, "demo-books", "--dir", "mine")

    assert done.returncode == 1
    assert "mine is there already" in done.stderr
    assert list((tmp_path / "mine").iterdir()) == []


class _Row:
    def __init__(self, cells: dict[str, str]) -> None:
        self.kind, self.debit, self.credit = cells["kind"], cells["debit"], cells["credit"]
        self.amount = Decimal(cells["amount"])


def _transfers(path: Path) -> list[_Row]:
    with path.open(newline="") as file:
        return [_Row(cells) for cells in csv.DictReader(file)]


def _bean_check(path: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(BEAN_CHECK), str(path)], capture_output=True, check=False, timeout=120
    )
