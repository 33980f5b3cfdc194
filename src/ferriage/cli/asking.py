"""Questions on the terminal, or to whatever is piped in instead of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferriage.cli.words import CommandError, Exit, say, tell

if TYPE_CHECKING:
    from collections.abc import Callable


def prompt(question: str, default: str = "") -> str:
    """Ask one question on the terminal; Enter, or nobody there, takes the default."""
    try:
        return _answer(question, default)
    except EOFError:
        return default


def until_good[T](question: str, read: Callable[[str], T], default: str = "") -> T:
    """Ask a question until its answer can be read, saying each time why it cannot be.

    Args:
        read: Turns an answer into what it means; raises `CommandError` when it cannot.

    Raises:
        CommandError: The input ended, and without an answer the default cannot be taken.
    """
    while True:
        try:
            answer = _answer(question, default)
        except EOFError:
            if default:
                return read(default)
            raise no_answer(question) from None
        if not answer:
            say("  This needs an answer.")
            continue
        try:
            return read(answer)
        except CommandError as error:
            tell(f"  {error}")


def no_answer(question: str) -> CommandError:
    """Return the refusal of a question that nobody answered."""
    return CommandError(
        f"No answer to: {question} `ferriage init --help` lists an option for each question.",
        Exit.USAGE,
    )


def _answer(question: str, default: str) -> str:
    shown = f"{question} [{default}] " if default else f"{question} "
    try:
        return input(shown).strip() or default
    except EOFError:
        say()
        raise
