"""One reading of the register for all that one transaction judges."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ferriage.approvals.queries import Register

_read: Final[ContextVar[list[Register] | None]] = ContextVar("read", default=None)


@contextmanager
def reading_once() -> Iterator[None]:
    """Let the whole register be read once for all that is judged in a block.

    The block is inside one `writing()`, where nobody else changes the register, and does not
    change it itself.
    """
    token = _read.set([])
    try:
        yield
    finally:
        _read.reset(token)


def once(read: Callable[[], Register]) -> Register:
    """Return what was read in this block before, or read it."""
    known = _read.get()
    if known is None:
        return read()
    if not known:
        known.append(read())
    return known[0]
