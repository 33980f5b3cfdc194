"""`ferriage agent doctor`: a gateway's state in lines, each with what to do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ferriage.cli import house
from ferriage.cli.words import CommandError, Exit, say, tell

if TYPE_CHECKING:
    import argparse

    from ferriage.agent.checks import Finding


def run(_: argparse.Namespace) -> int:
    """Print what was found; refused when something keeps customers from being served."""
    from ferriage.agent import doctor, logs

    if os.geteuid() != 0:
        raise CommandError("Only root can see all of a gateway's network. Nothing was looked at.")
    logs.hush()
    failed = False
    for finding in doctor.examine(house.load()):
        say(f"{_mark(finding)} {finding.said}")
        if finding.to_do:
            tell(f"    {finding.to_do}")
        failed |= finding.failed
    return Exit.REFUSED if failed else Exit.DONE


def _mark(finding: Finding) -> str:
    """Return the sign that the gateway's page in the back office shows too."""
    if finding.state == "ok":
        return "!" if finding.remedy else "✓"
    return "✗" if finding.failed else "?"
