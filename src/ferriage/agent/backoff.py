"""How long to wait after a failure, so that a fleet does not come back all at once."""

from __future__ import annotations

import random
from typing import Final

_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 15.0


class Backoff:
    """Counts failures in a row."""

    def __init__(self) -> None:
        self._next = _FIRST_SECONDS

    def succeeded(self) -> None:
        """Begin again with short pauses."""
        self._next = _FIRST_SECONDS

    def pause(self) -> float:
        """Return seconds to wait after one more failure: longer each time, and never the same."""
        longest, self._next = self._next, min(2 * self._next, _LONGEST_SECONDS)
        return random.uniform(longest / 2, longest)  # noqa: S311 -- jitter
