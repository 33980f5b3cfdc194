"""How many gateways really run what was last written of a device, and what they do with it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from django.db.models import F

from ferriage import wire
from ferriage.core.models import SiteState
from ferriage.devices import usage
from ferriage.devices.models import UsageMonth
from ferriage.fleet.models import Gateway, Line, PoolCurrent, PoolGateway
from ferriage.fleet.queries import is_open, newest_permits
from ferriage.plans.models import Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from ferriage.devices.models import Device


@dataclass(frozen=True, slots=True)
class Refusal:
    """A gateway that could not apply a device's record, and why, in the agent's words."""

    gateway: Gateway
    reason: str


@dataclass(frozen=True, slots=True)
class Live:
    """On how many of its gateways what was last written of a device is applied, and not refused.

    `held` says that they let it reach the shop alone: its right ended, its data is used up, or no
    line of it is open.
    """

    on: int
    of: int
    held: bool = False
    refusals: tuple[Refusal, ...] = ()

    @property
    def state(self) -> Literal["none", "waiting", "held", "live"]:
        """Return in one word what to say; `live` only where nothing is waited for."""
        if not self.of:
            return "none"
        if self.on < self.of:
            return "waiting"
        return "held" if self.held else "live"


class _Written(NamedTuple):
    """A pool that holds a device's record, and in which revision it was written."""

    pool: int
    rev: int


def liveness(devices: Sequence[Device], *, now: datetime) -> dict[str, Live]:
    """Tell by code how many gateways really run what was last written of each device.

    A gateway counts once, and only if it has applied the record in each pool that the device has
    there. Six queries, however many devices, and two more where data is used up.
    """
    rows = PoolCurrent.objects.filter(subject__in=[d.code for d in devices], kind="put")
    written: dict[str, list[_Written]] = defaultdict(list)
    for code, pool, rev in rows.values_list("subject", "pool_id", "rev"):
        written[code].append(_Written(pool, rev))
    pools = {each.pool for found in written.values() for each in found}
    members = _members(pools)
    open_pools = _open_pools(pools, now)
    epoch = SiteState.objects.values_list("epoch", flat=True).first() or ""
    used_up = _used_up({device.subscription_id for device in devices}, now)
    found = {}
    for device in devices:
        own = written[device.code]
        stopped = device.hold_at is not None and device.hold_at <= now
        stopped |= device.subscription_id in used_up
        held = stopped or not any(each.pool in open_pools for each in own)
        found[device.code] = _live(device.code, own, members, epoch, held=held)
    return found


def _used_up(subscriptions: Iterable[int], now: datetime) -> set[int]:
    """Return the subscriptions whose data is used up; packs are asked for where the plan's is."""
    months = UsageMonth.objects.filter(subscription__in=subscriptions, ends_at__gt=now)
    full = months.filter(bytes_used__gte=F("subscription__plan__quota_bytes"))
    found = Subscription.objects.filter(pk__in=full.values_list("subscription_id", flat=True))
    loaded = found.select_related("plan").prefetch_related("periods")
    return {pk for pk, one in usage.standings(loaded, now).items() if one.is_used_up}


def _members(pools: Iterable[int]) -> dict[int, list[PoolGateway]]:
    members: dict[int, list[PoolGateway]] = defaultdict(list)
    serving = PoolGateway.objects.filter(pool__in=pools, gateway__state=Gateway.State.ACTIVE)
    for member in serving.select_related("gateway").order_by("gateway__name", "pk"):
        members[member.pool_id].append(member)
    return members


def _open_pools(pools: Iterable[int], now: datetime) -> set[int]:
    lines = list(Line.objects.filter(pools__in=pools).distinct().prefetch_related("pools"))
    permits = newest_permits(lines)
    return {
        pool.pk
        for line in lines
        if is_open(permits.get(line.pk), at=now)
        for pool in line.pools.all()
    }


def _live(
    code: str,
    written: Iterable[_Written],
    members: Mapping[int, Sequence[PoolGateway]],
    epoch: str,
    *,
    held: bool,
) -> Live:
    serving = [(member, each.rev) for each in written for member in members.get(each.pool, ())]
    behind = {member.gateway_id for member, rev in serving if not _runs(member, code, epoch, rev)}
    gateways = {member.gateway_id for member, _rev in serving}
    return Live(
        on=len(gateways - behind),
        of=len(gateways),
        held=held,
        refusals=tuple(
            Refusal(member.gateway, str(entry.get("reason", "")))
            for member, _rev in serving
            for entry in member.refused
            if entry.get("device") == code
        ),
    )


def _runs(member: PoolGateway, code: str, epoch: str, rev: int) -> bool:
    """Tell whether a gateway has applied a record. Who refuses more than it lists may refuse it."""
    listed = [entry.get("device") for entry in member.refused]
    return (
        member.applied_epoch == epoch
        and member.applied_rev >= rev
        and code not in listed
        and len(listed) < wire.MOST_TOLD
    )
