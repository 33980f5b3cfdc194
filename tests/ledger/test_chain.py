"""The chain of the books, and the verifier that a stranger runs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, connection
from django.db.transaction import atomic
from django.test.utils import CaptureQueriesContext

from ferriage.core import chain
from ferriage.core.actors import Actor
from ferriage.core.money import Money
from ferriage.ledger import export, queries, verify
from ferriage.ledger.actions import Posting, TransferLine, post, post_all
from ferriage.ledger.actions.closing import close
from ferriage.ledger.models import ChainLink, LedgerTransaction, MonthFlow, Transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.django_db

OLGA = Actor("staff", "olga")
JANUARY = datetime(2026, 1, 10, 12, tzinfo=UTC)


def _posting(number: int, *, lines: int = 1) -> Posting:
    line = TransferLine("assets:bank", "liabilities:unallocated", Money(1000 + number, "CNY"))
    return Posting(f"pay_{number}", "receipt", (line,) * lines, f"付款 {number}")


def _post(*numbers: int, at: datetime = JANUARY) -> None:
    for number in numbers:
        post_all([_posting(number)], now=at)


def _close_january() -> None:
    now = datetime(2026, 2, 3, tzinfo=UTC)
    close(month=date(2026, 1, 1), check=queries.check, now=now, actor=OLGA)


def _lines() -> list[str]:
    return [f"{line}\n" for line in export.chain()]


def _found(lines: list[str]) -> list[str]:
    return list(verify.read([line.encode() for line in lines], verify.Books()))


def test_entries_follow_one_another_and_the_closing_is_one_of_them() -> None:
    _post(1, 2)
    _close_january()
    _post(3, at=datetime(2026, 2, 4, tzinfo=UTC))

    lines = _lines()

    kinds = [
        "closing" if "closing" in json.loads(line)["content"] else "entry" for line in lines[:-1]
    ]
    assert kinds == ["entry", "entry", "closing", "entry"]
    assert _found(lines) == []


def test_posting_many_takes_a_fixed_number_of_statements() -> None:
    _post(0)
    counts = []
    for numbers in (range(1, 3), range(10, 90)):
        with CaptureQueriesContext(connection) as asked:
            post_all([_posting(number) for number in numbers], now=JANUARY)
        counts.append([query["sql"].split()[0] for query in asked])

    assert counts[0] == counts[1]


def _altered(lines: list[str]) -> list[str]:
    return [lines[0], lines[1].replace("1002", "9002"), *lines[2:]]


def _written_anew(lines: list[str]) -> list[str]:
    """Alter the second entry and make its hash right again."""
    entry = json.loads(lines[1])
    entry["content"]["transfers"][0][2] = 9002
    entry["hash"] = chain.link(entry["previous"], entry["content"])
    return [lines[0], verify.canonical(entry) + "\n", *lines[2:]]


def _inserted(lines: list[str]) -> list[str]:
    entry = json.loads(lines[1])
    entry["content"]["source"] = "pay_forged"
    entry["hash"] = chain.link(entry["previous"], entry["content"])
    return [lines[0], verify.canonical(entry) + "\n", *lines[1:]]


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        (_altered, "Entry 2 was altered: it is not what its hash was made of."),
        (
            _written_anew,
            "Entry 3 does not follow entry 2: one of the two was inserted or written anew.",
        ),
        (lambda x: x[:1] + x[2:], "Entry 2 is missing before entry 3."),
        (lambda x: x[:1] + x[3:], "Entries 2-3 are missing before entry 4."),
        (lambda x: [x[0], x[2], x[1], *x[3:]], "Entry 2 is missing before entry 3."),
        (_inserted, "Entry 2 stands there twice, or was moved behind entry 2."),
        (lambda x: x[:-1], "The file is cut off after entry 4: its last line is missing."),
        (lambda x: x[:3] + x[-1:], "The books end at entry 3; the file was made with 4."),
        (lambda x: [*x[:2], "\n", *x[2:]], "Line 3 is no entry as this program writes them."),
        (lambda x: [*x, x[0]], "Line 6 stands after the end."),
    ],
)
def test_spoiled_file_is_found_and_the_entry_named(
    spoil: Callable[[list[str]], list[str]], finding: str
) -> None:
    _post(1, 2, 3, 4)

    assert _found(spoil(_lines()))[0] == finding


@pytest.mark.parametrize("form", [export.csv, export.beancount])
def test_other_export_is_named_as_none_of_the_chain(form: Callable[[], Iterator[str]]) -> None:
    _post(1, 2, 3)

    assert _found([f"{line}\n" for line in form()]) == [verify.NO_CHAIN]


def test_every_single_byte_counts() -> None:
    _post(1)
    data = "".join(_lines()).encode()

    for place in range(len(data)):
        spoiled = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        assert list(verify.read(spoiled.splitlines(keepends=True), verify.Books())), place


def test_closing_with_other_balances_than_its_entries_is_found() -> None:
    _post(1)
    _close_january()
    lines = _lines()
    entry = json.loads(lines[1])
    entry["content"]["balances"][0][2] += 1
    entry["hash"] = chain.link(entry["previous"], entry["content"])

    found = _found([lines[0], verify.canonical(entry) + "\n", lines[2]])

    assert found[0] == "Entry 2 closes 2026-01 with other balances than entries make."


def test_program_runs_by_itself_and_compares_with_an_older_export(tmp_path: Path) -> None:
    _post(1, 2)
    older = tmp_path / "older.jsonl"
    older.write_text("".join(_lines()))
    _post(3)
    newer, forged = tmp_path / "newer.jsonl", tmp_path / "forged.jsonl"
    touched = tmp_path / "touched.jsonl"
    touched.write_text("".join(_lines()).replace('"number":1,', '"number":1,"more":1,'))
    newer.write_text("".join(_lines()))
    forged.write_text("".join(_rewritten(_lines())))
    program = tmp_path / "verify.py"
    program.write_bytes(Path(verify.__file__).read_bytes())

    def run(*arguments: Path | str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-I", str(program), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout.partition("; head")[0].strip()

    assert run(newer, "--since", older) == (0, "3 entries, unbroken")
    assert run(forged) == (0, "3 entries, unbroken")
    assert run(forged, "--since", older) == (
        1,
        "Entry 2 is not the one that the older export holds.",
    )
    assert run(older, "--since", newer) == (
        1,
        "The older export holds entry 3; this one ends before it.",
    )
    assert run(newer, "--since", touched) == (
        1,
        "In the older export: Entry 1 was altered: it is not what its hash was made of.",
    )
    assert run(newer, "--head", "0" * 64)[0] == 1
    assert run(tmp_path / "none")[0] == 2


def _rewritten(lines: list[str]) -> list[str]:
    """Alter the second entry and write all from there on anew, as whoever holds the books could."""
    first, *rest = [json.loads(line) for line in lines[:-1]]
    end = json.loads(lines[-1])["end"]
    rest[0]["content"]["description"] = "another word"
    made, previous = [first], first["hash"]
    for entry in rest:
        hash_ = chain.link(previous, entry["content"])
        made.append({"content": entry["content"], "hash": hash_, "previous": previous})
        previous = hash_
    return [
        *(verify.canonical(entry) + "\n" for entry in made),
        verify.end_line(count=end["count"], head=previous, balances=end["balances"]) + "\n",
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_chainlink SET hash = 'x'",
        "DELETE FROM ledger_chainlink",
        "UPDATE ledger_closing SET closed_by = 'x'",
        "DELETE FROM ledger_closing",
    ],
)
def test_database_refuses_to_change_chain_and_closings(statement: str) -> None:
    _post(1)
    _close_january()

    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_database_refuses_one_more_transfer_of_a_chained_transaction() -> None:
    _post(1)
    row = Transfer.objects.get()
    row.pk = None

    with pytest.raises(DatabaseError, match="takes no more transfers"):
        row.save(force_insert=True)


@pytest.mark.parametrize("wrong", [{"number": 3}, {"previous_hash": "f" * 64}])
def test_database_refuses_a_link_that_does_not_follow(wrong: dict[str, object]) -> None:
    _post(1)
    last = ChainLink.objects.get()
    values = {"number": 2, "previous_hash": last.hash, "hash": "e" * 64, "closing_id": 1} | wrong

    with pytest.raises(DatabaseError, match="follows the last one"):
        ChainLink.objects.create(**values)


def test_database_refuses_what_is_dated_in_a_closed_month() -> None:
    _post(1)
    _close_january()
    last = datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC)

    with pytest.raises(DatabaseError, match="closed month"), atomic():
        LedgerTransaction.objects.create(source_code="x", kind="x", posted_at=last)
    with pytest.raises(DatabaseError, match="closed month"), atomic():
        MonthFlow.objects.update(amount_minor=1)
    LedgerTransaction.objects.create(
        source_code="x", kind="x", posted_at=last + timedelta(microseconds=1)
    )


def test_sums_of_months_are_what_their_transfers_make() -> None:
    _post(1, 2)
    post_all([_posting(3, lines=2)], now=JANUARY + timedelta(days=30))

    flows = MonthFlow.objects.order_by("month").values_list("month", "amount_minor", "entries")

    assert list(flows) == [(date(2026, 1, 1), 2003, 2), (date(2026, 2, 1), 2006, 2)]
    assert queries.check() == []


def test_sum_that_differs_is_found() -> None:
    _post(1)
    MonthFlow.objects.update(amount_minor=1)

    (finding,) = queries.check()

    assert finding.account == "assets:bank from liabilities:unallocated"
    assert finding.message == "2026-01 is kept as (1, 1), its entries make (1001, 1)"


def test_balance_at_an_instant_within_a_month() -> None:
    _post(1)
    _post(2, at=JANUARY + timedelta(days=2))
    _post(3, at=JANUARY + timedelta(days=40))

    balances = [
        queries.balance("assets:bank", "CNY", at=JANUARY + timedelta(days=days))
        for days in (-40, 0, 1, 2, 40)
    ]

    assert balances == [0, 1001, 1001, 2003, 3006]


def test_unknown_account_is_found() -> None:
    line = TransferLine("assets:bank", "liabilities:somewhere", Money(1, "CNY"))
    post(source_code="x", kind="x", transfers=[line], description="", now=JANUARY)

    assert [(found.account, found.message) for found in queries.check()] == [
        ("liabilities:somewhere CNY", "is not in the chart of accounts")
    ]


def test_words_of_an_entry_are_part_of_its_hash() -> None:
    posting = replace(_posting(1), description='a\u2028b\n"c"')
    post_all([posting], now=JANUARY)

    assert _found(_lines()) == []
