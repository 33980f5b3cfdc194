"""Follows an exported chain of the books, on any machine that has the program alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ferriage.cli.words import CommandError, Exit, complain, say
from ferriage.ledger import verify as verifier

if TYPE_CHECKING:
    import argparse


def verify(parsed: argparse.Namespace) -> int:
    """Say whether the books in a file are whole, and which entry is not."""
    books = verifier.Books()
    older = Path(parsed.since) if parsed.since else None
    try:
        found = verifier.findings(Path(parsed.file), books, older=older, head=parsed.head or "")
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}.") from error
    for finding in found:
        complain(finding)
    if found:
        return Exit.REFUSED
    say(verifier.summary(books))
    return Exit.DONE
