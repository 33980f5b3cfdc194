"""What a gateway counted in a pool that it has left is taken, once, however late it comes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ferriage import wire
from ferriage.agent.quota import Quotas
from ferriage.agent.store import Store
from ferriage.agent.telling import Telling
from ferriage.agent.usage import Meter
from ferriage.core.clock import unix
from ferriage.devices import conserving, metering
from ferriage.devices.models import UsageDay
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import Alarm, LeftPool, PoolCurrent, PoolGateway, PoolUsage
from ferriage.plans.models import Plan
from yard import OWNER, report_of, status, usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from ferriage.devices.models import Device
    from metered import Agent
    from shop import Shop

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
def device(shop: Shop, agent: Agent) -> Device:  # noqa: ARG001 -- of a plan with a quota
    return shop.device(shop.holder())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "state.sqlite3")
    yield opened
    opened.close()


def _leave(shop: Shop, agent: Agent, now: datetime) -> None:
    fleet.unassign(gateway=agent.gateway, line=shop.line, now=now, actor=OWNER)


def _days() -> list[tuple[int, int, int]]:
    rows = UsageDay.objects.order_by("pk")
    return list(rows.values_list("device_id", "bytes_down", "bytes_up"))


def _sums() -> list[tuple[int, int, bool]]:
    return list(PoolUsage.objects.order_by("pk").values_list("bytes_down", "bytes_up", "final"))


def _tell(agent: Agent, *rows: wire.Usage, at: datetime) -> wire.ReportAnswer:
    """Report without a status, as a gateway does that serves no pool any more."""
    agent.sequence += 1
    report = report_of(sequence=agent.sequence, usage=rows)
    return metering.take_report(gateway=agent.gateway, report=report, now=at)


def test_agents_last_word_of_a_pool_reaches_the_books_of_the_site(
    shop: Shop, agent: Agent, device: Device, store: Store, now: datetime
) -> None:
    pool = shop.pool.code
    record = wire.decode(PoolCurrent.objects.get(subject=device.code).payload, wire.Put).device
    meter, quotas = Meter(store, "boot"), Quotas(store, "boot")
    telling = Telling(store, meter, quotas)
    quotas.observe({record.slot: (0, 0)}, {record.slot: (pool, record)}, now=unix(now))
    meter.record(pool, {record.slot: (0, 0)})

    _leave(shop, agent, now)
    last = {record.slot: (900, 70)}
    quotas.observe(last, {}, now=unix(now))
    meter.record(pool, last)
    meter.end(pool)
    answer = _tell(agent, *telling.rows((), 1), at=now + MINUTE)
    telling.taken(answer.acknowledged)

    assert answer.pools == ()
    assert telling.rows((), 2) == ()
    assert (_days(), _sums()) == ([(device.pk, 900, 70)], [(900, 70, True)])
    assert list(Alarm.objects.all()) == []


def test_final_value_that_comes_twice_counts_once(
    shop: Shop, agent: Agent, device: Device, now: datetime
) -> None:
    rows = agent.row(device, 900, final=True), usage(shop.pool.code, 900, 0, final=True)
    _leave(shop, agent, now)

    for minutes in (1, 2):
        _tell(agent, *rows, at=now + minutes * MINUTE)

    assert (_days(), _sums()) == ([(device.pk, 900, 0)], [(900, 0, True)])


def test_after_weeks_the_pool_is_taken_and_a_device_only_if_it_was_told_of_before(
    shop: Shop, agent: Agent, device: Device, now: datetime
) -> None:
    unheard = shop.device(device.subscription)
    agent.tell(agent.row(device, 900), at=now)
    _leave(shop, agent, now)

    _tell(
        agent,
        agent.row(device, 1000, final=True),
        agent.row(unheard, 5, incarnation="boot.e2", final=True),
        usage(shop.pool.code, 1005, 0, final=True),
        at=now + 36 * DAY,
    )

    assert ([row[:2] for row in _days()], _sums()) == (
        [(device.pk, 900), (device.pk, 100)],
        [(1005, 0, True)],
    )
    foreign = {"count": 1, "devices": [unheard.code]}
    assert [alarm.details["foreign"] for alarm in Alarm.objects.all()] == [foreign]


@pytest.mark.parametrize("what", ["status", "another gateway's"])
def test_left_pool_is_served_no_more_and_another_gateways_is_no_left_one(
    shop: Shop, agent: Agent, now: datetime, what: str
) -> None:
    line = shop.yard.plan("other")
    beta = shop.yard.gateway(line, name="beta")
    fleet.unassign(gateway=beta.row, line=line, now=now, actor=OWNER)
    _leave(shop, agent, now)
    told: dict[str, Any] = {
        "status": {"pools": (status(shop.pool.code),)},
        "another gateway's": {"usage": (usage(line.pools.get().code, 1, 1, final=True),)},
    }

    with pytest.raises(fleet.NotItsPool):
        metering.take_report(gateway=agent.gateway, report=report_of(**told[what]), now=now)

    assert _sums() == []


def test_pool_that_is_left_and_served_by_turns_is_remembered_once(
    shop: Shop, agent: Agent, now: datetime
) -> None:
    for minutes in (0, 2):
        _leave(shop, agent, now + minutes * MINUTE)
        fleet.assign(gateway=agent.gateway, line=shop.line, now=now + MINUTE, actor=OWNER)

    row = LeftPool.objects.get()
    assert (row.pool_id, row.gateway_id) == (shop.pool.pk, agent.gateway.pk)
    assert row.left_at == now + 2 * MINUTE
    assert PoolGateway.objects.filter(gateway=agent.gateway).count() == 1


def test_pools_may_come_to_more_where_one_with_unmetered_devices_was_left(
    shop: Shop, agent: Agent, device: Device, now: datetime
) -> None:
    Plan.objects.filter(pk=shop.plan.pk).update(quota_bytes=None)
    shop.device(device.subscription)
    Plan.objects.filter(pk=shop.plan.pk).update(quota_bytes=10**12)
    agent.tell(agent.row(device, 0), at=now)
    _leave(shop, agent, now)
    for day in (0, 1, 2):
        conserving.check_gateways(now + day * DAY)

    _tell(agent, usage(shop.pool.code, 10**9, 0, final=True), at=now + 2 * DAY)
    conserving.check_gateways(now + 3 * DAY)

    assert list(Alarm.objects.all()) == []
