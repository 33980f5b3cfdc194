from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ferriage.core.compiled import Compiled
from ferriage.devices.models import Device, DevicePool
from ferriage.fleet import site as fleet_site
from ferriage.fleet.models import Gateway, PoolGateway
from ferriage.plans.queries import lines_of, usable_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from ferriage.accounts.models import Account
    from ferriage.fleet.models import Line
    from ferriage.plans.models import Subscription


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a device connects: one gateway of one of its lines. `dns` are inner addresses.

    `routes` are the inner networks that lie behind it; none is the internet.
    """

    line: Line
    gateway: Gateway
    endpoint_host: str
    endpoint_port: int
    server_key: str
    dns: tuple[str, str]
    routes: tuple[str, ...] = ()


def devices_of(subscription: Subscription) -> list[Device]:
    """Return the registered devices, oldest first."""
    return list(
        Device.objects.filter(subscription=subscription, removed_at__isnull=True).order_by("pk")
    )


def device_of(*, account: Account, code: str) -> Device | None:
    """Return a registered device if it belongs to the account."""
    return (
        Device.objects.filter(code=code, removed_at__isnull=True, subscription__account=account)
        .select_related("subscription__plan", "subscription__service", "subscription__account")
        .first()
    )


def placements(device: Device) -> list[Placement]:
    """Return every gateway that the device can connect to, by line and then by name.

    One that is draining is left out: its files go on, but nobody gets a new one.
    """
    subscription = device.subscription
    usable = usable_by(lines_of(subscription.plan), subscription.account.account_class)
    lines = {line.pk: line for line in usable}
    placed = DevicePool.objects.filter(device=device, line__in=lines)
    members = (
        PoolGateway.objects.filter(
            pool__in=placed.values("pool"),
            gateway__state=Gateway.State.ACTIVE,
            gateway__draining_at=None,
        )
        .select_related("gateway", "pool")
        .order_by("pool__line_id", "gateway__name")
    )
    dns4, dns6 = (address.partition("/")[0] for address in fleet_site.gateway_addresses())
    return [
        Placement(
            line=lines[member.pool.line_id],
            gateway=member.gateway,
            endpoint_host=member.gateway.endpoint_host,
            endpoint_port=member.listen_port,
            server_key=member.gateway.wireguard_key,
            dns=(dns4, dns6),
            routes=tuple(subscription.plan.routes),
        )
        for member in members
    ]


def gets_files(subscription: Subscription) -> bool:
    """Tell whether a gateway takes new devices of a subscription, so that files could name it."""
    usable = usable_by(lines_of(subscription.plan), subscription.account.account_class)
    members = PoolGateway.objects.filter(
        pool__line__in=usable,
        gateway__state=Gateway.State.ACTIVE,
        gateway__draining_at=None,
    )
    return members.exists()


def to_refresh(subscriptions: Sequence[int]) -> list[Device]:
    """Return the devices of subscriptions, by primary key, with what says if they may run."""
    if len(subscriptions) == 1:
        return _OF_ONE(*subscriptions)
    return list(_to_refresh().filter(subscription__in=subscriptions))


def _to_refresh() -> QuerySet[Device]:
    return (
        Device.objects.filter(removed_at__isnull=True)
        .select_related("subscription__plan", "subscription__account")
        .prefetch_related("subscription__periods")
        .order_by("pk")
    )


_OF_ONE: Final = Compiled(1, lambda subscription: _to_refresh().filter(subscription=subscription))
