"""What gateways tell of devices with a quota: counted once, by day and month, and allowed for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ferriage import wire
from ferriage.core.clock import unix
from ferriage.core.models import AuditEntry
from ferriage.devices import actions, metering, tasks
from ferriage.devices import usage as reads
from ferriage.devices.models import (
    Device,
    GatewayMeter,
    Incarnation,
    UsageDay,
    UsageMonth,
)
from ferriage.devices.usagemodels import MOST_COUNTED
from ferriage.fleet import actions as fleet
from ferriage.fleet import alarmwords
from ferriage.fleet.actions import poolcounters
from ferriage.fleet.models import Alarm, Gateway, PoolChange, PoolCurrent, PoolUsage
from ferriage.plans.models import Plan
from metered import QUOTA, Agent
from yard import OWNER, report_of, usage

if TYPE_CHECKING:
    from shop import Shop

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
# The shop's `now` is 1 March 2026, noon.
END = datetime(2026, 4, 1, 12, tzinfo=UTC)


@pytest.fixture
def device(shop: Shop, agent: Agent) -> Device:  # noqa: ARG001 -- of a plan with a quota
    return shop.device(shop.holder())


def told(device: Device) -> wire.Device:
    return wire.decode(PoolCurrent.objects.get(subject=device.code).payload, wire.Put).device


def days() -> list[tuple[int, date, int, int]]:
    rows = UsageDay.objects.order_by("on", "device_id", "month_id")
    return list(rows.values_list("device_id", "on", "bytes_down", "bytes_up"))


def changes() -> int:
    return PoolChange.objects.filter(kind__in=["put", "del"]).count()


def everything() -> list[Any]:
    models = (Alarm, GatewayMeter, Incarnation, UsageDay, UsageMonth)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_record_names_the_quota_and_the_end_of_its_month(device: Device) -> None:
    assert told(device).quota == wire.Quota(bytes=QUOTA, resets_at=unix(END))
    assert device.quota_ends_at == END


def test_bytes_go_to_the_day_and_to_the_month_and_no_record_changes(
    agent: Agent, device: Device, now: datetime
) -> None:
    written = changes()

    agent.tell(agent.row(device, 1000, 100), at=now + MINUTE)
    agent.tell(agent.row(device, 4000, 500), at=now + DAY)

    assert days() == [
        (device.pk, date(2026, 3, 1), 1000, 100),
        (device.pk, date(2026, 3, 2), 3000, 400),
    ]
    month = UsageMonth.objects.get()
    assert (month.begins_at, month.ends_at, month.bytes_used) == (now, END, 4500)
    assert reads.used(device.subscription, now + DAY) == 4500
    assert reads.left(device.subscription, now + DAY) == QUOTA - 4500
    assert reads.by_day(device.subscription, 3, now + DAY) == [
        reads.Day(date(2026, 2, 28), 0, 0),
        reads.Day(date(2026, 3, 1), 1000, 100),
        reads.Day(date(2026, 3, 2), 3000, 400),
    ]
    assert changes() == written


def test_counter_may_run_by_what_is_left_of_the_subscription(
    shop: Shop, agent: Agent, device: Device, now: datetime
) -> None:
    second = shop.device(device.subscription)
    agent.tell(agent.row(second, 2_000_000, incarnation="boot.e2"), at=now + MINUTE)

    allowed = agent.tell(agent.row(device, 3_000_000, 500_000), at=now + 2 * MINUTE)

    left = QUOTA - 5_500_000
    assert allowed == {
        (device.code, "boot.e1"): 3_500_000 + left,
        (second.code, "boot.e2"): 2_000_000 + left,
    }


def test_used_up_allowance_stays_at_what_was_used(
    agent: Agent, device: Device, now: datetime
) -> None:
    first = agent.tell(agent.row(device, QUOTA + 5), at=now + MINUTE)
    again = agent.tell(agent.row(device, QUOTA + 5), at=now + 2 * MINUTE)

    assert first == again == {(device.code, "boot.e1"): QUOTA + 5}
    assert reads.standing(device.subscription, now + MINUTE).is_used_up


def test_use_on_one_gateway_is_told_to_the_other_with_its_next_report(
    shop: Shop, agent: Agent, device: Device, now: datetime
) -> None:
    other = Agent(shop, shop.yard.gateway(shop.line, name="beta"))
    other.tell(other.row(device, 0), at=now + MINUTE)
    agent.tell(agent.row(device, 7_000_000), at=now + 2 * MINUTE)

    allowed = other.tell(at=now + 2 * MINUTE + timedelta(seconds=10))

    assert allowed == {(device.code, "boot.e1"): 3_000_000}
    assert other.tell(at=now + 10 * MINUTE) != {}
    assert other.tell(at=now + 20 * MINUTE) == {}


def test_devices_of_plans_without_a_quota_are_not_counted(
    shop: Shop, agent: Agent, device: Device, now: datetime
) -> None:
    Plan.objects.filter(pk=shop.plan.pk).update(quota_bytes=None)

    allowed = agent.tell(agent.row(device, 1000), at=now + MINUTE)

    assert allowed == {}
    assert (days(), list(Incarnation.objects.all()), list(UsageMonth.objects.all())) == ([], [], [])
    assert list(Alarm.objects.all()) == []


def test_device_that_the_gateway_was_never_given_counts_nothing_and_staff_see_it(
    shop: Shop, agent: Agent, device: Device, now: datetime
) -> None:
    line = shop.yard.plan("other")
    stranger = Agent(shop, shop.yard.gateway(line, name="beta"))
    row = usage(line.pools.get().code, 5, 5, device=device.code, incarnation="boot.e1")

    for minutes in (1, 2):
        stranger.sequence += 1
        report = report_of(sequence=stranger.sequence, usage=(row,))
        answer = metering.take_report(
            gateway=stranger.gateway, report=report, now=now + minutes * MINUTE
        )
        assert answer.allowances == ()
    agent.tell(agent.row(device, 7), usage(shop.pool.code, 0, 0, device="dev_x"), at=now + MINUTE)

    assert [row[2:] for row in days()] == [(7, 0)]
    alarms = Alarm.objects.order_by("pk").values_list("kind", "subject", "details")
    assert list(alarms) == [
        (
            "metering",
            subject.gateway.code,
            {"name": subject.gateway.name, "foreign": {"count": 1, "devices": [code]}},
        )
        for subject, code in ((stranger, device.code), (agent, "dev_x"))
    ]
    assert AuditEntry.objects.filter(action="meter.differed").count() == 2


def test_final_of_a_removed_device_counts_while_its_tombstone_is_kept(
    agent: Agent, device: Device, now: datetime
) -> None:
    agent.tell(agent.row(device, 1000), at=now + MINUTE)
    actions.remove_device(device=device, now=now + 2 * MINUTE, actor=OWNER)

    agent.tell(agent.row(device, 1500, final=True), at=now + 3 * MINUTE)
    agent.tell(agent.row(device, 9999), at=now + 4 * MINUTE)

    assert [row[2:] for row in days()] == [(1500, 0)]
    assert Incarnation.objects.get().final


def test_report_taken_twice_is_answered_alike_and_counts_once(
    agent: Agent, device: Device, now: datetime
) -> None:
    report = report_of(usage=(agent.row(device, 1000),))
    first = metering.take_report(gateway=agent.gateway, report=report, now=now)
    before = everything()

    second = metering.take_report(gateway=agent.gateway, report=report, now=now + MINUTE)

    assert second == first
    assert everything() == before


def test_report_without_a_meter_refuses_rows_of_devices(
    agent: Agent, device: Device, now: datetime
) -> None:
    report = report_of(usage=(agent.row(device, 1000),))

    with pytest.raises(fleet.ReportWrong):
        fleet.take_report(gateway=agent.gateway, report=report, now=now)


# --- the month's end --------------------------------------------------------------------------


def test_worker_tells_the_next_month_once(agent: Agent, shop: Shop, now: datetime) -> None:
    device = shop.device(shop.holder(6))
    agent.tell(agent.row(device, QUOTA), at=now + MINUTE)
    before = changes()
    assert tasks.follow_quotas(END - MINUTE) == 0
    assert changes() == before

    assert tasks.run(END) == 1
    assert tasks.run(END + MINUTE) == 0

    may = datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert told(device).quota == wire.Quota(bytes=QUOTA, resets_at=unix(may))
    assert changes() == before + 1
    assert reads.left(device.subscription, END) == QUOTA


def test_late_report_of_a_month_that_is_over_takes_nothing_of_the_next(
    agent: Agent, shop: Shop, now: datetime
) -> None:
    device = shop.device(shop.holder(6))
    agent.tell(agent.row(device, 1_000_000, resets_at=unix(END)), at=now + MINUTE)

    allowed = agent.tell(
        agent.row(device, 8_000_000, resets_at=unix(END), final=True),
        agent.row(device, 300, incarnation="boot.e2"),
        at=END + DAY,
    )

    assert allowed == {(device.code, "boot.e2"): QUOTA}
    months = UsageMonth.objects.order_by("begins_at").values_list("begins_at", "bytes_used")
    assert list(months) == [(now, 8_000_000), (END, 300)]


def test_month_that_no_report_named_before_is_made_for_a_late_one(
    agent: Agent, shop: Shop, now: datetime
) -> None:
    device = shop.device(shop.holder(6))

    row = agent.row(device, 5_000_000, resets_at=unix(END), final=True)
    agent.tell(row, at=END + 2 * DAY)

    month = UsageMonth.objects.get()
    assert (month.begins_at, month.ends_at, month.bytes_used) == (now, END, 5_000_000)
    assert reads.used(device.subscription, END + 2 * DAY) == 0


def test_peer_that_is_gone_asks_for_no_next_month(shop: Shop, device: Device) -> None:
    del shop
    tasks.run(END + 15 * DAY)

    device.refresh_from_db()

    assert device.quota_ends_at is None


# --- what cannot be ---------------------------------------------------------------------------


def test_growth_beyond_the_plans_speed_is_set_aside_and_cuts_nobody(
    agent: Agent, device: Device, now: datetime
) -> None:
    agent.tell(agent.row(device, 1000), at=now + MINUTE)
    second = now + MINUTE + timedelta(seconds=1)

    allowed = agent.tell(agent.row(device, 1 << 40), at=second)
    agent.tell(agent.row(device, (1 << 40) + 700), at=second + MINUTE)

    assert allowed == {(device.code, "boot.e1"): (1 << 40) + QUOTA - 1000}
    assert [row[2:] for row in days()] == [(1700, 0)]
    row = Incarnation.objects.get()
    assert (row.told_down, row.aside_down) == ((1 << 40) + 700, (1 << 40) - 1000)
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.subject) == ("metering", agent.gateway.code)
    assert alarm.details["aside"] == {"count": 1, "bytes": {device.code: (1 << 40) - 1000}}
    assert alarmwords.said(alarm) == (
        "Of one device more than its speed allows was set aside: "
        f"{device.code} (1,099,511,626,776 B)."
    )


def test_what_was_used_while_the_site_was_dead_is_possible(
    agent: Agent, shop: Shop, now: datetime
) -> None:
    device = shop.device(shop.holder(6))
    most = shop.plan.rate_down_bps // 8 * 86_400
    agent.tell(agent.row(device, 0), at=now + MINUTE)

    agent.tell(
        agent.row(device, most // 2, final=True),
        agent.row(device, most // 2, incarnation="boot.e2"),
        at=now + MINUTE + DAY,
    )

    assert [row[2] for row in days()] == [most]
    assert list(Alarm.objects.all()) == []


@pytest.mark.parametrize("at_once", [True, False], ids=["in one report", "in one a second"])
def test_more_counters_make_no_device_faster(
    agent: Agent, shop: Shop, now: datetime, *, at_once: bool
) -> None:
    device = shop.device(shop.holder())
    minute = shop.plan.rate_down_bps // 8 * 60
    agent.tell(agent.row(device, 0), at=now + MINUTE)
    rows = [agent.row(device, minute, incarnation=f"boot.x{number}") for number in range(5)]

    for number, told in enumerate([rows] if at_once else [[row] for row in rows]):
        agent.tell(*told, at=now + MINUTE + timedelta(seconds=1 + number))

    assert [row[2] for row in days()] == [minute]
    assert Incarnation.objects.filter(aside_down=minute).count() == 4


@pytest.mark.parametrize("order", [1, -1], ids=["the idle one first", "the idle one last"])
def test_counter_that_stands_still_gives_no_time_to_one_that_grows(
    agent: Agent, shop: Shop, now: datetime, order: int
) -> None:
    """Both are told at the same instant, and what the report left over is the least of both."""
    device = shop.device(shop.holder())
    most = shop.plan.rate_down_bps // 8 * 59
    total = 0
    for second in range(1, 9):
        total += most
        rows = [
            agent.row(device, second, incarnation="boot.e1"),
            agent.row(device, total, incarnation="boot.e2"),
        ]
        agent.tell(*rows[::order], at=now + second * timedelta(seconds=1))

    assert sum(row[2] for row in days()) < 2 * most


def test_month_and_day_stay_where_a_count_ends(agent: Agent, shop: Shop, now: datetime) -> None:
    """What one gateway made up keeps no report of another from being taken over."""
    device = shop.device(shop.holder())
    agent.tell(agent.row(device, 1000), at=now + MINUTE)
    UsageMonth.objects.update(bytes_used=MOST_COUNTED)
    UsageDay.objects.update(bytes_down=MOST_COUNTED)

    agent.tell(agent.row(device, 2000), at=now + 2 * MINUTE)

    assert [row.bytes_used for row in UsageMonth.objects.all()] == [MOST_COUNTED]
    assert [row.bytes_down for row in UsageDay.objects.all()] == [MOST_COUNTED]
    assert Incarnation.objects.get().told_down == 2000


def test_what_is_let_pass_comes_back_with_time(agent: Agent, shop: Shop, now: datetime) -> None:
    device = shop.device(shop.holder())
    minute = shop.plan.rate_down_bps // 8 * 60
    told = 0
    for at in range(1, 5):
        told += minute
        agent.tell(agent.row(device, told), at=now + at * MINUTE)

    assert [row[2] for row in days()] == [4 * minute]
    assert Incarnation.objects.get().spare_ms == 60_000


def test_device_that_was_never_told_of_cannot_have_run_before_its_gateway(
    agent: Agent, shop: Shop, now: datetime
) -> None:
    device = shop.device(shop.holder())
    Gateway.objects.update(enrolled_at=now)
    most = shop.plan.rate_down_bps // 8 * 3600

    agent.tell(agent.row(device, most), at=now + MINUTE)

    assert (days(), Incarnation.objects.get().aside_down) == ([], most)


def test_no_text_of_a_gateways_own_stands_in_an_alarm(
    agent: Agent, shop: Shop, now: datetime
) -> None:
    made_up = ("x\nended Line Tokyo", "dev_y\nALARM", "dev_Z")
    pool = shop.pool.code

    agent.tell(*(usage(pool, 10, 0, device=name) for name in made_up), at=now + MINUTE)

    assert Alarm.objects.get().details["foreign"] == {"count": 3, "devices": ["dev_Z"]}


# --- as many as may be ------------------------------------------------------------------------


def test_number_of_statements_does_not_grow_with_the_devices(
    shop: Shop, agent: Agent, now: datetime
) -> None:
    agent.tell(at=now)
    agent.tell(agent.row(shop.device(shop.holder()), 1), at=now)
    counts = []
    for number in (1, 3):
        devices = [shop.device(shop.holder()) for _ in range(number)]
        for step in (1, 2):  # the second time every row is there
            rows = [agent.row(one, step * 1000) for one in devices]
            with CaptureQueriesContext(connection) as queries:
                agent.tell(*rows, at=now + (10 * number + step) * MINUTE)
            counts.append(len(queries))

    assert counts[0] == counts[2]  # no others used anything within their minute
    assert counts[1] == counts[3]


def test_new_counters_of_a_device_are_bounded_and_what_is_left_out_counts_another_day(
    agent: Agent, device: Device, now: datetime
) -> None:
    rows = [agent.row(device, 1, incarnation=f"boot.e{number}") for number in range(150)]
    allowed = agent.tell(*rows, at=now + timedelta(hours=1))

    assert Incarnation.objects.count() == metering.MOST_COUNTERS
    # It has one that runs, the last.
    assert list(allowed) == [(device.code, "boot.e99")]
    assert Alarm.objects.get().details["counters"] == {"count": 1, "bytes": {device.code: 50}}

    agent.tell(*rows, at=now + timedelta(hours=20))
    assert Incarnation.objects.count() == metering.MOST_COUNTERS
    agent.tell(rows[-1], at=now + timedelta(hours=45))
    assert UsageMonth.objects.get().bytes_used == metering.MOST_COUNTERS + 1


def test_new_counters_of_a_pool_are_bounded(agent: Agent, shop: Shop, now: datetime) -> None:
    rows = [usage(shop.pool.code, 1, 1, incarnation=f"boot/{number}") for number in range(150)]

    agent.tell(*rows, at=now)
    agent.tell(*rows, at=now + timedelta(hours=1))

    assert PoolUsage.objects.count() == poolcounters.MOST_COUNTERS
    assert Alarm.objects.get().details["pools"] == {"count": 1, "bytes": {shop.pool.code: 100}}
