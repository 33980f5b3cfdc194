"""Checks the books of Ferriage from a file. It needs Python 3.9 or later and nothing else.

    python verify.py FILE
    python verify.py FILE --since OLDER
    python verify.py FILE --head HASH

FILE is what `ferriage ledger export --format chain FILE` wrote: one line an entry, oldest first.
Each hash covers the entry's bytes and the hash before, so one altered byte anywhere is found. Who
writes every line from one on anew makes a chain that is sound in itself: compare it with an OLDER
export, or its last hash with one that was noted elsewhere. The OLDER export is checked first.

Exit code 0: the books are whole. 1: the findings say what is not. 2: a file cannot be read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Iterable, Iterator  # noqa: UP035 -- it runs on Pythons older than ours, too

GENESIS = "0" * 64
MOST_FINDINGS = 20
LINE = re.compile(rb'\{"content":(\{.*\}),"hash":"([0-9a-f]{64})","previous":"([0-9a-f]{64})"\}\n')
START = b'{"'
NO_CHAIN = (
    "This file is no export of the chain, so nothing was checked. Write one with "
    "`ferriage ledger export --format chain FILE`."
)
END = re.compile(rb'\{"end":(\{.*\})\}\n')


def canonical(content: Any) -> str:
    """Return the one text that hashes are made of: keys sorted, no spaces, no escapes."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def line(content: dict[str, Any], *, hash_: str, previous: str) -> str:
    """Return one entry as a line of the file."""
    return canonical({"content": content, "hash": hash_, "previous": previous})


def end_line(*, count: int, head: str, balances: list[list[Any]]) -> str:
    """Return the last line, without which a file was cut off."""
    return canonical({"end": {"balances": balances, "count": count, "head": head}})


@dataclass
class Books:
    """What was read so far. `sums` are by month, account and currency: debit less credit."""

    count: int = 0
    head: str = GENESIS
    closed: str = ""
    ended: bool = False
    seen: set[int] = field(default_factory=set)
    sums: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def balances(self, until_month: str = "") -> list[list[Any]]:
        """Return what every account holds, up to the end of a month; zeros are left out."""
        found: Counter[tuple[str, str]] = Counter()
        for (month, account, currency), minor in self.sums.items():
            if not until_month or month <= until_month:
                found[account, currency] += minor
        return [[*key, minor] for key, minor in sorted(found.items()) if minor]


def read(lines: Iterable[bytes], books: Books) -> Iterator[str]:
    """Follow the chain into `books`; yield everything that is not as it was written."""
    for number, text in enumerate(lines, start=1):
        if books.ended:
            yield f"Line {number} stands after the end."
            return
        if number == 1 and not text.startswith(START):
            yield NO_CHAIN
            return
        entry, end = LINE.fullmatch(text), END.fullmatch(text)
        try:
            if entry:
                yield from _entry(entry, books)
            elif end:
                books.ended = True
                yield from _end(json.loads(end[1]), books)
            else:
                yield f"Line {number} is no entry as this program writes them."
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            yield f"Line {number} cannot be read as an entry: {error!r}."
    if not books.ended:
        yield f"The file is cut off after entry {books.count}: its last line is missing."


def _entry(found: re.Match[bytes], books: Books) -> Iterator[str]:
    content = json.loads(found[1])
    number, hash_, previous = content["number"], found[2].decode(), found[3].decode()
    if hashlib.sha256(found[3] + b"\n" + found[1]).hexdigest() != hash_:
        yield f"Entry {number} was altered: it is not what its hash was made of."
    yield from _place(number, previous, books)
    books.seen.add(number)
    if number > books.count:  # One that was moved here does not take the place of the one before.
        books.count, books.head = number, hash_
    if "closing" in content:
        yield from _closing(content, books)
    else:
        yield from _transaction(content, books)


def _place(number: int, previous: str, books: Books) -> Iterator[str]:
    """Hold an entry's number and the hash that it names against the entry before."""
    wanted = books.count + 1
    if number in books.seen:
        yield f"Entry {number} stands there twice, or was moved behind entry {books.count}."
    elif number < wanted:
        yield f"Entry {number} was moved: it stands behind entry {books.count}."
    elif number > wanted:
        gap = f"Entry {wanted} is" if number == wanted + 1 else f"Entries {wanted}-{number - 1} are"
        yield f"{gap} missing before entry {number}."
    elif previous != books.head:
        yield (
            f"Entry {number} does not follow entry {books.count}: one of the two was inserted or "
            "written anew."
        )


def _transaction(content: dict[str, Any], books: Books) -> Iterator[str]:
    number, month = content["number"], content["at"][:7]
    if month <= books.closed:
        yield f"Entry {number} is dated in {month}, which was closed before."
    if not content["transfers"]:
        yield f"Entry {number} moves nothing."
    for debit, credit, minor, currency in content["transfers"]:
        if minor <= 0 or debit == credit:
            yield f"Entry {number} holds a transfer that moves nothing."
        books.sums[month, debit, currency] += minor
        books.sums[month, credit, currency] -= minor


def _closing(content: dict[str, Any], books: Books) -> Iterator[str]:
    month = content["closing"]
    if month <= books.closed:
        yield f"Entry {content['number']} closes {month}, which was closed before."
    books.closed = max(month, books.closed)
    if content["balances"] != books.balances(month):
        yield f"Entry {content['number']} closes {month} with other balances than entries make."


def _end(content: dict[str, Any], books: Books) -> Iterator[str]:
    if content["count"] != books.count:
        yield f"The books end at entry {books.count}; the file was made with {content['count']}."
    elif content["head"] != books.head:
        yield f"Entry {books.count} is not the one that the file was made with."
    elif content["balances"] != books.balances():
        yield "The balances at the end are not those that the entries make."


def since(new: Iterable[bytes], old: Iterable[bytes]) -> Iterator[str]:
    """Yield the first place where a newer export does not hold what an older one holds."""
    newer = (found for found in map(LINE.fullmatch, new) if found)
    older = (found for found in map(LINE.fullmatch, old) if found)
    for number, before in enumerate(older, start=1):
        after = next(newer, None)
        if after is None:
            yield f"The older export holds entry {number}; this one ends before it."
            return
        if after[2] != before[2]:
            yield f"Entry {number} is not the one that the older export holds."
            return


def findings(path: Path, books: Books, *, older: Path | None = None, head: str = "") -> list[str]:
    """Return what is wrong with a file, at most so many; empty is right.

    Raises:
        OSError: A file cannot be read.
    """
    with path.open("rb") as file:
        found = list(islice(read(file, books), MOST_FINDINGS))
    if older is not None and (unsound := _unsound(older)):
        # What it says of its hashes is worth nothing then, so nothing is compared with it.
        found += unsound
    elif older is not None:
        with path.open("rb") as new, older.open("rb") as old:
            found += since(new, old)
    if head and head != books.head:
        found.append(f"The books end with {books.head}, not with the hash that was noted.")
    return found


def _unsound(older: Path) -> list[str]:
    """Return what is wrong with the older export in itself."""
    with older.open("rb") as file:
        found = list(islice(read(file, Books()), MOST_FINDINGS))
    return [f"In the older export: {finding}" for finding in found]


def main() -> int:
    """Check the file and say what was found."""
    parser = argparse.ArgumentParser(description="Check the books of Ferriage from a file.")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--since", type=Path, metavar="OLDER", help="an earlier export")
    parser.add_argument("--head", default="", help="hash of the last entry, as it was noted")
    parsed = parser.parse_args()
    books = Books()
    try:
        found = findings(parsed.file, books, older=parsed.since, head=parsed.head)
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 2
    for finding in found:
        sys.stdout.write(f"{finding}\n")
    if not found:
        sys.stdout.write(summary(books) + "\n")
    return 1 if found else 0


def summary(books: Books) -> str:
    """Return in a line what sound books hold."""
    closed = f", closed to the end of {books.closed}" if books.closed else ""
    return f"{books.count} entries, unbroken{closed}; head {books.head}"


if __name__ == "__main__":
    sys.exit(main())
