"""The books on the command line."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ferriage.cli import house
from ferriage.cli.words import CommandError, Exit, complain, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def check(_: argparse.Namespace) -> int:
    """Hold the books against their rules, and the chains of audit and register."""
    house.enter()
    from ferriage.approvals.queries import first_broken_decision
    from ferriage.core.audit import first_broken
    from ferriage.payments.queries import check as findings

    found = [f"{finding.account}: {finding.message}" for finding in findings()]
    found += chain_findings()
    if (entry := first_broken()) is not None:
        found.append(f"audit entry {entry.sequence} does not follow from the one before")
    if (decision := first_broken_decision()) is not None:
        found.append(f"decision {decision.sequence} does not follow from the one before")
    for finding in found:
        complain(finding)
    if found:
        return Exit.REFUSED
    say("The books balance; their chain, audit log and decisions are unbroken.")
    return Exit.DONE


def chain_findings() -> list[str]:
    """Follow the chain of the books as an auditor would follow the exported file."""
    from ferriage.ledger import export as exports
    from ferriage.ledger import verify

    return list(verify.read((f"{line}\n".encode() for line in exports.chain()), verify.Books()))


def export(parsed: argparse.Namespace) -> int:
    """Write the books to a new file, or to standard output."""
    house.enter()
    lines = export_lines(parsed.format)
    if parsed.file is None:
        for line in lines:
            say(line.rstrip("\n"))
        return Exit.DONE
    path = Path(parsed.file)
    try:
        # Never over another file: it could be last year's export.
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}.") from error
    say(f"wrote {path}")
    return Exit.DONE


def export_lines(form: str) -> Iterator[str]:
    """Return the books as lines of a format: beancount, csv or chain."""
    from ferriage.ledger import export as exports

    if form == "beancount":
        return exports.beancount()
    return exports.chain() if form == "chain" else exports.csv()


def close(parsed: argparse.Namespace) -> int:
    """Close a month and print what its shares came to."""
    try:
        month = date.fromisoformat(f"{parsed.month}-01")
    except ValueError as error:
        raise CommandError(f"{parsed.month} is no month such as 2026-10.", Exit.USAGE) from error
    house.enter()
    from ferriage.core import clock
    from ferriage.core.actors import Actor
    from ferriage.payments.closing import close_month

    closing = close_month(month=month, now=clock.now(), actor=Actor("command", "ledger close"))
    for line in share_lines(month):
        say(line)
    say(f"{closing} is closed; head {closing.link.hash}")
    return Exit.DONE


def share_lines(month: date) -> list[str]:
    """Return what a month's shares came to as lines of text."""
    from ferriage.core.money import Money
    from ferriage.ledger.models import SettledShare

    rows = SettledShare.objects.filter(settlement__month=month).select_related(
        "settlement", "partner"
    )
    return [
        f"{row.settlement.service:<16}{row.partner or 'the operator':<16}"
        f"{row.share_bps / 100:>7.2f} %{Money(row.amount_minor, row.settlement.currency)!s:>16}"
        for row in rows.order_by("settlement__service", "pk")
    ]


def balance(_: argparse.Namespace) -> int:
    """Print the trial balance."""
    house.enter()
    for line in balance_lines() or ["Nothing is booked yet."]:
        say(line)
    return Exit.DONE


def balance_lines() -> list[str]:
    """Return the trial balance as lines of text, each account by the side it grows on.

    What is owed, earned or brought in is positive, as in the account book of anybody.
    """
    from ferriage.core.money import Money
    from ferriage.ledger.chart import grows_on_debit
    from ferriage.ledger.queries import trial_balance

    return [
        f"{row.name:<32}{Money(minor, row.currency).decimal():>14} {row.currency}"
        for row in trial_balance()
        for minor in [row.balance_minor if grows_on_debit(row.name) else -row.balance_minor]
    ]


def posting_lines(source_code: str) -> list[str]:
    """Return what was posted of one source as lines of text."""
    from ferriage.core.money import Money
    from ferriage.ledger.queries import entries

    return [
        f"{Money(row.amount_minor, row.currency).decimal():>8} {row.currency}"
        f"  debit {row.debit.name:<24} credit {row.credit.name:<24} {row.transaction.kind}"
        for row in entries(source_code)
    ]
