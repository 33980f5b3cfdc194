"""A backup is restored: gateways prove it and another history begins; their word alone is none."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from django.db import transaction

from ferriage import wire
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry, SiteState
from ferriage.fleet import actions, alarmwords, feed, site
from ferriage.fleet.models import Alarm, Pool, PoolChange, PoolGateway
from yard import OWNER, device, head_of, report_of, status

if TYPE_CHECKING:
    from datetime import datetime

    from yard import EnrolledGateway, Yard


@pytest.fixture
def pool(yard: Yard) -> Pool:
    yard.open_line()
    return Pool.objects.get()


@pytest.fixture
def gateway(yard: Yard, pool: Pool) -> EnrolledGateway:
    return yard.gateway(pool.line)


def write(pool: Pool, number: int, now: datetime) -> None:
    feed.append(pool=pool, items=[feed.FeedPut(device(number))], now=now)


def tell(gateway: EnrolledGateway, pool: Pool, head: wire.Begin, now: datetime) -> None:
    said = status(pool.code, head=head, rev=head.rev, epoch=head.epoch)
    actions.take_report(gateway=gateway.row, report=report_of(said), now=now)


def test_head_of_what_was_lost_begins_another_history(
    gateway: EnrolledGateway, pool: Pool, now: datetime, settings: object
) -> None:
    before = SiteState.objects.get()
    savepoint = transaction.savepoint_create()
    for number in range(1, 4):
        write(pool, number, now)
    head = head_of(pool, settings)
    transaction.savepoint_rollback(savepoint)

    tell(gateway, pool, head, now)

    after = SiteState.objects.get()
    assert after.epoch != before.epoch
    assert Pool.objects.get().revision == head.rev + 1
    assert after.next_slot == before.next_slot + 10_000
    entry = AuditEntry.objects.get(action="database.restored")
    assert entry.details == {
        "before": before.epoch,
        "epoch": after.epoch,
        "witnesses": {pool.code: head.rev},
    }


def test_history_that_grew_on_over_the_lost_one_is_told_by_its_digest(
    gateway: EnrolledGateway, pool: Pool, now: datetime, settings: object
) -> None:
    savepoint = transaction.savepoint_create()
    write(pool, 1, now)
    head = head_of(pool, settings)
    transaction.savepoint_rollback(savepoint)
    for number in range(5, 9):
        write(pool, number, now)
    assert Pool.objects.get().revision > head.rev

    tell(gateway, pool, head, now)

    assert AuditEntry.objects.filter(action="database.restored").count() == 1


def test_gateway_that_is_behind_or_up_to_date_begins_nothing(
    gateway: EnrolledGateway, pool: Pool, now: datetime, settings: object
) -> None:
    heads = []
    for number in range(1, 4):
        write(pool, number, now)
        heads.append(head_of(pool, settings))

    for sequence, head in enumerate(heads, start=1):
        said = status(pool.code, head=head, rev=head.rev, epoch=head.epoch)
        actions.take_report(gateway=gateway.row, report=report_of(said, sequence=sequence), now=now)
    PoolChange.objects.all().delete()  # as the worker does with the old ones
    said = status(pool.code, head=heads[0])
    actions.take_report(gateway=gateway.row, report=report_of(said, sequence=9), now=now)

    assert not AuditEntry.objects.filter(action="database.restored").exists()


@pytest.mark.parametrize("forged", ["signature", "rev", "pool", "epoch and signature"])
def test_word_of_a_gateway_alone_begins_nothing(
    gateway: EnrolledGateway, pool: Pool, now: datetime, settings: object, forged: str
) -> None:
    changes: dict[str, object] = {"rev": 99}
    if forged not in {"signature", "rev"}:
        changes[forged.split(maxsplit=1)[0]] = "other"
    head = head_of(pool, settings, **changes)
    if "signature" in forged:
        head = msgspec.structs.replace(head, signature="A" * 88)
    elif forged == "rev":
        head = msgspec.structs.replace(head, rev=100)

    tell(gateway, pool, head, now)

    assert not AuditEntry.objects.filter(action="database.restored").exists()


def test_head_too_far_ahead_is_an_alarm_and_the_feed_goes_on(
    gateway: EnrolledGateway, pool: Pool, now: datetime, settings: object
) -> None:
    write(pool, 1, now)
    farthest = Pool.objects.get().revision + 10_000_000
    far = head_of(pool, settings, rev=2**63 - 2)
    barely = head_of(pool, settings, rev=farthest + 1)

    for sequence, head in enumerate((far, barely), start=1):
        said = status(pool.code, head=head, rev=head.rev, epoch=head.epoch)
        actions.take_report(gateway=gateway.row, report=report_of(said, sequence=sequence), now=now)

    write(pool, 2, now)
    assert Pool.objects.get().revision == farthest - 10_000_000 + 1
    assert not AuditEntry.objects.filter(action="database.restored").exists()
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.subject) == ("other_history", gateway.row.code)
    assert alarmwords.said(alarm) == (
        f"It shows signed changes that the records do not know: {pool.code}: {far.rev:,}."
    )


def test_history_begins_by_itself_once_a_day(
    gateway: EnrolledGateway, pool: Pool, now: datetime, settings: object
) -> None:
    before = SiteState.objects.get().next_slot
    days = (timedelta(0), timedelta(hours=1), timedelta(hours=23), timedelta(hours=24))

    for sequence, late in enumerate(days, start=1):
        pool.refresh_from_db()
        head = head_of(pool, settings, rev=pool.revision + 1)
        said = status(pool.code, head=head, rev=head.rev, epoch=head.epoch)
        actions.take_report(
            gateway=gateway.row, report=report_of(said, sequence=sequence), now=now + late
        )

    began = AuditEntry.objects.filter(action="database.restored").values_list("at", flat=True)
    assert list(began.order_by("at")) == [now, now + timedelta(hours=24)]
    assert SiteState.objects.get().next_slot == before + 20_000
    assert list(Alarm.objects.values_list("kind", "opened_at")) == [
        ("other_history", now + timedelta(hours=1))
    ]


def test_same_backup_put_back_again_begins_another_history(
    gateway: EnrolledGateway, pool: Pool, now: datetime, settings: object
) -> None:
    """The gateway has left the backup's history for one that the backup does not know."""
    backup, first = transaction.savepoint_create(), SiteState.objects.get().epoch
    write(pool, 1, now)
    lost = head_of(pool, settings)
    transaction.savepoint_rollback(backup)
    backup = transaction.savepoint_create()
    tell(gateway, pool, lost, now)
    second = SiteState.objects.get().epoch
    pool.refresh_from_db()
    write(pool, 2, now)
    again = head_of(pool, settings)
    transaction.savepoint_rollback(backup)
    pool.refresh_from_db()
    assert (again.epoch, SiteState.objects.get().epoch) == (second, first)

    for sequence, head in enumerate((again, again, lost), start=1):
        said = status(pool.code, head=head, rev=head.rev, epoch=head.epoch)
        at = now + sequence * timedelta(days=3)
        actions.take_report(gateway=gateway.row, report=report_of(said, sequence=sequence), now=at)

    third = SiteState.objects.get().epoch
    assert third not in {first, second}
    assert Pool.objects.get().revision == again.rev + 1
    entry = AuditEntry.objects.get(action="database.restored")
    assert entry.details == {
        "before": first,
        "epoch": third,
        "witnesses": {pool.code: again.rev},
        "ended": [second],
    }
    assert not Alarm.objects.exists()


def test_after_staff_began_a_history_the_one_before_it_is_an_alarm_and_not_at_once(
    gateway: EnrolledGateway, pool: Pool, now: datetime, settings: object
) -> None:
    """Gateways show for a while what was lost, until the hub has given them the new one."""
    head = head_of(pool, settings, epoch="5" * 32)
    actions.begin_history(witnesses={}, now=now, actor=OWNER)
    began = SiteState.objects.get().epoch
    alarms = []

    for sequence, minutes in enumerate((0, 1, 5, 6, 60), start=1):
        said = status(pool.code, head=head, rev=head.rev, epoch=head.epoch)
        at = now + timedelta(minutes=minutes)
        actions.take_report(gateway=gateway.row, report=report_of(said, sequence=sequence), now=at)
        alarms.append(Alarm.objects.count())

    assert SiteState.objects.get().epoch == began
    assert alarms == [0, 0, 0, 1, 1]


def test_small_network_is_not_passed_over_whole(pool: Pool, now: datetime) -> None:
    SiteState.objects.update(inner4="10.64.0.0/24", next_slot=50)

    actions.begin_history(witnesses={}, now=now, actor=OWNER)

    assert SiteState.objects.get().next_slot == 50 + (254 - 50) // 2
    assert site.gateway_addresses()[0] == "10.64.0.1/24"
    assert Pool.objects.get(pk=pool.pk).revision > pool.revision


def test_what_waits_is_on_record_and_let_on_for_exactly_what_staff_saw(
    gateway: EnrolledGateway, pool: Pool, now: datetime
) -> None:
    off = wire.Deferred(snapshot_rev=7, count=2, digest="ab" * 32)
    since = (wire.Since(device="dev_1", what="off", until=0),)
    said = status(pool.code, waiting=off, since=since)
    actions.take_report(gateway=gateway.row, report=report_of(said), now=now)
    member = PoolGateway.objects.get()
    assert (member.waiting, member.waiting_rev, member.known_since) == (
        2,
        7,
        [("dev_1", "off", None)],
    )

    with pytest.raises(StaleState):
        actions.allow_return(member=member, digest="cd" * 32, now=now, actor=OWNER)
    actions.allow_return(member=member, digest=off.digest, now=now, actor=OWNER)

    change = PoolChange.objects.latest("pk")
    assert wire.decode_item(change.payload) == wire.Allow(
        rev=change.rev, epoch="e1", snapshot_rev=7, digest=off.digest
    )
    actions.take_report(
        gateway=gateway.row, report=report_of(status(pool.code), sequence=2), now=now
    )
    assert (PoolGateway.objects.get().waiting, PoolGateway.objects.get().since) == (0, [])
