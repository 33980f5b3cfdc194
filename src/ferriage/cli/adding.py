"""How a command comes into the list that `ferriage --help` shows."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ferriage.cli.words import as_called

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 -- has no other name


def command(
    commands: Commands, name: str, run: str, brief: str, *, example: str = ""
) -> argparse.ArgumentParser:
    """Add a command; `run` is the module of `ferriage.cli` and the function that does it."""
    parser = commands.add_parser(
        name,
        help=brief,
        description=brief[0].upper() + brief[1:] + ".",
        epilog=as_called(f"example:\n  ferriage {example}") if example else "",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def group(commands: Commands, name: str, brief: str) -> Commands:
    """Add a command that has commands of its own."""
    parser = commands.add_parser(name, help=brief, description=brief[0].upper() + brief[1:] + ".")
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
