"""The books on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.cli import house
from ferriage.cli.words import Exit, complain, say

if TYPE_CHECKING:
    import argparse


def check(_: argparse.Namespace) -> int:
    """Hold the books against their rules, and the chains of audit and register."""
    house.enter()
    from ferriage.approvals.queries import first_broken_decision
    from ferriage.core.audit import first_broken
    from ferriage.payments.queries import check as findings

    found = [f"{finding.account}: {finding.message}" for finding in findings()]
    if (entry := first_broken()) is not None:
        found.append(f"audit entry {entry.sequence} does not follow from the one before")
    if (decision := first_broken_decision()) is not None:
        found.append(f"decision {decision.sequence} does not follow from the one before")
    for finding in found:
        complain(finding)
    if found:
        return Exit.REFUSED
    say("The books balance; audit log and decisions are unbroken.")
    return Exit.DONE


def export(parsed: argparse.Namespace) -> int:
    """Write the books to standard output."""
    house.enter()
    from ferriage.ledger import export as exports

    lines = exports.beancount() if parsed.format == "beancount" else exports.csv()
    for line in lines:
        say(line.rstrip("\n"))
    return Exit.DONE


def balance(_: argparse.Namespace) -> int:
    """Print the trial balance."""
    house.enter()
    for line in balance_lines() or ["Nothing is booked yet."]:
        say(line)
    return Exit.DONE


def balance_lines() -> list[str]:
    """Return the trial balance as lines of text."""
    from ferriage.core.money import Money
    from ferriage.ledger.queries import trial_balance

    return [
        f"{row.name:<32}{Money(row.balance_minor, row.currency).decimal():>14} {row.currency}"
        for row in trial_balance()
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
