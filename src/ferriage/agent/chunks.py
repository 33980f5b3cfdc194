"""What goes out many at a time."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")


def chunked(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Yield the items in order, `size` at a time and the last ones as they are.

    `itertools.batched` is of Python 3.12, and Debian 12's is 3.11.
    """
    rest = iter(items)
    while chunk := tuple(islice(rest, size)):
        yield chunk
