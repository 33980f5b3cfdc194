"""How the demo speaks: steps with their time, and evidence under each."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from ferriage.cli.words import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class StepFailed(Exception):
    """A step did not show what it must show; the message says what was seen instead."""


class Teller:
    """Counts steps and prints them with the seconds since the demo began."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._number = 0

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step, and say how long it took once it is done."""
        self._number += 1
        began = time.monotonic()
        say(f"\n{self._number:>2}  {title}")
        yield
        now = time.monotonic()
        say(f"      done in {now - began:.1f} s, {now - self._began:.0f} s since the start")

    def show(self, text: str) -> None:
        """Print evidence, one line or several."""
        for line in text.splitlines():
            say(f"      {line}")

    def claim(self, truth: object, text: str) -> None:
        """Print what is true, or fail.

        Raises:
            StepFailed: It is not.
        """
        if not truth:
            raise StepFailed(f"not so: {text}")
        self.show(f"✓ {text}")


def wait_for[T](check: Callable[[], T], *, within: float, what: str, every: float = 0.05) -> T:
    """Return the first truthy result of `check`.

    Raises:
        StepFailed: There was none within the seconds.
    """
    end = time.monotonic() + within
    while True:
        try:
            result: T | None = check()
        except OSError:
            result = None
        if result:
            return result
        if time.monotonic() >= end:
            raise StepFailed(f"{what}: not within {within:g} s")
        time.sleep(every)
