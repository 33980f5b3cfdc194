"""Keeps what a report tells of whole pools: absolute bytes in each life of a counter.

Source: docs/explanation/gateway.md
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ferriage.core.compiled import Compiled, insert, update_each
from ferriage.fleet.actions.alarms import raise_alarm
from ferriage.fleet.models import Alarm, PoolUsage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from ferriage import wire
    from ferriage.fleet.models import Gateway, Pool

MOST_COUNTERS: Final = 100
"""New counters of one pool on one gateway that are taken over within a day."""


def keep_pools(
    *, gateway: Gateway, pools: Mapping[str, Pool], usage: Sequence[wire.Usage], now: datetime
) -> None:
    """Keep the greatest absolute value of each pool's incarnation; a final one changes no more.

    Args:
        pools: Those that are told of, by code.
        usage: What the report tells, of devices too.
    """
    usage = [item for item in usage if not item.device]
    rows = {
        (row.pool_id, row.incarnation): row
        for row in _counted(gateway, {item.incarnation for item in usage})
    }
    changed = {}
    for item in usage:
        pool = pools[item.pool]
        key = (pool.pk, item.incarnation)
        row = rows.setdefault(
            key, PoolUsage(gateway=gateway, pool=pool, incarnation=item.incarnation)
        )
        if not row.final:
            _grow(row, item, now)
            changed[key] = row
    new = [row for row in changed.values() if row.pk is None]
    if new:
        insert(*_within_bounds(gateway, new, now))
    update_each(_USAGE_FIELDS, [row for row in changed.values() if row.pk is not None])


def _within_bounds(gateway: Gateway, new: Sequence[PoolUsage], now: datetime) -> list[PoolUsage]:
    """Return the new counters that may be kept; staff are told of what is left out.

    A gateway tells of it again in its next reports, and it is taken over another day.
    """
    rows = PoolUsage.objects.filter(gateway=gateway, updated_at__gt=now - timedelta(days=1))
    recent = Counter(rows.values_list("pool", flat=True))
    taken, left_out = [], Counter[str]()
    for row in new:
        recent[row.pool_id] += 1
        if recent[row.pool_id] <= MOST_COUNTERS:
            taken.append(row)
        else:
            left_out[row.pool.code] += row.bytes_down + row.bytes_up
    if left_out:
        told = {"count": len(left_out), "bytes": dict(left_out)}
        raise_alarm(
            kind=Alarm.Kind.METERING, subject=gateway.code, now=now, name=gateway.name, pools=told
        )
    return taken


_COUNTED: Final = Compiled(
    2,
    lambda gateway, incarnation: PoolUsage.objects.filter(gateway=gateway, incarnation=incarnation),
)
_USAGE_FIELDS: Final = ("bytes_down", "bytes_up", "final", "updated_at")


def _counted(gateway: Gateway, incarnations: set[str]) -> Iterable[PoolUsage]:
    if len(incarnations) == 1:
        return _COUNTED(gateway, *incarnations)
    return PoolUsage.objects.filter(gateway=gateway, incarnation__in=incarnations)


def _grow(row: PoolUsage, item: wire.Usage, now: datetime) -> None:
    row.bytes_down = max(row.bytes_down, item.bytes_down)
    row.bytes_up = max(row.bytes_up, item.bytes_up)
    row.final = item.final
    row.updated_at = now
