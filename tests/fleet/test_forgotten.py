"""A database of before a revocation is restored: what gateways prove keeps the line closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import transaction

from ferriage import wire
from ferriage.approvals.models import Approval
from ferriage.core.models import AuditEntry
from ferriage.fleet import actions, queries, tasks
from ferriage.fleet.actions.forgotten import REASON
from ferriage.fleet.models import Line, Permit
from yard import ISSUED, OWNER, last_permit, report_of, status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from yard import EnrolledGateway, Yard

DAY = timedelta(days=1)


@pytest.fixture
def line(yard: Yard) -> Line:
    return yard.open_line()


@pytest.fixture
def gateway(yard: Yard, line: Line) -> EnrolledGateway:
    return yard.gateway(line)


def forgotten_revocation(now: datetime) -> wire.SignedPermit:
    """Revoke, and restore the database of before; return the permit that gateways took."""
    savepoint = transaction.savepoint_create()
    actions.revoke_approval(approval=Approval.objects.get(), now=now, actor=OWNER)
    row = Permit.objects.latest("pk")
    signed = wire.SignedPermit(payload=row.payload, signature=row.signature)
    transaction.savepoint_rollback(savepoint)
    return signed


def report(gateway: EnrolledGateway, line: Line, permit: wire.SignedPermit, at: datetime) -> None:
    said = status(line.pools.get().code, permit=permit, permit_serial=9)
    actions.take_report(gateway=gateway.row, report=report_of(said), now=at)


def test_restored_database_holds_the_line_when_a_gateway_proves_a_newer_permit(
    line: Line, gateway: EnrolledGateway, now: datetime
) -> None:
    signed = forgotten_revocation(now)
    serial = wire.decode(signed.payload, wire.Permit).serial
    assert [found.pk for found in queries.open_lines(at=now + DAY)] == [line.pk]

    report(gateway, line, signed, now + DAY)
    tasks.run(now + DAY)

    held = last_permit(line)
    assert (held.state, held.serial, held.reason["en"]) == ("held", serial + 1, REASON)
    assert queries.open_lines(at=now + DAY) == []
    assert AuditEntry.objects.filter(action="permit.forgotten", subject=line.code).count() == 1


def test_what_staff_decide_afterwards_is_newer_than_what_gateways_hold(
    line: Line, gateway: EnrolledGateway, now: datetime
) -> None:
    signed = forgotten_revocation(now)
    report(gateway, line, signed, now + DAY)

    actions.release_line(line=Line.objects.get(), now=now + 2 * DAY, actor=OWNER)

    released = last_permit(line)
    assert released.state == "open"
    assert released.serial > wire.decode(signed.payload, wire.Permit).serial + 1


def test_lapse_by_date_needs_no_memory(line: Line, now: datetime) -> None:
    """The backup holds the dates: whatever was forgotten, the register denies after the end."""
    del line
    after = now + 400 * DAY

    tasks.run(after)

    assert Permit.objects.latest("pk").state == "held"
    assert queries.open_lines(at=after) == []


@pytest.mark.parametrize("forged", ["key", "line", "same"])
def test_word_of_a_gateway_alone_holds_nothing(
    yard: Yard, line: Line, gateway: EnrolledGateway, now: datetime, forged: str
) -> None:
    signed = forgotten_revocation(now)
    if forged == "key":
        said = wire.decode(signed.payload, wire.Permit)
        signed = wire.sign_permit(wire.new_private_key(), said)
    elif forged == "line":
        yard.open_line("Other")
        other = Permit.objects.latest("pk")
        signed = wire.SignedPermit(payload=other.payload, signature=other.signature)
    else:
        row = Permit.objects.filter(line=line).latest("pk")
        signed = wire.SignedPermit(payload=row.payload, signature=row.signature)

    report(gateway, line, signed, now + DAY)

    assert Line.objects.get(pk=line.pk).state == "in_service"
    assert last_permit(line).state == "open"


# --- what the database of before says already, or says under the same number -------------------


def lost(work: Callable[[], object]) -> tuple[wire.SignedPermit, wire.Permit]:
    """Do something and restore the database of before; return the permit that gateways took."""
    savepoint = transaction.savepoint_create()
    work()
    row = Permit.objects.latest("pk")
    signed = wire.SignedPermit(payload=row.payload, signature=row.signature)
    transaction.savepoint_rollback(savepoint)
    return signed, wire.decode(signed.payload, wire.Permit)


def outbid(
    gateway: EnrolledGateway, line: Line, signed: wire.SignedPermit, at: datetime
) -> tuple[int, str]:
    """Let a gateway report a permit; return the site's newest serial and state afterwards."""
    proven = wire.decode(signed.payload, wire.Permit)
    said = status(line.pools.get().code, permit=signed, permit_serial=proven.serial)
    actions.take_report(gateway=gateway.row, report=report_of(said), now=at)
    tasks.run(at)
    newest = last_permit(line)
    return newest.serial, newest.state


def test_release_that_was_forgotten_is_outbid_by_the_hold(
    line: Line, gateway: EnrolledGateway, now: datetime
) -> None:
    actions.hold_line(line=line, reason="Police", now=now, actor=OWNER)
    signed, proven = lost(
        lambda: actions.release_line(line=Line.objects.get(pk=line.pk), now=now + DAY, actor=OWNER)
    )
    assert proven.state == "open"

    assert outbid(gateway, line, signed, now + 2 * DAY) == (proven.serial + 1, "held")


def test_line_that_is_only_planned_again_is_closed_at_the_gateway(
    yard: Yard, now: datetime
) -> None:
    line = yard.plan()
    yard.approve(line)
    gateway = yard.gateway(line)
    signed, proven = lost(
        lambda: actions.put_in_service(
            line=Line.objects.get(pk=line.pk), now=now + DAY, actor=OWNER
        )
    )
    assert proven.state == "open"

    assert outbid(gateway, line, signed, now + 2 * DAY) == (proven.serial + 1, "closed")


def test_permit_of_the_same_number_that_is_not_ours_is_outbid(
    yard: Yard, line: Line, gateway: EnrolledGateway, now: datetime
) -> None:
    def renew() -> None:
        yard.approve(line, replace(ISSUED, number="2", valid_to=date(2028, 1, 1)))
        tasks.run(now + DAY)

    signed, proven = lost(renew)
    actions.hold_line(line=line, reason="Restored", now=now + 2 * DAY, actor=OWNER)
    assert (last_permit(line).serial, proven.state) == (proven.serial, "open")

    assert outbid(gateway, line, signed, now + 2 * DAY) == (proven.serial + 1, "held")


def test_second_gateway_with_a_later_forgotten_permit_is_outbid_too(
    yard: Yard, line: Line, gateway: EnrolledGateway, now: datetime
) -> None:
    second = yard.gateway(line, name="beta")
    held, _permit = lost(
        lambda: actions.hold_line(
            line=Line.objects.get(pk=line.pk), reason="x", now=now + DAY, actor=OWNER
        )
    )

    def hold_and_release() -> None:
        fresh = Line.objects.get(pk=line.pk)
        actions.hold_line(line=fresh, reason="x", now=now + DAY, actor=OWNER)
        actions.release_line(line=Line.objects.get(pk=line.pk), now=now + DAY, actor=OWNER)

    released, proven = lost(hold_and_release)

    outbid(gateway, line, held, now + 2 * DAY)

    assert outbid(second, line, released, now + 2 * DAY) == (proven.serial + 1, "held")
