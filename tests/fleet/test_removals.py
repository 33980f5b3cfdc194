"""Removals that a gateway holds back: shown to staff, and allowed for exactly what they saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage import wire
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry
from ferriage.fleet import actions
from ferriage.fleet.models import PoolChange, PoolCurrent, PoolGateway
from yard import OWNER, report_of, status

if TYPE_CHECKING:
    from datetime import datetime

    from yard import EnrolledGateway, Yard

KEPT = wire.Deferred(snapshot_rev=7, count=12, digest="ab" * 32)


@pytest.fixture
def gateway(yard: Yard) -> EnrolledGateway:
    return yard.gateway(yard.open_line())


def tell(gateway: EnrolledGateway, now: datetime, kept: wire.Deferred | None, number: int) -> None:
    pool = PoolGateway.objects.get().pool.code
    said = report_of(status(pool, deferred=kept), sequence=number)
    actions.take_report(gateway=gateway.row, report=said, now=now)


def test_what_a_gateway_holds_back_is_on_record_until_it_says_otherwise(
    gateway: EnrolledGateway, now: datetime
) -> None:
    tell(gateway, now, KEPT, 1)
    member = PoolGateway.objects.get()
    assert (member.deferred, member.deferred_rev, member.deferred_digest) == (12, 7, "ab" * 32)

    tell(gateway, now, None, 2)
    member = PoolGateway.objects.get()
    assert (member.deferred, member.deferred_rev, member.deferred_digest) == (0, 0, "")


def test_staff_allow_by_a_feed_item_that_no_snapshot_repeats(
    gateway: EnrolledGateway, now: datetime
) -> None:
    tell(gateway, now, KEPT, 1)
    member = PoolGateway.objects.get()
    before = member.pool

    actions.allow_removals(member=member, digest=KEPT.digest, now=now, actor=OWNER)

    change = PoolChange.objects.latest("pk")
    assert wire.decode_item(change.payload) == wire.Allow(
        rev=before.revision + 1, epoch="e1", snapshot_rev=7, digest=KEPT.digest
    )
    assert (change.rev, change.digest) == (before.revision + 1, before.digest)
    assert PoolCurrent.objects.filter(kind="allow").count() == 0
    assert AuditEntry.objects.filter(action="gateway.removals_allowed").count() == 1


@pytest.mark.parametrize("now_kept", [None, wire.Deferred(snapshot_rev=8, count=3, digest="cd")])
def test_staff_cannot_allow_what_they_did_not_see(
    gateway: EnrolledGateway, now: datetime, now_kept: wire.Deferred | None
) -> None:
    tell(gateway, now, KEPT, 1)
    member = PoolGateway.objects.get()
    tell(gateway, now, now_kept, 2)
    before = PoolChange.objects.count()

    with pytest.raises(StaleState):
        actions.allow_removals(member=member, digest=KEPT.digest, now=now, actor=OWNER)

    assert PoolChange.objects.count() == before
