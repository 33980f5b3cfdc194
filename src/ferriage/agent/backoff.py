"""Pauses after failures, so that a fleet neither comes back at once nor drowns its site."""

from __future__ import annotations

import random
from typing import Final

_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 15.0
_MOST_ROUNDS: Final = 6
_SHORTEST_PART: Final = 0.8


class Backoff:
    """Counts failures in a row."""

    def __init__(self, first: float = _FIRST_SECONDS, longest: float = _LONGEST_SECONDS) -> None:
        self._first, self._longest = first, longest
        self._next = first

    def succeeded(self) -> None:
        """Begin again with short pauses."""
        self._next = self._first

    def pause(self) -> float:
        """Return seconds to wait after one more failure: longer each time, and never the same."""
        limit, self._next = self._next, min(2 * self._next, self._longest)
        return random.uniform(limit / 2, limit)  # noqa: S311 -- jitter


class Pace:
    """Says when a report may be sent: at once, but seldom while the site does not answer.

    Reports cost a site the most of all that gateways ask. One that is short of time answers none
    within the time they wait: sent again as fast as ever they would keep it so for ever.
    """

    def __init__(self, seconds: float) -> None:
        """Expect a report every so many seconds; with the site away, six times as seldom."""
        self._seconds = seconds
        self._backoff = Backoff(seconds, _MOST_ROUNDS * seconds)
        self._not_before = 0.0

    def wait(self) -> float:
        """Return how long to wait for the next report: at most a fifth less than was said.

        A new permit for every line wakes a whole fleet at once. With equal pauses it would report
        in step ever after.
        """
        return random.uniform(_SHORTEST_PART * self._seconds, self._seconds)  # noqa: S311 -- jitter

    def may(self, mark: float) -> bool:
        """Say whether a report may be sent at an instant of the boot clock."""
        return mark >= self._not_before

    def answered(self) -> None:
        """Note that the site answered, with whatever."""
        self._backoff.succeeded()
        self._not_before = 0.0

    def unanswered(self, mark: float) -> None:
        """Note that it did not."""
        self._not_before = mark + self._backoff.pause()
