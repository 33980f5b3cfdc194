from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry
from ferriage.devices import queries
from ferriage.fleet import actions
from ferriage.fleet.models import Gateway, PoolCurrent, PoolGateway
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.devices.models import Device
    from shop import Shop


def _names(device: Device) -> list[str]:
    return [placement.gateway.name for placement in queries.placements(device)]


def test_draining_gateway_is_offered_to_nobody_and_keeps_its_pool(shop: Shop) -> None:
    beta = shop.yard.gateway(shop.line, name="beta").row
    device = shop.device(shop.holder())
    assert _names(device) == ["alpha", "beta"]

    actions.drain_gateway(gateway=beta, now=shop.now, actor=OWNER)

    assert _names(device) == ["alpha"]
    assert PoolGateway.objects.filter(gateway=beta).count() == 1
    assert AuditEntry.objects.filter(action="gateway.draining", subject=beta.code).count() == 1


def test_gateway_drains_once(shop: Shop) -> None:
    actions.drain_gateway(gateway=shop.gateway.row, now=shop.now, actor=OWNER)

    with pytest.raises(StaleState):
        actions.drain_gateway(gateway=shop.gateway.row, now=shop.now, actor=OWNER)


def test_closed_gateway_leaves_its_pools_and_moves_nobody(shop: Shop) -> None:
    beta = shop.yard.gateway(shop.line, name="beta").row
    device = shop.device(shop.holder())
    Gateway.objects.filter(pk=beta.pk).update(lease_instance="x", lease_until=shop.now)
    before = list(PoolCurrent.objects.filter(kind="put").order_by("pk").values())

    closed = actions.close_gateway(gateway=beta, now=shop.now, actor=OWNER)

    assert (closed.state, closed.lease_instance, closed.lease_until) == ("closed", "", None)
    assert [row.gateway.name for row in PoolGateway.objects.all()] == ["alpha"]
    assert list(PoolCurrent.objects.filter(kind="put").order_by("pk").values()) == before
    assert _names(device) == ["alpha"]
    with pytest.raises(actions.GatewayClosed):
        actions.drain_gateway(gateway=beta, now=shop.now, actor=OWNER)
