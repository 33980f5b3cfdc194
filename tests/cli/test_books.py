"""The books on the command line: export, verify, close."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from running_ferriage import ferriage

if TYPE_CHECKING:
    from pathlib import Path


def test_export_goes_to_a_new_file_and_is_verified_without_the_shop(
    shop: Path, tmp_path: Path
) -> None:
    first = ferriage(shop, "ledger", "export", "--format", "chain", "books.jsonl")
    again = ferriage(shop, "ledger", "export", "--format", "chain", "books.jsonl")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (shop / "books.jsonl").rename(elsewhere / "books.jsonl")

    verified = ferriage(elsewhere, "ledger", "verify", "books.jsonl")

    assert (first.returncode, first.stdout) == (0, "wrote books.jsonl\n")
    assert (again.returncode, again.stderr) == (1, "ferriage: books.jsonl: File exists.\n")
    assert verified.stdout == f"0 entries, unbroken; head {'0' * 64}\n"


def test_file_that_was_cut_is_refused_and_one_that_is_not_there_named(tmp_path: Path) -> None:
    (tmp_path / "cut.jsonl").write_text("")

    cut = ferriage(tmp_path, "ledger", "verify", "cut.jsonl")
    none = ferriage(tmp_path, "ledger", "verify", "none.jsonl")

    assert cut.returncode == 1
    assert "cut off after entry 0" in cut.stderr
    assert (none.returncode, none.stderr) == (
        1,
        "ferriage: none.jsonl: No such file or directory.\n",
    )


def test_chain_on_standard_output_is_the_file(shop: Path) -> None:
    done = ferriage(shop, "ledger", "export", "--format", "chain")

    assert json.loads(done.stdout) == {"end": {"balances": [], "count": 0, "head": "0" * 64}}


def test_month_that_is_none_or_not_over_is_not_closed(shop: Path) -> None:
    none = ferriage(shop, "ledger", "close", "October")
    future = ferriage(shop, "ledger", "close", "2999-01")

    assert none.returncode == 2
    assert "October is no month such as 2026-10" in none.stderr
    assert future.returncode == 1
    assert "2999-01 is not over" in future.stderr
