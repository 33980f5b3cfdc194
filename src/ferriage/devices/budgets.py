"""How much a device can have used since a gateway told of it last: time at its full speed.

All of a device's incarnations on a gateway share one budget, since one more counter makes no device
faster. What a late report may go beyond comes back as time passes, so that many reports in a row
gain nothing either.

Source: docs/explanation/quotas.md
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ferriage.devices.models import Incarnation
    from ferriage.fleet.models import Gateway
    from ferriage.plans.models import Plan

SLACK: Final = timedelta(seconds=60)
"""A report may be this much longer under way than the one before it."""
FASTER: Final = 1.1
"""How much faster than its plan a device may seem before its bytes are set aside."""
_BITS: Final = 8
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class Budgets:
    """The budgets of the devices that one report tells of, in seconds."""

    def __init__(self, gateway: Gateway, known: Iterable[Incarnation], now: datetime) -> None:
        """Begin with what was told of these devices on the gateway before."""
        self._now = now
        self._since = gateway.enrolled_at or _NEVER
        self._last: dict[int, Incarnation] = {}
        for row in known:
            if _newness(row) > _newness(self._last.setdefault(row.device_id, row)):
                self._last[row.device_id] = row
        self._left: dict[int, float] = {}

    def spend(self, row: Incarnation, plan: Plan, *, down: int, up: int, made_at: datetime) -> bool:
        """Take what an incarnation grew by off its device's budget, if that can have been used.

        Args:
            row: The incarnation, with the speeds that the device had when it was told of last.
            plan: The plan with the speeds that it has now.
            down: Bytes to the device.
            up: Bytes from the device.
            made_at: When the device was made; one that was never told of here can have run since.
        """
        seconds = max(
            down * _BITS / max(row.rate_down_bps, plan.rate_down_bps),
            up * _BITS / max(row.rate_up_bps, plan.rate_up_bps),
        )
        if row.device_id not in self._left:
            self._left[row.device_id] = self._budget(row.device_id, made_at)
        possible = seconds <= self._left[row.device_id]
        if possible:
            self._left[row.device_id] -= seconds
        return possible

    def spare_ms(self, device: int) -> int:
        """Return what a device may go beyond its speed the next time, in milliseconds."""
        return int(min(self._left[device], SLACK.total_seconds()) * 1000)

    def _budget(self, device: int, made_at: datetime) -> float:
        last = self._last.get(device)
        since = last.told_at if last else max(made_at, self._since)
        spare = last.spare_ms / 1000 if last else SLACK.total_seconds()
        return max((self._now - since).total_seconds(), 0) * FASTER + spare


def _newness(row: Incarnation) -> tuple[datetime, int]:
    """Return what orders the counters of a device by how late they were told.

    Those of one report were told at once; what it left over stands at the one that was told last.
    """
    return row.told_at, -row.spare_ms
