"""Looks once a day whether every byte was counted once, and forgets what need not be kept.

What differs is shown to staff; nothing is put right by itself, and nobody is cut by it.

Source: docs/explanation/quotas.md
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Exists, F, FloatField, Min, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Cast, Coalesce

from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.devices import alarms
from ferriage.devices.models import (
    Device,
    GatewayMeter,
    Incarnation,
    UsageDay,
    UsageMonth,
    UsageRest,
)
from ferriage.devices.usagemodels import MOST_COUNTED
from ferriage.fleet.models import (
    EARLIER_COUNTERS,
    Gateway,
    LeftPool,
    PoolChange,
    PoolCurrent,
    PoolGateway,
    PoolUsage,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import Model

PAUSE: Final = timedelta(days=1)
INCARNATIONS_KEPT: Final = timedelta(days=35)
"""As long as gateways may send a final value again."""
MONTHS_KEPT: Final = timedelta(days=62)
"""After the end of a month of a quota; so the one before last can still be looked at."""
TOLERANCE: Final = 0.03
SLACK_BYTES: Final = 10_000_000
"""What pools and devices may differ by however little was used."""
LEDGER: Final = "ledger"
"""What the alarm is about that the books of bytes do not add up."""
UNMETERED: Final = '"quota":null'
"""In the canonical JSON of a device's record that has no quota."""
_WORKER: Final = Actor("system", "worker")
_PAGE: Final = 5000


def run(now: datetime) -> int:
    """Compare and forget if a day has gone by; return how many rows were forgotten."""
    due = Q(checked_at__isnull=True) | Q(checked_at__lte=now - PAUSE)
    if not GatewayMeter.objects.filter(due).exists():
        return 0
    check_ledger(now)
    check_gateways(now)
    return forget(now)


# --- comparing --------------------------------------------------------------------------------


def check_ledger(now: datetime) -> None:
    """Compare counters with days, and days with months, to the byte."""
    days: dict[str, int] = {}
    for way in ("down", "up"):
        counted = _sum(Incarnation, F(f"told_{way}") - F(f"aside_{way}"))
        posted = _sum(UsageDay, F(f"bytes_{way}"))
        rows = Device.objects.annotate(
            off=counted + _sum(UsageRest, F(f"bytes_{way}")) - posted
        ).exclude(off=0)
        for code, difference in rows.order_by("pk").values_list("code", "off"):
            days[code] = days.get(code, 0) + abs(int(difference))
    sums = UsageMonth.objects.annotate(
        off=F("bytes_used") - Coalesce(Sum(F("days__bytes_down") + F("days__bytes_up")), Value(0))
    ).exclude(off=0)
    rows_off = sums.order_by("pk").values_list("subscription__code", "off")
    months = {code: abs(int(difference)) for code, difference in rows_off}
    both = {"days": days, "months": months}
    found = {kind: alarms.most(off) for kind, off in both.items() if off}
    if found:
        alarms.tell(subject=LEDGER, name="", now=now, actor=_WORKER, found=found)


def _sum(model: type[Model], expression: Any) -> Coalesce:
    """Return the sum over a device's rows, none of which may be there."""
    rows = model._default_manager.filter(device=OuterRef("pk")).order_by()  # noqa: SLF001 -- any model's
    total = rows.values("device").annotate(total=Sum(expression)).values("total")
    return Coalesce(Subquery(total), Value(0))


def check_gateways(now: datetime) -> None:
    """Compare what devices and pools grew by on each gateway since they were compared last.

    Devices may never come to more than their pools. Where all have quotas, not to less either.
    """
    unmetered = _unmetered(now)
    with writing():
        # As floats, exact to 9 PB: SQLite knows no sum beyond 63 bits, and one gateway's lies must
        # not keep the others from being looked at.
        total = Sum(Cast(F("bytes_down") + F("bytes_up"), FloatField()))
        sums = PoolUsage.objects.values("gateway").annotate(total=total)
        pools = {row["gateway"]: min(int(row["total"]), MOST_COUNTED) for row in sums}
        meters = list(GatewayMeter.objects.select_related("gateway").order_by("pk"))
        for meter in meters:
            in_pools = pools.get(meter.gateway_id, 0)
            all_metered = meter.gateway_id not in unmetered
            if meter.checked_at is not None:
                both = all_metered and meter.checked_all
                _compare(
                    meter.gateway,
                    devices=meter.bytes_told - meter.checked_told,
                    pools=in_pools - meter.checked_pools,
                    both=both,
                    now=now,
                )
            meter.checked_told, meter.checked_pools = meter.bytes_told, in_pools
            meter.checked_all, meter.checked_at = all_metered, now
        GatewayMeter.objects.bulk_update(
            meters, ["checked_told", "checked_pools", "checked_all", "checked_at"], batch_size=500
        )


def _compare(gateway: Gateway, *, devices: int, pools: int, both: bool, now: datetime) -> None:
    slack = pools * TOLERANCE + SLACK_BYTES
    if devices - pools > slack or (both and pools - devices > slack):
        sums = {"sums": {"devices": devices, "pools": pools}}
        alarms.tell(subject=gateway.code, name=gateway.name, now=now, actor=_WORKER, found=sums)


def _unmetered(now: datetime) -> set[int]:
    """Return gateways that have a device without a quota, or had one since the last look.

    A pool that was left goes on for as long as devices of it may be told of.
    """
    last = GatewayMeter.objects.aggregate(at=Min("checked_at"))["at"]
    without = {"kind": "put", "payload__contains": UNMETERED}
    pools = set(PoolCurrent.objects.filter(**without).values_list("pool", flat=True).distinct())
    if last is not None:
        changed = PoolChange.objects.filter(**without, at__gte=last)
        pools.update(changed.values_list("pool", flat=True).distinct())
    serving = PoolGateway.objects.filter(pool__in=pools)
    left = LeftPool.objects.filter(pool__in=pools, left_at__gt=now - INCARNATIONS_KEPT)
    gateways = (rows.values_list("gateway", flat=True) for rows in (serving, left))
    return set().union(*gateways)


# --- forgetting -------------------------------------------------------------------------------


def forget(now: datetime) -> int:
    """Forget old incarnations and months; what they counted goes on adding up."""
    done = 0
    while page := _forget_incarnations(now):
        done += page
    while page := _forget_months(now):
        done += page
    while page := _forget_pools(now):
        done += page
    with writing():
        UsageRest.objects.filter(bytes_down=0, bytes_up=0).delete()
    return done


def _forget_incarnations(now: datetime) -> int:
    """Forget those that grow no more; one that runs, however long ago, would count again.

    One that was told of before another of the same device grows no more either.
    """
    ended = Q(final=True) | Q(gateway__state=Gateway.State.CLOSED) | _has_newer(Incarnation)
    with writing():
        old = Incarnation.objects.filter(ended, told_at__lt=now - INCARNATIONS_KEPT)
        rows = list(old.order_by("told_at")[:_PAGE])
        _carry(
            (one.device_id, one.told_down - one.aside_down, one.told_up - one.aside_up)
            for one in rows
        )
        Incarnation.objects.filter(pk__in=[one.pk for one in rows]).delete()
    return len(rows)


def _forget_pools(now: datetime) -> int:
    """Forget pools' counters alike; what they counted is in one row of each pool and gateway."""
    ended = Q(final=True) | Q(gateway__state=Gateway.State.CLOSED) | _has_newer(PoolUsage)
    with writing():
        old = PoolUsage.objects.filter(ended, updated_at__lt=now - INCARNATIONS_KEPT)
        rows = list(old.exclude(incarnation=EARLIER_COUNTERS).order_by("updated_at")[:_PAGE])
        keys = {(row.gateway_id, row.pool_id) for row in rows}
        sums = {
            (row.gateway_id, row.pool_id): row
            for row in PoolUsage.objects.filter(
                incarnation=EARLIER_COUNTERS, gateway__in={gateway for gateway, _ in keys}
            )
        }
        for row in rows:
            total = sums.setdefault(
                (row.gateway_id, row.pool_id),
                PoolUsage(
                    gateway_id=row.gateway_id,
                    pool_id=row.pool_id,
                    incarnation=EARLIER_COUNTERS,
                    final=True,
                ),
            )
            total.bytes_down = min(total.bytes_down + row.bytes_down, MOST_COUNTED)
            total.bytes_up = min(total.bytes_up + row.bytes_up, MOST_COUNTED)
            total.updated_at = now
        PoolUsage.objects.bulk_create(
            [sums[key] for key in keys],
            update_conflicts=True,
            unique_fields=["gateway", "pool", "incarnation"],
            update_fields=["bytes_down", "bytes_up", "updated_at"],
        )
        PoolUsage.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _has_newer(model: type[Incarnation | PoolUsage]) -> Exists:
    """Tell whether a later counter of the same device, or pool, was told of on the gateway."""
    whose, at = ("device", "told_at") if model is Incarnation else ("pool", "updated_at")
    same = {"gateway": OuterRef("gateway"), whose: OuterRef(whose)}
    newer = Q(**{f"{at}__gt": OuterRef(at)}) | Q(**{at: OuterRef(at)}, pk__gt=OuterRef("pk"))
    rows = model._default_manager.filter(newer, **same)  # noqa: SLF001 -- either model's
    return Exists(rows.exclude(incarnation=EARLIER_COUNTERS))


def _forget_months(now: datetime) -> int:
    with writing():
        old = UsageMonth.objects.filter(ends_at__lt=now - MONTHS_KEPT).order_by("ends_at")
        months = list(old.values_list("pk", flat=True)[: _PAGE // 50])
        days = UsageDay.objects.filter(month__in=months)
        _carry(
            (device, -down, -up)
            for device, down, up in days.values_list("device_id", "bytes_down", "bytes_up")
        )
        days.delete()
        UsageMonth.objects.filter(pk__in=months).delete()
    return len(months)


def _carry(rows: Iterable[tuple[int, int, int]]) -> None:
    """Add what goes to the rests of the devices."""
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for device, down, up in rows:
        sums[device][0] += down
        sums[device][1] += up
    rests = {rest.device_id: rest for rest in UsageRest.objects.filter(device__in=sums)}
    for device, (down, up) in sums.items():
        rest = rests.setdefault(device, UsageRest(device_id=device))
        rest.bytes_down += down
        rest.bytes_up += up
    UsageRest.objects.bulk_create(
        rests.values(),
        update_conflicts=True,
        unique_fields=["device"],
        update_fields=["bytes_down", "bytes_up"],
    )
