"""Plans with a quota, and gateways' agents as far as their reports go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from ferriage.devices import metering
from ferriage.plans.models import Plan
from yard import report_of, status, usage

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage import wire
    from ferriage.devices.models import Device
    from shop import Shop
    from yard import EnrolledGateway

QUOTA: Final = 10_000_000


class Agent:
    """Reports for a gateway of the shop's pool, with a new sequence each time."""

    def __init__(self, shop: Shop, gateway: EnrolledGateway | None = None) -> None:
        self.shop = shop
        self.gateway = (gateway or shop.gateway).row
        self.sequence = 0

    def row(self, device: Device, down: int, up: int = 0, **changes: Any) -> wire.Usage:
        """Return what is told of a device's counter."""
        values = {"device": device.code, "incarnation": "boot.e1", **changes}
        return usage(self.shop.pool.code, down, up, **values)

    def tell(self, *rows: wire.Usage, at: datetime) -> dict[tuple[str, str], int]:
        """Report, and return how far counters may run."""
        self.sequence += 1
        report = report_of(status(self.shop.pool.code), sequence=self.sequence, usage=rows)
        answer = metering.take_report(gateway=self.gateway, report=report, now=at)
        return {(one.device, one.incarnation): one.bytes for one in answer.allowances}


@pytest.fixture
def quota(shop: Shop) -> int:
    """Give the shop's plan a quota."""
    Plan.objects.filter(pk=shop.plan.pk).update(quota_bytes=QUOTA)
    shop.plan.refresh_from_db()
    return QUOTA


@pytest.fixture
def agent(shop: Shop, quota: int) -> Agent:  # noqa: ARG001 -- the plan has one
    """The agent of the shop's gateway."""
    return Agent(shop)
