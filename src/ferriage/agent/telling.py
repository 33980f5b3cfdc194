"""What a report tells of counters: as much as one has room for, the rest in those that follow.

Only what a report carried is put away when the site takes that very report over.

Source: docs/explanation/quotas.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage.agent.remembered import MOST_FINALS

if TYPE_CHECKING:
    from collections.abc import Collection

    from ferriage import wire
    from ferriage.agent.quota import Quotas
    from ferriage.agent.store import Store
    from ferriage.agent.usage import Meter

MOST_ROWS: Final = 5000
"""Rows of one report: about 1 MiB, and the site takes 2."""


class Telling:
    """The rows of one report after another."""

    def __init__(self, store: Store, meter: Meter, quotas: Quotas) -> None:
        self._store = store
        self._meter = meter
        self._quotas = quotas
        self.more = False
        """Whether the last report had no room for all that is to be told."""
        self.of_left = True
        """Whether what was counted in pools that were left is told too. Where the site knows
        nothing of them, as after a restored backup, it waits until they are served again."""

    def rows(self, pools: Collection[str], sequence: int) -> tuple[wire.Usage, ...]:
        """Return the rows of a report with this number, final values first."""
        of_pools = self._meter.usage(pools, sequence, of_left=self.of_left)
        finals = sum(row.final for row in of_pools)
        room = max(MOST_ROWS - len(of_pools), 0)
        known = None if self.of_left else pools
        of_devices, left = self._quotas.usage(known, sequence, most=room)
        self.more = left or finals >= MOST_FINALS
        return of_pools + of_devices

    def taken(self, sequence: int) -> None:
        """Note that the site took over the report with this number, and nothing else."""
        self._store.acknowledge(sequence)
        self._quotas.acknowledged(sequence)
