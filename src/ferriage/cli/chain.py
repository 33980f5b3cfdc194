"""Follows an exported chain of decisions, on any machine that has the program alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ferriage.approvals import chainfile
from ferriage.cli.words import CommandError, Exit, complain, say

if TYPE_CHECKING:
    import argparse


def verify(parsed: argparse.Namespace) -> int:
    """Say whether the chain holds, and where it first does not."""
    try:
        with Path(parsed.file).open("rb") as file:
            found = chainfile.verify(file)
    except OSError as error:
        raise CommandError(f"{parsed.file}: {error.strerror}.") from error
    if found.fault:
        complain(f"{found.fault} The {found.count} before it hold.")
        return Exit.REFUSED
    if parsed.head not in {None, found.head}:
        complain(f"The chain ends with {found.head}, not with the head that was noted.")
        return Exit.REFUSED
    say(f"{found.count} decisions, unbroken; head {found.head}")
    return Exit.DONE
