from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import permutations
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ferriage import wire
from ferriage.core.errors import NotFound
from ferriage.core.models import AuditEntry
from ferriage.fleet import actions
from ferriage.fleet.actions.reports import RIVAL_WARNING
from ferriage.fleet.models import Gateway, Permit, PoolGateway, PoolUsage
from yard import OWNER, Yard, enrolment, head_of, report_of, status, usage

if TYPE_CHECKING:
    from ferriage.fleet.models import Pool
    from yard import EnrolledGateway

MINUTE = timedelta(seconds=60)


@pytest.fixture
def gateway(yard: Yard) -> EnrolledGateway:
    return yard.gateway(yard.plan())


def _pool(gateway: EnrolledGateway) -> str:
    return PoolGateway.objects.select_related("pool").get(gateway=gateway.row).pool.code


def _rows() -> list[Any]:
    return [
        list(model.objects.order_by("pk").values()) for model in (Gateway, PoolGateway, PoolUsage)
    ]


def _used() -> list[tuple[str, int, int, bool]]:
    rows = PoolUsage.objects.order_by("incarnation")
    return list(rows.values_list("incarnation", "bytes_down", "bytes_up", "final"))


def test_report_is_kept_and_answered_with_lease_and_pools(
    gateway: EnrolledGateway, now: datetime
) -> None:
    pool = _pool(gateway)
    report = report_of(status(pool, rev=7), usage=(usage(pool, 10, 20),), warnings=("disk full",))

    answer = actions.take_report(gateway=gateway.row, report=report, now=now)

    assert (answer.fence, answer.lease_seconds, answer.acknowledged) == (1, 60, 1)
    assert [assigned.pool for assigned in answer.pools] == [pool]
    row = Gateway.objects.get()
    assert (row.last_seen_at, row.lease_until, row.warnings) == (now, now + MINUTE, ["disk full"])
    member = PoolGateway.objects.get()
    assert (member.applied_epoch, member.applied_rev, member.peers) == ("e1", 7, 2)
    assert _used() == [("boot/1", 10, 20, False)]


def test_report_taken_twice_changes_nothing(gateway: EnrolledGateway, now: datetime) -> None:
    pool = _pool(gateway)
    report = report_of(status(pool), usage=(usage(pool, 10, 20),))
    first = actions.take_report(gateway=gateway.row, report=report, now=now)
    before = _rows()

    second = actions.take_report(gateway=gateway.row, report=report, now=now + MINUTE)

    assert second == first
    assert _rows() == before


def test_older_report_that_comes_late_changes_nothing(
    gateway: EnrolledGateway, now: datetime
) -> None:
    pool = _pool(gateway)
    newer = report_of(status(pool, rev=9), sequence=2, usage=(usage(pool, 50, 50),))
    actions.take_report(gateway=gateway.row, report=newer, now=now)
    before = _rows()

    older = report_of(status(pool, rev=8), sequence=1, usage=(usage(pool, 40, 40),))
    answer = actions.take_report(gateway=gateway.row, report=older, now=now)

    assert answer.acknowledged == 1
    assert _rows() == before


@pytest.mark.parametrize("pools", [1, 3])
def test_heartbeat_asks_for_nothing_that_is_known(
    yard: Yard, now: datetime, settings: object, pools: int
) -> None:
    gateway = yard.gateway(*(yard.open_line(f"Line {number}") for number in range(pools)))
    told = [_in_step(row.pool, settings) for row in PoolGateway.objects.select_related("pool")]
    for sequence in (1, 2):
        used = tuple(usage(one.pool, sequence, sequence) for one in told)
        report = report_of(*told, sequence=sequence, usage=used)
        with CaptureQueriesContext(connection) as asked:
            actions.take_report(gateway=gateway.row, report=report, now=now)

    written = [
        found[1] for query in asked if (found := re.search(r'UPDATE "(\w+)" SET', query["sql"]))
    ]
    # As many statements for three pools as for one.
    assert written == ["fleet_poolgateway", "fleet_poolusage", "fleet_gateway"]
    read = [query["sql"] for query in asked if query["sql"].startswith("SELECT")]
    # Gateway, shop, pools, usage; on PostgreSQL the writers' lock before all.
    assert len(read) == 4 + (connection.vendor == "postgresql")


def _in_step(pool: Pool, settings: object) -> wire.PoolStatus:
    """Return what a gateway says of a pool of which it has all."""
    permit = Permit.objects.filter(line=pool.line).latest("serial")
    head = head_of(pool, settings)
    return status(
        pool.code,
        epoch=head.epoch,
        rev=head.rev,
        digest=head.digest,
        head=head,
        permit=wire.SignedPermit(payload=permit.payload, signature=permit.signature),
    )


def test_same_instance_keeps_its_fence(gateway: EnrolledGateway, now: datetime) -> None:
    for sequence in (1, 2):
        report = report_of(sequence=sequence)
        answer = actions.take_report(
            gateway=gateway.row, report=report, now=now + sequence * MINUTE
        )

    assert answer.fence == 1


def test_second_agent_is_refused_while_the_lease_runs(
    gateway: EnrolledGateway, now: datetime
) -> None:
    pool = _pool(gateway)
    actions.take_report(gateway=gateway.row, report=report_of(status(pool)), now=now)
    before = Gateway.objects.values().get()
    second = report_of(status(pool, rev=99), instance="second", sequence=50)

    for seconds in (1, 59):
        with pytest.raises(actions.LeaseHeld):
            actions.take_report(
                gateway=gateway.row, report=second, now=now + timedelta(seconds=seconds)
            )

    after = Gateway.objects.values().get()
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {"rival_at", "warnings"}
    assert after["warnings"] == [RIVAL_WARNING]
    assert PoolGateway.objects.get().applied_rev == 3
    assert AuditEntry.objects.filter(action="gateway.rival_refused").count() == 1


def test_warning_of_a_second_agent_outlives_the_next_report(
    gateway: EnrolledGateway, now: datetime
) -> None:
    actions.take_report(gateway=gateway.row, report=report_of(), now=now)
    with pytest.raises(actions.LeaseHeld):
        actions.take_report(gateway=gateway.row, report=report_of(instance="second"), now=now)

    for sequence, minutes in ((2, 1), (3, 61)):
        actions.take_report(
            gateway=gateway.row,
            report=report_of(sequence=sequence, warnings=("own",)),
            now=now + minutes * MINUTE,
        )
        warnings = Gateway.objects.get().warnings
        assert warnings == ([RIVAL_WARNING, "own"] if minutes == 1 else ["own"])


def test_fence_grows_when_another_instance_takes_the_lease(
    gateway: EnrolledGateway, now: datetime
) -> None:
    actions.take_report(gateway=gateway.row, report=report_of(sequence=900), now=now)

    answer = actions.take_report(
        gateway=gateway.row, report=report_of(instance="second"), now=now + MINUTE
    )

    assert (answer.fence, answer.acknowledged) == (2, 1)
    with pytest.raises(actions.LeaseHeld):
        actions.take_report(gateway=gateway.row, report=report_of(sequence=901), now=now + MINUTE)


def test_rebooted_gateway_goes_on_at_once_with_a_higher_fence(
    gateway: EnrolledGateway, now: datetime
) -> None:
    first = actions.take_report(gateway=gateway.row, report=report_of(), now=now)
    rebooted = report_of(fence=first.fence, boot_id="another", sequence=2)

    answer = actions.take_report(gateway=gateway.row, report=rebooted, now=now)
    lost = msgspec.structs.replace(rebooted, sequence=3)  # the answer never reached it
    again = actions.take_report(gateway=gateway.row, report=lost, now=now)

    assert (answer.fence, again.fence) == (2, 2)


def test_of_two_copies_of_a_whole_machine_only_the_one_that_started_last_goes_on(
    gateway: EnrolledGateway, now: datetime
) -> None:
    first = actions.take_report(gateway=gateway.row, report=report_of(), now=now)
    copy = report_of(fence=first.fence, boot_id="copy", sequence=2)
    actions.take_report(gateway=gateway.row, report=copy, now=now)

    with pytest.raises(actions.LeaseHeld):
        actions.take_report(
            gateway=gateway.row, report=report_of(fence=first.fence, sequence=3), now=now
        )


def test_fence_grows_on_from_what_a_restored_database_forgot(
    gateway: EnrolledGateway, now: datetime
) -> None:
    own = actions.take_report(gateway=gateway.row, report=report_of(fence=7), now=now)
    other = actions.take_report(
        gateway=gateway.row, report=report_of(instance="second"), now=now + MINUTE
    )

    assert (own.fence, other.fence) == (8, 9)
    assert AuditEntry.objects.filter(action="gateway.agent_changed").count() == 1


def test_fence_beyond_what_agents_can_have_come_to_is_refused(
    gateway: EnrolledGateway, now: datetime
) -> None:
    before = _rows()

    with pytest.raises(actions.ReportWrong):
        actions.take_report(gateway=gateway.row, report=report_of(fence=1 << 40), now=now)

    assert _rows() == before


def test_host_that_is_enrolled_anew_begins_with_a_fence_of_its_own(
    gateway: EnrolledGateway, now: datetime
) -> None:
    Gateway.objects.filter(pk=gateway.row.pk).update(fence=(1 << 63) - 1)
    token = actions.new_enrol_token(gateway=gateway.row, now=now, actor=OWNER)
    _key, request = enrolment(token)
    actions.enrol(request=request, now=now)
    gateway.row.refresh_from_db()

    answer = actions.take_report(gateway=gateway.row, report=report_of(), now=now)

    assert answer.fence == 1


@pytest.mark.parametrize("what", ["status", "usage"])
def test_report_on_another_gateways_pool_is_refused_whole(
    yard: Yard, gateway: EnrolledGateway, now: datetime, what: str
) -> None:
    own = _pool(gateway)
    other = yard.plan("other")
    yard.gateway(other, name="beta")
    foreign: dict[str, Any] = {
        "status": {"pools": (status(own), status(other.pools.get().code))},
        "usage": {"usage": (usage(own, 1, 1), usage(other.pools.get().code, 1, 1))},
    }
    before = _rows()

    with pytest.raises(actions.NotItsPool):
        actions.take_report(gateway=gateway.row, report=report_of(**foreign[what]), now=now)

    assert _rows() == before


def test_usage_is_the_greatest_value_in_every_order(
    gateway: EnrolledGateway, now: datetime
) -> None:
    pool = _pool(gateway)
    reports = [(10, 5), (30, 9), (20, 40)]

    for run, order in enumerate(permutations(reports)):
        for step, (down, up) in enumerate(order):
            item = usage(pool, down, up, incarnation=f"boot/{run}")
            report = report_of(sequence=run * 10 + step + 1, usage=(item,))
            actions.take_report(gateway=gateway.row, report=report, now=now)

    assert {row[1:] for row in _used()} == {(30, 40, False)}


def test_final_value_closes_its_incarnation(gateway: EnrolledGateway, now: datetime) -> None:
    pool = _pool(gateway)
    items = [usage(pool, 10, 10, final=True), usage(pool, 99, 99)]

    for sequence, item in enumerate(items, start=1):
        report = report_of(sequence=sequence, usage=(item,))
        actions.take_report(gateway=gateway.row, report=report, now=now)

    assert _used() == [("boot/1", 10, 10, True)]


def test_final_and_current_value_may_come_in_one_report(
    gateway: EnrolledGateway, now: datetime
) -> None:
    pool = _pool(gateway)
    items = (
        usage(pool, 10, 10, final=True),
        usage(pool, 1, 1, incarnation="boot/2"),
        usage(pool, 10, 10, final=True),
    )

    actions.take_report(gateway=gateway.row, report=report_of(usage=items), now=now)

    assert _used() == [("boot/1", 10, 10, True), ("boot/2", 1, 1, False)]


@pytest.mark.parametrize(
    "changes",
    [
        {"instance": ""},
        {"instance": "x" * 65},
        {"sequence": -1},
        {"sequence": 1 << 63},
        {"boot_id": "x" * 37},
        {"backend": "\0"},
    ],
)
def test_report_that_cannot_be_is_refused(
    gateway: EnrolledGateway, now: datetime, changes: dict[str, Any]
) -> None:
    before = _rows()

    with pytest.raises(actions.ReportWrong):
        actions.take_report(gateway=gateway.row, report=report_of(**changes), now=now)

    assert _rows() == before


@pytest.mark.parametrize(
    "changes", [{"device": "dev_1"}, {"resets_at": -1}, {"bytes_up": -1}, {"incarnation": ""}]
)
def test_usage_that_cannot_be_is_refused(
    gateway: EnrolledGateway, now: datetime, changes: dict[str, Any]
) -> None:
    values: dict[str, Any] = {"bytes_up": 1, **changes}
    item = usage(_pool(gateway), 1, values.pop("bytes_up"), **values)

    with pytest.raises(actions.ReportWrong):
        actions.take_report(gateway=gateway.row, report=report_of(usage=(item,)), now=now)

    assert _used() == []


def test_gateway_that_is_not_active_reports_nothing(
    gateway: EnrolledGateway, now: datetime
) -> None:
    Gateway.objects.update(state=Gateway.State.CLOSED)

    with pytest.raises(NotFound):
        actions.take_report(gateway=gateway.row, report=report_of(), now=now)


def test_refused_records_are_shown_to_staff(gateway: EnrolledGateway, now: datetime) -> None:
    refused = (wire.Refused(device="dev_1", reason="set is full"),)

    actions.take_report(
        gateway=gateway.row, report=report_of(status(_pool(gateway), refused=refused)), now=now
    )

    assert PoolGateway.objects.get().refused == [{"device": "dev_1", "reason": "set is full"}]
