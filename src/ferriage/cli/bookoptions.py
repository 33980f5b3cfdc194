"""Commands about the books, and about customers who bring theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.cli.adding import command, group

if TYPE_CHECKING:
    import argparse

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 -- has no other name


def ledger(commands: Commands) -> None:
    """Add what is done with the books."""
    books = group(commands, "ledger", "the books")
    command(books, "check", "books:check", "hold the books against their rules")
    export = command(
        books,
        "export",
        "books:export",
        "write the books for another program",
        example="ledger export --format beancount books.beancount",
    )
    export.add_argument("file", nargs="?", metavar="FILE", help="a new file (standard output)")
    export.add_argument("--format", choices=("beancount", "csv", "chain"), default="beancount")
    _months(books)
    command(books, "balance", "books:balance", "print the trial balance")


def _months(books: Commands) -> None:
    verify = command(
        books,
        "verify",
        "bookfile:verify",
        "follow an exported chain of the books; needs no shop, no database and no network",
        example="ledger verify books.jsonl --since books-of-last-month.jsonl",
    )
    verify.add_argument("file", metavar="FILE", help="what `ledger export --format chain` wrote")
    verify.add_argument("--since", metavar="OLDER", help="an earlier export, which must be in it")
    verify.add_argument("--head", help="hash of the last entry, as it was noted elsewhere")
    close = command(
        books,
        "close",
        "books:close",
        "settle the partners' shares of a month that is over, and close it",
        example="ledger close 2026-10",
    )
    close.add_argument("month", metavar="YYYY-MM")


def demo_books(commands: Commands) -> None:
    """Add the story's books."""
    books = command(
        commands,
        "demo-books",
        "demobooks:run",
        "sell what the newspaper's two shops sold, and show that the books add up to the fen",
        example="demo-books --dir .demo-books",
    )
    books.add_argument("--dir", help="keep the books and exports in this new directory")


def import_from(commands: Commands) -> None:
    """Add the way over from other systems."""
    coming = command(
        commands,
        "import",
        "arrivals:run",
        "take over customers of V2Board, Xboard or Marzban; without --apply only report",
        example="import v2board dump.sql\n  ferriage import v2board dump.sql --apply",
    )
    coming.add_argument("system", choices=("v2board", "xboard", "marzban"))
    coming.add_argument("source", metavar="SOURCE", help="MySQL dump or SQLite file")
    coming.add_argument("--mapping", metavar="FILE", help="plans (import-SYSTEM.toml)")
    coming.add_argument("--apply", action="store_true", help="do what the report says")
    coming.add_argument("--list", metavar="FILE", help="new numbers (import-SYSTEM-numbers.csv)")
    coming.add_argument("--report", metavar="FILE", help="write a line for each customer here")
