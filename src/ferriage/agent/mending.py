"""Brings the elements to what is asked for; a record that the kernel refuses stands aside alone.

One transaction takes all or nothing, so a single record that nft does not take would hold up the
whole gateway. Then the records are tried in halves until each bad one is found: it is refused and
reported, the others are served, and it is tried again with the next whole look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ferriage.agent.errors import DataPlaneError

if TYPE_CHECKING:
    from ferriage.agent.desired import Desired
    from ferriage.agent.elements import Elements

log = structlog.get_logger()


class Mender:
    """Mends the elements, and knows whose records stand aside. Called by one thread at a time."""

    def __init__(self, elements: Elements) -> None:
        self._elements = elements
        self._aside: dict[str, set[str]] = {}

    def retry(self) -> None:
        """Have the next look be whole when records stand aside: something has left."""
        if any(self._aside.values()):
            self._elements.forget()

    def mend(self, desired: Desired, now: float, *, whole: bool) -> None:
        """Make the elements be as desired: all of them, or those that belong to no device.

        Raises:
            DataPlaneError: They cannot be made so, and no record is to blame.
        """
        if whole:
            self._take_back(desired)
        try:
            self._mend(desired, now, whole=whole)
        except DataPlaneError:
            if not whole or not self._set_aside(desired, now):
                raise
            self._mend(desired, now, whole=True)

    def _mend(self, desired: Desired, now: float, *, whole: bool) -> None:
        wanted = desired.whole(now) if whole else desired.frame(now)
        self._elements.mend(wanted, now, whole=whole)

    def _take_back(self, desired: Desired) -> None:
        """Let records be tried once more: the kernel may have room for them now."""
        for code, pool in desired.pools.items():
            for name in self._aside.pop(code, ()):
                pool.refused.pop(name, None)

    def _set_aside(self, desired: Desired, now: float) -> bool:
        """Find the records that the kernel does not take; True when there are any.

        Raises:
            DataPlaneError: It takes not even what belongs to no device.
        """
        self._mend(desired, now, whole=False)
        for code, pool in desired.pools.items():
            parts = {device.id: desired.of(device, pool, now) for device in pool.usable()}
            refused = self._elements.not_taken(parts, now)
            pool.refused |= refused
            self._aside[code] = set(refused)
            if refused:
                log.error("records.refused", pool=code, devices=sorted(refused))
        return any(self._aside.values())
