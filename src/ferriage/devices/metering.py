"""Takes what gateways tell of devices with a quota: counts it, once, and answers with allowances.

Values are absolute within an incarnation, so the greatest is kept and what it grew by is added to
the device's day and to the subscription's month, all in the transaction of the report.

Source: docs/explanation/quotas.md
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched, starmap
from typing import TYPE_CHECKING, Final, NamedTuple

from django.db.models import F

from ferriage import wire
from ferriage.core import clock
from ferriage.core.compiled import Compiled
from ferriage.devices import alarms, usage
from ferriage.devices.budgets import SLACK, Budgets
from ferriage.devices.models import (
    Device,
    GatewayMeter,
    Incarnation,
    UsageDay,
    UsageMonth,
)
from ferriage.devices.usagemodels import MOST_COUNTED
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import LeftPool, PoolCurrent, PoolGateway
from ferriage.plans import quota
from ferriage.plans.models import Subscription

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date

    from django.db.models import QuerySet

    from ferriage.fleet.models import Gateway
    from ferriage.plans.models import Plan

_CHUNK: Final = 1000
_LATE: Final = timedelta(days=35)
"""As long as pools remember a deleted device."""
_TICK: Final = timedelta(microseconds=1)
MOST_COUNTERS: Final = 100
"""New counters of one device on one gateway that are taken over within a day. An honest agent
begins a few; what is left out is told again in its next reports, and taken over another day."""
_DAY: Final = timedelta(days=1)


def take_report(
    *, gateway: Gateway, report: wire.Report, outward: str = "", now: datetime
) -> wire.ReportAnswer:
    """Take over a gateway's report with what it tells of single devices.

    Args:
        outward: The address that it came from; empty when that cannot be told.

    Raises:
        As `fleet.actions.take_report`.
    """
    return fleet.take_report(
        gateway=gateway, report=report, outward=outward, now=now, meter=Metering()
    )


@dataclass(slots=True)
class _Row:
    """What a report tells of one incarnation, after all of its lines."""

    down: int = 0
    up: int = 0
    final: bool = False
    resets_at: int = 0

    def take(self, item: wire.Usage) -> None:
        """Take the greater values; after a final one there are none."""
        if not self.final:
            self.down, self.up = max(self.down, item.bytes_down), max(self.up, item.bytes_up)
            self.final, self.resets_at = item.final, item.resets_at


type _Key = tuple[str, str]
"""A device's code, and an incarnation."""


@dataclass(frozen=True, slots=True)
class _Device:
    """What must be known of a device to count for it. `made_at` is when it was made, at least."""

    pk: int
    code: str
    subscription: Subscription
    made_at: datetime


class Metering:
    """The meter of one report: `fleet.actions.DeviceMeter`."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._subscriptions: dict[int, Subscription] = {}

    def keep(self, *, gateway: Gateway, rows: Sequence[wire.Usage], now: datetime) -> None:
        """Count the rows; those of devices without a quota are left out.

        Rows of a device that the gateway was never given are left out too, and staff are told. The
        report is not refused for them: it would be sent again for ever.
        """
        self._since = gateway.last_seen_at
        told: dict[_Key, _Row] = defaultdict(_Row)
        for item in rows:
            told[item.device, item.incarnation].take(item)
        if not told:
            return
        codes = {code for code, _ in told}
        devices = self._devices(codes)
        known = _known(gateway, devices.values())
        given = _given(gateway, codes, now) | {code for code, _ in known}
        books = _Books(gateway, known, now)
        for (code, incarnation), row in told.items():
            if code in devices and code in given:
                books.post(devices[code], incarnation, row)
        books.write()
        alarms.tell_of_report(
            gateway=gateway,
            foreign=codes - (devices.keys() & given),
            devices={"aside": books.aside, "counters": books.left_out},
            now=now,
        )

    def allowances(
        self, *, gateway: Gateway, rows: Sequence[wire.Usage], now: datetime
    ) -> tuple[wire.Allowance, ...]:
        """Return how far the counters run of devices that are told of, or whose quota was used.

        A counter may run as far as it was told, and by all that its subscription has left. What
        others of the subscription use meanwhile is known a report later.
        """
        since = self._since or gateway.last_seen_at or now
        running = _running(gateway, {item.device for item in rows}, since - SLACK)
        found = self._load({one.subscription for one in running})
        standings = usage.standings(found, now)
        return tuple(
            wire.Allowance(device=one.device, incarnation=one.incarnation, bytes=one.told + left)
            for one in running
            if (left := standings[one.subscription].left) is not None
        )

    def _devices(self, codes: Collection[str]) -> dict[str, _Device]:
        """Return devices by code, removed ones too."""
        rows: list[tuple[str, int, int, date]] = []
        for chunk in batched(codes, _CHUNK):
            found = Device.objects.filter(code__in=chunk)
            rows += found.values_list("code", "pk", "subscription_id", "created_on")
        self._load({subscription for _, _, subscription, _ in rows})
        return {
            code: _Device(
                pk,
                code,
                self._subscriptions[subscription],
                datetime.combine(created_on, datetime.min.time(), UTC),
            )
            for code, pk, subscription, created_on in rows
        }

    def _load(self, wanted: Collection[int]) -> list[Subscription]:
        """Return subscriptions with what their quota is read from; each is read once a report."""
        for chunk in batched(set(wanted) - self._subscriptions.keys(), _CHUNK):
            rows = Subscription.objects.filter(pk__in=chunk).prefetch_related("plan", "periods")
            self._subscriptions |= {row.pk: row for row in rows}
        return [self._subscriptions[pk] for pk in wanted]


# --- what is there ----------------------------------------------------------------------------


class _Running(NamedTuple):
    """An incarnation that may grow, and whose quota it uses."""

    device: str
    incarnation: str
    told: int
    subscription: int


def _given(gateway: Gateway, codes: Collection[str], now: datetime) -> set[str]:
    """Return which devices the gateway was given within 35 days, in pools it has left since too."""
    left = LeftPool.objects.filter(gateway=gateway, left_at__gt=now - _LATE)
    served = PoolGateway.objects.filter(gateway=gateway)
    pools = served.values("pool").union(left.values("pool"))
    found: set[str] = set()
    for chunk in batched(codes, _CHUNK):
        rows = PoolCurrent.objects.filter(pool__in=pools, subject__in=chunk)
        found.update(rows.values_list("subject", flat=True))
    return found


def _known(gateway: Gateway, devices: Iterable[_Device]) -> dict[_Key, Incarnation]:
    """Return all incarnations of the devices on the gateway that are not forgotten."""
    codes = {device.pk: device.code for device in devices}
    found: dict[_Key, Incarnation] = {}
    for chunk in batched(codes, _CHUNK):
        rows = Incarnation.objects.filter(gateway=gateway, device__in=chunk)
        found |= {(codes[row.device_id], row.incarnation): row for row in rows}
    return found


def _running(gateway: Gateway, codes: Collection[str], since: datetime) -> set[_Running]:
    """Return the running incarnations of these devices, and of those that share a used quota.

    A device has one: a gateway that tells of a newer one has ended the one before.
    """
    sharing = [
        Device.objects.filter(subscription__in=chunk)
        for chunk in batched((pk for (pk,) in _USED(since)), _CHUNK)
    ]
    named = [Device.objects.filter(code__in=chunk) for chunk in batched(codes, _CHUNK)]
    found: dict[str, _Running] = {}
    for devices in (*sharing, *named):
        rows = Incarnation.objects.filter(gateway=gateway, device__in=devices, final=False)
        running = starmap(_Running, _told(rows.order_by("told_at", "pk")))
        found |= {one.device: one for one in running}
    return set(found.values())


def _told(rows: QuerySet[Incarnation]) -> QuerySet[Incarnation, tuple[str, str, int, int]]:
    told = rows.annotate(told=F("told_down") + F("told_up"))
    return told.values_list("device__code", "incarnation", "told", "device__subscription")


_USED: Final = Compiled(
    1, lambda since: UsageMonth.objects.filter(used_at__gt=since).values_list("subscription")
)
"""Whose quota was used since an instant."""


# --- counting ---------------------------------------------------------------------------------


@dataclass
class _Books:
    """What one report changes, written at its end with a fixed number of statements."""

    gateway: Gateway
    known: dict[_Key, Incarnation]
    now: datetime
    changed: dict[_Key, Incarnation] = field(default_factory=dict)
    grown: dict[tuple[int, int, datetime], list[int]] = field(default_factory=dict)
    ends: dict[tuple[int, datetime], datetime] = field(default_factory=dict)
    aside: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    told: int = 0

    def __post_init__(self) -> None:
        self.recent: Counter[str] = Counter(
            code for (code, _), row in self.known.items() if self.now - row.told_at < _DAY
        )
        self.budgets = Budgets(self.gateway, self.known.values(), self.now)

    def post(self, device: _Device, incarnation: str, row: _Row) -> None:
        """Take over what was told of one incarnation; a final one grows no more."""
        subscription = device.subscription
        plan = subscription.plan
        if plan.quota_bytes is None:
            return
        kept = self.known.get((device.code, incarnation))
        if kept is None:
            if self.recent[device.code] >= MOST_COUNTERS:
                self.left_out[device.code] = self.left_out.get(device.code, 0) + row.down + row.up
                return
            self.recent[device.code] += 1
            kept = self._new(device, incarnation, plan)
        if kept.final or (not row.final and row.down < kept.told_down and row.up < kept.told_up):
            return
        down, up = max(row.down - kept.told_down, 0), max(row.up - kept.told_up, 0)
        if self.budgets.spend(kept, plan, down=down, up=up, made_at=device.made_at):
            self._add(device, _month(subscription, row.resets_at, self.now), down, up)
        else:
            kept.aside_down += down
            kept.aside_up += up
            self.aside[device.code] = self.aside.get(device.code, 0) + down + up
        self.told += down + up
        kept.told_down, kept.told_up = kept.told_down + down, kept.told_up + up
        kept.rate_down_bps, kept.rate_up_bps = plan.rate_down_bps, plan.rate_up_bps
        kept.final, kept.told_at = row.final, self.now
        kept.spare_ms = self.budgets.spare_ms(device.pk)
        self.known[device.code, incarnation] = self.changed[device.code, incarnation] = kept

    def _new(self, device: _Device, incarnation: str, plan: Plan) -> Incarnation:
        return Incarnation(
            gateway=self.gateway,
            device_id=device.pk,
            incarnation=incarnation,
            rate_down_bps=plan.rate_down_bps,
            rate_up_bps=plan.rate_up_bps,
        )

    def _add(self, device: _Device, month: tuple[datetime, datetime], down: int, up: int) -> None:
        if not (down or up):
            return
        begins_at, ends_at = month
        subscription = device.subscription.pk
        self.ends[subscription, begins_at] = ends_at
        day = self.grown.setdefault((device.pk, subscription, begins_at), [0, 0])
        day[0] += down
        day[1] += up

    def write(self) -> None:
        """Write it all."""
        Incarnation.objects.bulk_create(
            self.changed.values(),
            update_conflicts=True,
            unique_fields=["gateway", "device", "incarnation"],
            update_fields=[
                *("told_down", "told_up", "aside_down", "aside_up"),
                *("rate_down_bps", "rate_up_bps", "final", "told_at", "spare_ms"),
            ],
        )
        self._write_days(self._write_months())
        self._write_gateway()

    def _write_months(self) -> dict[tuple[int, datetime], UsageMonth]:
        months = self._months()
        for (_device, subscription, begins_at), (down, up) in self.grown.items():
            month = months[subscription, begins_at]
            month.bytes_used = min(month.bytes_used + down + up, MOST_COUNTED)
            month.used_at = self.now
        UsageMonth.objects.bulk_create(
            months.values(),
            update_conflicts=True,
            unique_fields=["subscription", "begins_at"],
            update_fields=["bytes_used", "used_at"],
        )
        return months

    def _months(self) -> dict[tuple[int, datetime], UsageMonth]:
        """Return the months that grow, by subscription and begin; new ones are not saved."""
        found: dict[tuple[int, datetime], UsageMonth] = {}
        for chunk in batched({subscription for subscription, _ in self.ends}, _CHUNK):
            for row in UsageMonth.objects.filter(subscription__in=chunk):
                found[row.subscription_id, row.begins_at] = row
        return {
            key: found.get(key)
            or UsageMonth(
                subscription_id=key[0], begins_at=key[1], ends_at=ends_at, used_at=self.now
            )
            for key, ends_at in self.ends.items()
        }

    def _write_days(self, months: dict[tuple[int, datetime], UsageMonth]) -> None:
        on = self.now.date()
        days = {}
        for chunk in batched({device for device, _, _ in self.grown}, _CHUNK):
            for row in UsageDay.objects.filter(device__in=chunk, on=on):
                days[row.device_id, row.month_id] = row
        changed = []
        for (device, subscription, begins_at), (down, up) in self.grown.items():
            month = months[subscription, begins_at]
            day = days.get((device, month.pk)) or UsageDay(device_id=device, month=month, on=on)
            day.bytes_down = min(day.bytes_down + down, MOST_COUNTED)
            day.bytes_up = min(day.bytes_up + up, MOST_COUNTED)
            changed.append(day)
        UsageDay.objects.bulk_create(
            changed,
            update_conflicts=True,
            unique_fields=["device", "on", "month"],
            update_fields=["bytes_down", "bytes_up"],
        )

    def _write_gateway(self) -> None:
        meter, _made = GatewayMeter.objects.get_or_create(gateway=self.gateway)
        meter.bytes_told = min(meter.bytes_told + self.told, MOST_COUNTED)
        meter.save(update_fields=["bytes_told"])


def _month(subscription: Subscription, resets_at: int, now: datetime) -> tuple[datetime, datetime]:
    """Return the month of the quota that bytes are counted in, by where their incarnation ends.

    A late report of a month that is over is counted there, and takes nothing of the next one.
    """
    month = quota.stretch_of(subscription, now)
    if 0 < resets_at <= clock.unix(month[0]):
        return quota.stretch_of(subscription, clock.from_unix(resets_at) - _TICK)
    return month
