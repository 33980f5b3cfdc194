"""Writes the auditor's pack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ferriage.cli import house
from ferriage.cli.words import CommandError, Exit, say

if TYPE_CHECKING:
    import argparse


def pack(parsed: argparse.Namespace) -> int:
    """Write the pack to a new file, and say its seal, to be noted elsewhere."""
    house.enter()
    from ferriage.core import clock
    from ferriage.reports import auditpack

    path = Path(parsed.file)
    try:
        # Never over another file: it could be last year's pack.
        with path.open("xb") as file:
            made = auditpack.write(file, now=clock.now())
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}.") from error
    say(f"{path}: {made.files} files, {made.decisions} decisions, head {made.head}")
    say(f"seal {made.seal}")
    say(f"check it:  unzip {path.name} -d pack && python3 pack/verify.py {made.seal}")
    return Exit.DONE
