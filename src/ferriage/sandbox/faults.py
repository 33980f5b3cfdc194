"""What may go wrong with a callback, decided by seeded chance."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

_WHOLE: Final = 100
_LONGEST_DELAY_SECONDS: Final = 86400


class Fate(StrEnum):
    """What becomes of one callback."""

    ARRIVES = "arrives"
    LOST = "lost"
    DOUBLED = "doubled"
    DELAYED = "delayed"
    REORDERED = "reordered"


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares in percent of all callbacks.

    The first four exclude one another, so they sum to 100 at most. `forge` adds a forged copy,
    with another amount and a signature by somebody else, beside whatever becomes of the true one.
    """

    lose: int = 0
    double: int = 0
    delay: int = 0
    reorder: int = 0
    forge: int = 0
    delay_seconds: float = 5.0
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse shares that are none.

        Raises:
            ValueError: The message says which, and what is allowed.
        """
        shares = {name: getattr(self, name) for name in SHARES}
        for name, share in shares.items():
            if not _is_whole(share) or not 0 <= share <= _WHOLE:
                raise ValueError(f"{name} is a percentage from 0 to 100, not {share!r}")
        if sum(shares.values()) - self.forge > _WHOLE:
            raise ValueError("lose, double, delay and reorder are together more than 100 percent")
        if isinstance(self.delay_seconds, bool) or not isinstance(self.delay_seconds, int | float):
            raise ValueError("delay_seconds is a number of seconds")  # noqa: TRY004 -- one error for one bad setting
        if not 0 <= self.delay_seconds <= _LONGEST_DELAY_SECONDS:
            raise ValueError("delay_seconds is from 0 to 86400")
        if not _is_whole(self.seed):
            raise ValueError("seed is a whole number")

    def changed(self, given: dict[str, Any]) -> Faults:
        """Return these with some set anew.

        Raises:
            ValueError: A name that is none, or a share that is none.
        """
        unknown = sorted(set(given) - {field.name for field in fields(self)})
        if unknown:
            raise ValueError(f"there is no fault called {', '.join(unknown)}")
        return replace(self, **given)

    def as_dict(self) -> dict[str, Any]:
        """Return them by name."""
        return asdict(self)


SHARES: Final = ("lose", "double", "delay", "reorder", "forge")


class Dice:
    """Rolls the fates of callbacks, in their order, the same for the same seed."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311 -- repeatable on purpose

    def fate(self) -> Fate:
        """Return what becomes of the next callback."""
        roll, faults = self._random.uniform(0, _WHOLE), self.faults
        for share, fate in (
            (faults.lose, Fate.LOST),
            (faults.double, Fate.DOUBLED),
            (faults.delay, Fate.DELAYED),
            (faults.reorder, Fate.REORDERED),
        ):
            if roll < share:
                return fate
            roll -= share
        return Fate.ARRIVES

    def forges(self) -> bool:
        """Tell whether somebody forges a copy of it."""
        return self._random.uniform(0, _WHOLE) < self.faults.forge


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
