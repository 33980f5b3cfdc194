"""Whom it concerns that a gateway goes: asked before, so that nobody is cut without a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, Exists, OuterRef

from ferriage.devices.models import DevicePool
from ferriage.fleet.models import Gateway, PoolGateway

if TYPE_CHECKING:
    from ferriage.fleet.models import Line


@dataclass(frozen=True, slots=True)
class Concerned:
    """Devices that a gateway knows; and of these, with whose they are, such as no other serves.

    Which of its gateways a device's file names is not known: where there is another, it may be
    that one.
    """

    devices: int
    stranded: int
    customers: int


def concerned(*, gateway: Gateway, line: Line | None = None) -> Concerned:
    """Count the devices that may lose their tunnel when a gateway goes, with two queries.

    Another gateway serves them only if a new file may name it: neither waiting nor draining.

    Args:
        line: It leaves this line alone; None, all that it serves.
    """
    members = PoolGateway.objects.filter(gateway=gateway, gateway__state=Gateway.State.ACTIVE)
    if line is not None:
        members = members.filter(pool__line=line)
    others = PoolGateway.objects.filter(
        pool=OuterRef("pool"), gateway__state=Gateway.State.ACTIVE, gateway__draining_at=None
    ).exclude(gateway=gateway)
    served = DevicePool.objects.filter(
        pool__in=members.values("pool"),
        device__removed_at__isnull=True,
        device__remove_at__isnull=False,
    )
    devices = Count("device", distinct=True)
    customers = Count("device__subscription__account", distinct=True)
    alone = served.filter(~Exists(others)).aggregate(devices=devices, customers=customers)
    return Concerned(
        devices=served.aggregate(devices=devices)["devices"],
        stranded=alone["devices"],
        customers=alone["customers"],
    )
