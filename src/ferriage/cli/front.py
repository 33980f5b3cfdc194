"""Reads the command line and calls one command.

Modules of commands load Django, aiohttp or nothing at all, so each is imported only to be run.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from ferriage import __version__
from ferriage.cli import options
from ferriage.cli.words import CommandError, Exit, as_called, complain
from ferriage.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPILOG: Final = """\
try it out:
  ferriage demo                    a whole business in this machine's namespaces
  ferriage demo-books              two shops' books, sold in fast motion and checked to the fen
  ferriage init --local            a shop of your own at http://localhost:8000
  ferriage up                      start it

exit codes:
  0  done
  1  refused, or a check failed; the message says what to do
  2  the command line is wrong
  3  not set up, or the settings cannot be used
  69 site not reached   75 another one runs already   78 gateway not enrolled   (agent, hold, up)
  130 ended by Ctrl-C
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parsed = parser().parse_args(arguments)
    if parsed.config:
        os.environ["FERRIAGE_CONFIG"] = os.path.abspath(parsed.config)  # noqa: PTH100 -- links are kept
    try:
        return _run(parsed)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has gone, as `| head` does; nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.REFUSED


def _run(parsed: argparse.Namespace) -> int:
    module, function = parsed.run.split(":")
    try:
        return int(getattr(import_module(f"ferriage.cli.{module}"), function)(parsed))
    except CommandError as error:
        complain(str(error))
        return error.code
    except ConfigError as error:
        complain(str(error))
        return Exit.NOT_SET_UP
    except Exception as error:
        code = _expected(error)
        if code is None:
            raise
        complain(str(error))
        return code


def _expected(error: Exception) -> int | None:
    """Return the exit code of a refusal that a room or the agent words itself."""
    names = {kind.__module__ + "." + kind.__name__ for kind in type(error).__mro__}
    # By name: the agent's environment has no Django, the site's need not load the agent.
    if "ferriage.core.errors.FerriageError" in names:
        return Exit.REFUSED
    if "ferriage.agent.errors.AgentError" in names:
        return int(getattr(error, "exit_code", Exit.REFUSED))
    return None


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    top = argparse.ArgumentParser(
        prog="ferriage",
        description="Run a paid, lawful VPN service end to end on machines of your own.",
        epilog=as_called(_EPILOG),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"ferriage {__version__}")
    top.add_argument(
        "--config", metavar="FILE", help="settings file (FERRIAGE_CONFIG, else ./ferriage.toml)"
    )
    options.add(top.add_subparsers(title="commands", metavar="COMMAND", required=True))
    return top
