"""What every command says and how it ends."""

from __future__ import annotations

import sys
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; `ferriage --help` documents them."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_SET_UP = 3
    INTERRUPTED = 130


class CommandError(Exception):
    """A command cannot do what was asked; the message says why and what to do."""

    def __init__(self, message: str, code: int = Exit.REFUSED) -> None:
        super().__init__(message)
        self.code = code


def say(text: str = "") -> None:
    """Print one line at once, also into a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print one line where errors go."""
    sys.stderr.write(f"ferriage: {text}\n")
    sys.stderr.flush()
