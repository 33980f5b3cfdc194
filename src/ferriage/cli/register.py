"""The register of a shop on the command line."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from ferriage.cli import house
from ferriage.cli.words import CommandError, Exit, complain, say

if TYPE_CHECKING:
    import argparse

_FIRST_YEAR: Final = 2000
_LAST_YEAR: Final = 2199


def explain(parsed: argparse.Namespace) -> int:
    """Print the verdict on a line as a tree: what is asked, what was found, the clause.

    What is judged is what is recorded now.
    """
    house.enter()
    from ferriage.approvals.needs import needs
    from ferriage.approvals.reasons import explain as as_tree
    from ferriage.approvals.site import packs_in_force
    from ferriage.fleet.models import Line
    from ferriage.fleet.queries import judge_line, line_facts

    line = Line.objects.select_related("party").filter(code=parsed.line).first()
    if line is None:
        raise CommandError(f"There is no line {parsed.line}. The back office lists them.")
    at, packs = _instant(parsed.at), packs_in_force()
    verdict = judge_line(line=line, at=at, customer_place=parsed.customer)
    asked = needs(line_facts(line), packs, at)
    say(as_tree(verdict, parsed.language, packs, asked=asked))
    return Exit.DONE if verdict.allowed else Exit.REFUSED


def export(_: argparse.Namespace) -> int:
    """Write the chain to standard output, and to the other its length and head."""
    house.enter()
    from ferriage.approvals.queries import exported_decisions, latest_decision

    latest = latest_decision()
    for line in exported_decisions():
        say(line.rstrip("\n"))
    if latest is not None:
        complain(f"{latest.sequence} decisions, head {latest.hash}")
    return Exit.DONE


def evidence(_: argparse.Namespace) -> int:
    """Open every file of evidence and say which are not as they were handed in."""
    house.enter()
    from ferriage.approvals.models import Evidence
    from ferriage.approvals.site import evidence_dir
    from ferriage.approvals.store import unreadable

    faults = 0
    for file, fault in unreadable(store_dir=evidence_dir()):
        faults += 1
        complain(f"“{file.title}” of {file.subject}: {fault}")
    if faults:
        return Exit.REFUSED
    say(f"{Evidence.objects.count()} files of evidence, each as it was handed in")
    return Exit.DONE


def repair(parsed: argparse.Namespace) -> int:
    """Propose a clock repair, and print a link with which somebody outside confirms it."""
    config = house.enter()
    from django.urls import reverse

    from ferriage.approvals import actions
    from ferriage.core import clock
    from ferriage.core.actors import Actor

    actor, now = Actor("command", "register repair"), clock.now()
    proposed = actions.propose_clock_repair(
        first_sequence=parsed.first, reason=parsed.reason, now=now, actor=actor
    )
    token = actions.create_outside_link(subject=proposed, now=now, actor=actor)
    say(f"Proposed: decisions {proposed.first_sequence} to {proposed.last_sequence} are wrong.")
    say("An owner confirms it in the back office under Clock, or one person from outside here:")
    say(f"  {config.site.url.rstrip('/')}{reverse('outside-link', args=[token])}")
    return Exit.DONE


def _instant(text: str | None) -> datetime:
    from ferriage.core import clock

    if text is None:
        return clock.now()
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"“{text}” is not an instant in ISO 8601.", Exit.USAGE) from error
    if at.tzinfo is None:
        raise CommandError(f"“{text}” names no offset, such as Z or +08:00.", Exit.USAGE)
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise CommandError(f"“{text}” is not an instant that laws were read for.", Exit.USAGE)
    return at
