"""Two gateways report at the same moment, each on a connection of its own."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from ferriage.devices import conserving
from ferriage.devices import usage as reads
from ferriage.devices.models import UsageDay
from ferriage.fleet.models import Alarm
from metered import QUOTA, Agent
from own_database import at_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ferriage.config import Config
    from shop import Shop

MINUTE = timedelta(minutes=1)
REPORTS = 5


@pytest.fixture
def shop(
    own_database: Config,  # noqa: ARG001 -- rows go there
    make_shop: Callable[[datetime], Shop],
    now: datetime,
) -> Shop:
    return make_shop(now)


def test_reports_at_once_add_every_byte_once(shop: Shop, agent: Agent, now: datetime) -> None:
    device = shop.device(shop.holder())
    other = Agent(shop, shop.yard.gateway(shop.line, name="beta"))

    def tell(agent: Agent, bytes_each: int) -> dict[tuple[str, str], int]:
        for step in range(1, REPORTS + 1):
            row = agent.row(device, step * bytes_each)
            allowed = agent.tell(row, at=now + step * MINUTE)
        return allowed

    results = at_once(partial(tell, agent, 1000), partial(tell, other, 30))

    used = REPORTS * 1030
    assert reads.used(device.subscription, now + MINUTE) == used
    assert UsageDay.objects.get().bytes_down == used
    # Whoever came last was told what both had used; the other one hears it with its next report.
    key = (device.code, "boot.e1")
    own = [REPORTS * 1000, REPORTS * 30]
    last = [counted + QUOTA - used for counted in own]
    assert any(result == {key: allowed} for result, allowed in zip(results, last, strict=True)), (
        results
    )
    assert [agent.tell(at=now + 6 * MINUTE), other.tell(at=now + 6 * MINUTE)] == [
        {key: allowed} for allowed in last
    ]
    conserving.check_ledger(now)
    assert not Alarm.objects.exists()
