"""What every command says and how it ends."""

from __future__ import annotations

import os
import re
import shutil
import sys
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Final

_COMMAND: Final = re.compile(r"(?:(?<=`)|(?<=^  )|(?<=[a-z]: ))ferriage (?=[a-z-])", re.MULTILINE)
"""A command for the reader: in backticks, on a line of its own, two spaces in, or after a colon."""


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
    """Print one line at once, also into a pipe, as it is: it may be of a file that is exported."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell(text: str) -> None:
    """Print one line for a person: commands in it are spelled as we were called."""
    say(as_called(text))


def complain(text: str) -> None:
    """Print one line where errors go. Commands in it are spelled as we were called."""
    sys.stderr.write(f"ferriage: {as_called(text)}\n")
    sys.stderr.flush()


def as_called(text: str) -> str:
    """Return a text with its commands spelled so that they can be typed here.

    Only the command line knows how it was called; the rooms below say `ferriage up`.
    """
    return _COMMAND.sub(lambda _: f"{called()} ", text)


@cache
def called() -> str:
    """Return what to type for this program: its name when the shell finds it, else its path."""
    path = Path(sys.argv[0])
    if path.name != "ferriage":
        path = Path(sys.executable).with_name("ferriage")
    found = shutil.which("ferriage")
    if not path.exists() or (found and path.samefile(found)):
        return "ferriage"
    # Not resolved: a link is what was typed.
    typed = os.path.relpath(path)
    if typed.startswith("..") or Path.cwd() == Path("/"):
        return os.path.abspath(path)  # noqa: PTH100 -- links are kept
    return typed if os.sep in typed else f"./{typed}"
