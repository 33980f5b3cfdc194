"""Calls to providers from a process that also answers people: few at once, and soon over."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.payments.providers.contract import ProviderDown

if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE: Final = 4
"""So many calls in one process at once: slow providers must not take all of its threads."""
PLACE_SECONDS: Final = 1.0
CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 3.0
"""Waiting for a place, a connection and an answer: five seconds in all."""

_places = threading.BoundedSemaphore(AT_ONCE)


@contextlib.contextmanager
def calling() -> Iterator[None]:
    """Hold one of the places for a call.

    Raises:
        ProviderDown: None came free.
    """
    if not _places.acquire(timeout=PLACE_SECONDS):
        raise ProviderDown(
            _("Too many payments are being begun at this moment."), _("Try again in a minute.")
        )
    try:
        yield
    finally:
        _places.release()
