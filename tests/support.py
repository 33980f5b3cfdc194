"""What several tests lean on."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = float(os.environ.get("FERRIAGE_TEST_PATIENCE", "1"))
"""Limits are so many times longer: an emulated machine is slow, and nothing else is different."""


def eventually[T](check: Callable[[], T], *, within: float, every: float = 0.02) -> T:
    """Return the first truthy result of `check`; fail when there is none within the seconds.

    An exception of the last try is shown, so that a failure says what was wrong.
    """
    end = time.monotonic() + within * PATIENCE
    pause = threading.Event()
    error: Exception | None = None
    while True:
        try:
            result = check()
        except (AssertionError, OSError) as caught:
            error, result = caught, None  # type: ignore[assignment]
        else:
            error = None
        if result:
            return result
        if time.monotonic() >= end:
            raise AssertionError(f"not within {within} s; last result {result!r}") from error
        pause.wait(every)
