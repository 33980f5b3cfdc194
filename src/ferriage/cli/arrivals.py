"""`ferriage import`: customers of another system, first as a report, then for good."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ferriage.cli import house
from ferriage.cli.words import CommandError, Exit, say, tell

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from ferriage.arrivals.mapping import Rules
    from ferriage.arrivals.queries import Planned
    from ferriage.arrivals.sources import OldCustomer, Source

PAGE: Final = 100
_FATES: Final = {
    "time": "come with the time that they hold",
    "balance": "come with a balance alone",
    "already": "came before",
    "staff": "are staff of the other shop",
    "banned": "are banned there",
    "left-out": "have a plan that the mapping leaves out",
    "nothing": "hold nothing",
    "over": "hold a time that is over",
    "used-up": "have used up their traffic for good",
    "endless": "hold a time without end: the mapping names no “never_until”",
    "unmapped": "hold a plan for which the mapping names none here",
    "no-place": "are in a place that the mapping does not name",
    "no-currency": "have a balance, and the mapping names no currency",
    "register": "may not be served: the register refuses",
    "outlives": "hold a time that runs past the end of the approval of its line",
}


_COME: Final = ("time", "balance")
"""Fates of those who are taken over."""


def run(parsed: argparse.Namespace) -> int:
    """Report what would become of each customer, and with `--apply` do it."""
    if parsed.source.partition("://")[1]:
        raise CommandError(
            "A database on a server is not read. Make a dump, "
            "such as `mysqldump --single-transaction DATABASE > dump.sql`, and name that file.",
            Exit.USAGE,
        )
    house.enter()
    from ferriage.arrivals import sources

    source = sources.read(parsed.system, Path(parsed.source))
    rules = _rules(parsed, source)
    planned = _take_over(parsed, source, rules) if parsed.apply else _judged(source, rules)
    if parsed.report:
        _write_report(Path(parsed.report), planned)
    for line in _told(planned, applied=parsed.apply):
        tell(line)
    return Exit.DONE


def _rules(parsed: argparse.Namespace, source: Source) -> Rules:
    """Return what the mapping file says; the first report writes a draft of it."""
    from ferriage.arrivals import mapping

    path = Path(parsed.mapping or f"import-{parsed.system}.toml")
    if path.exists():
        return mapping.read(path.read_text(encoding="utf-8"))
    if parsed.apply:
        raise CommandError(
            f"There is no mapping file {path}. Run this without `--apply` first: it writes one."
        )
    draft = mapping.draft(source)
    house.write_private(path, draft)
    say(f"Wrote {path}: say there what each plan becomes, and run this again.\n")
    return mapping.read(draft)


def _judged(source: Source, rules: Rules) -> list[Planned]:
    from ferriage.arrivals.queries import plan_all
    from ferriage.core import clock

    return plan_all(customers=source.customers, rules=rules, now=clock.now())


def _take_over(parsed: argparse.Namespace, source: Source, rules: Rules) -> list[Planned]:
    from ferriage.arrivals.actions import take_over
    from ferriage.arrivals.numberlist import NumberList
    from ferriage.core import clock
    from ferriage.core.actors import Actor

    path = Path(parsed.list or f"import-{parsed.system}-numbers.csv")
    planned: list[Planned] = []
    with NumberList(path) as numbers:
        for page in _pages(source.customers):
            planned += take_over(
                customers=page,
                rules=rules,
                keep=numbers.add,
                now=clock.now(),
                actor=Actor("command", "import"),
            )
    if any(one.fate in _COME for one in planned):
        say(f"The numbers of those who came are in {path}; nothing else has them.\n")
    return planned


def _pages(customers: Sequence[OldCustomer]) -> Iterator[Sequence[OldCustomer]]:
    for start in range(0, len(customers), PAGE):
        yield customers[start : start + PAGE]


def _told(planned: Sequence[Planned], *, applied: bool) -> Iterator[str]:
    counts = Counter[str](one.fate for one in planned)
    yield f"{len(planned)} customers"
    for fate, words in _FATES.items():
        if counts[fate]:
            yield f"{counts[fate]:>7}  {words}"
    refused: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for one in planned:
        if one.fate == "register" and one.plan is not None:
            refused[one.plan.name, one.place, one.why] += 1
    for (plan, place, why), number in refused.items():
        yield f"\n{number} customers in {place} do not get {plan}: {why}"
    counted = sum(
        one.plan is not None and one.plan.quota_bytes is not None
        for one in planned
        if one.fate == "time"
    )
    if counted:
        yield f"\n{counted} get a plan with a quota, and a whole month of it: what they used there"
        yield "or had beyond their plan's data does not come."
    yield from _money(planned)
    if applied:
        yield from _done(counts)
    else:
        yield "\nNothing was changed. Add `--apply` to take over those who come."


def _done(counts: Counter[str]) -> Iterator[str]:
    """Say how many came now and before, so that a second run shows that it did nothing twice."""
    came, before = sum(counts[fate] for fate in _COME), counts["already"]
    yield f"\n{came or 'Nobody'} came over now."
    if before:
        yield f"{before} came over before; nothing was done twice for them."


def _money(planned: Sequence[Planned]) -> Iterator[str]:
    taken: defaultdict[str, int] = defaultdict(int)
    for one in planned:
        if one.balance is not None:
            taken[one.balance.currency] += one.balance.amount_minor
    from ferriage.core.money import Money

    for currency, minor in taken.items():
        yield f"\nBalances that come: {Money(minor, currency)}; the shop owes them from the start."
    staying = [one for one in planned if one.balance is None and one.fate != "already"]
    left = sum(one.customer.balance_cents for one in staying)
    commission = sum(one.customer.commission_cents for one in planned)
    if left:
        yield f"\nBalances that stay there, in hundredths of that shop's currency: {left}."
    if commission:
        yield f"\nCommissions that stay there, in hundredths of that shop's currency: {commission}."


def _write_report(path: Path, planned: Sequence[Planned]) -> None:
    """Write one line for each customer to a file that only its owner may read."""
    import io

    from ferriage.arrivals.numberlist import one_line

    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("customer", "name", "plan there", "outcome", "why"))
    for one in planned:
        customer = one.customer
        cells = (customer.id, customer.name, customer.plan, one.fate, one.why or _FATES[one.fate])
        writer.writerow([one_line(cell) for cell in cells])
    try:
        house.write_private(path, text.getvalue())
    except OSError as error:
        raise CommandError(f"The report cannot be written: {error}. Name a new file.") from error
