"""Lengths of time in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import ngettext

if TYPE_CHECKING:
    from collections.abc import Callable


def lasting(seconds: int) -> str:
    """Return a length in the largest unit of which there are two, rounded down."""
    size, words = next(pair for pair in _LENGTHS if seconds >= 2 * pair[0] or pair[0] == 1)
    return words(seconds // size)


_LENGTHS: Final[tuple[tuple[int, Callable[[int], str]], ...]] = (
    (86_400, lambda n: ngettext("%(n)s day", "%(n)s days", n) % {"n": n}),
    (3_600, lambda n: ngettext("%(n)s hour", "%(n)s hours", n) % {"n": n}),
    (60, lambda n: ngettext("%(n)s minute", "%(n)s minutes", n) % {"n": n}),
    (1, lambda n: ngettext("%(n)s second", "%(n)s seconds", n) % {"n": n}),
)
