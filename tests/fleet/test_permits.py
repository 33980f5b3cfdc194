from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, connection, transaction

from ferriage import wire
from ferriage.approvals.models import Decision
from ferriage.core.clock import from_unix, unix
from ferriage.fleet import actions, queries, site, tasks
from ferriage.fleet.models import Line, Permit, PoolCurrent
from yard import OWNER, Yard, last_permit

if TYPE_CHECKING:
    from pytest_django.fixtures import SettingsWrapper

# The approval of the yard ends with 28 February 2027, in a place whose authority keeps UTC.
LAPSE = datetime(2027, 3, 1, tzinfo=UTC)


def test_planned_line_has_a_permit_that_opens_nothing(yard: Yard) -> None:
    line = yard.plan()

    permit = last_permit(line)

    assert (permit.serial, permit.state, permit.line) == (1, "closed", line.code)
    assert set(permit.reason) == {"en", "zh-hans"}


def test_line_without_approval_is_refused_and_stays_planned(yard: Yard, now: datetime) -> None:
    line = yard.plan()

    with pytest.raises(actions.LineRefused, match="section 1") as refused:
        actions.put_in_service(line=line, now=now, actor=OWNER)

    line.refresh_from_db()
    assert (line.state, last_permit(line).serial) == (Line.State.PLANNED, 1)
    assert not refused.value.verdict.allowed
    assert refused.value.remedy == ("Record what is missing under Approvals, or plan another line.")


def test_refusal_names_determinations_where_nothing_is_known(yard: Yard, now: datetime) -> None:
    elsewhere = yard.plan("SE", "SE")

    with pytest.raises(actions.LineRefused) as refused:
        actions.put_in_service(line=elsewhere, now=now, actor=OWNER)

    assert {reason.slug for reason in refused.value.verdict.reasons} == {
        "approval-missing",
        "unknown",
    }
    assert refused.value.remedy == (
        "Record what is missing under Approvals and answer what is not known under "
        "Determinations, or plan another line."
    )


def test_approved_line_opens_until_its_approval_ends(yard: Yard) -> None:
    line = yard.open_line()

    permit = last_permit(line)

    assert (permit.state, permit.open_until, permit.reason) == ("open", unix(LAPSE), {})
    assert permit.shop == site.shop()


def test_permit_carries_the_permit_keys_signature(yard: Yard) -> None:
    line = yard.open_line()

    row = PoolCurrent.objects.get(pool=line.pools.get(), kind="permit")

    item = wire.decode(row.payload, wire.PermitItem)
    opened = wire.open_permit(wire.public_key(site.permit_key()), item.permit)
    assert opened == last_permit(line)


def test_refresh_without_change_writes_nothing(yard: Yard, now: datetime) -> None:
    yard.open_line()

    assert actions.refresh_permits(now=now + timedelta(days=3), actor=OWNER) == []


@pytest.mark.parametrize("action", [actions.revoke_approval, actions.suspend_approval])
def test_line_is_held_with_the_approval_it_rested_on(
    yard: Yard, now: datetime, action: Any
) -> None:
    line = yard.plan()
    approval = yard.approve(line)
    actions.put_in_service(line=line, now=now, actor=OWNER)

    action(approval=approval, now=now, actor=OWNER)

    permit = last_permit(line)
    assert permit.state == "held"
    assert "section 1" in permit.reason["en"]
    assert permit.reason["zh-hans"] != permit.reason["en"]
    assert queries.open_lines(at=now) == []


def test_worker_holds_a_line_whose_date_has_passed(yard: Yard) -> None:
    line = yard.open_line()

    tasks.run(LAPSE - timedelta(seconds=1))
    before = last_permit(line)
    tasks.run(LAPSE)

    assert (before.state, last_permit(line).state) == ("open", "held")


def test_open_lines_end_with_the_permit_even_without_a_worker(yard: Yard) -> None:
    line = yard.open_line()

    assert queries.open_lines(at=LAPSE - timedelta(seconds=1)) == [line]
    assert queries.open_lines(at=LAPSE) == []


def test_hold_shows_the_staffs_reason_and_release_opens_again(yard: Yard, now: datetime) -> None:
    line = yard.open_line()

    actions.hold_line(line=line, reason="Maintenance", now=now, actor=OWNER)
    held = last_permit(line)
    actions.release_line(line=line, now=now, actor=OWNER)

    assert (held.state, held.reason["en"]) == ("held", "Maintenance")
    assert last_permit(line).state == "open"


def test_closed_line_never_opens_again(yard: Yard, now: datetime) -> None:
    line = yard.open_line()

    actions.close_line(line=line, now=now, actor=OWNER)

    assert last_permit(line).state == "closed"
    for action in (actions.put_in_service, actions.release_line, actions.close_line):
        with pytest.raises(actions.LineState):
            action(line=line, now=now, actor=OWNER)


def test_line_can_be_held_while_the_clock_is_behind(yard: Yard, now: datetime) -> None:
    line = yard.open_line()
    behind = now - timedelta(days=1)

    actions.hold_line(line=line, reason="Stop", now=behind, actor=OWNER)

    assert last_permit(line).state == "held"


def test_line_stays_held_while_the_clock_is_behind(yard: Yard, now: datetime) -> None:
    line = yard.open_line()
    actions.hold_line(line=line, reason="Stop", now=now, actor=OWNER)

    actions.release_line(line=line, now=now - timedelta(days=1), actor=OWNER)

    assert last_permit(line).state == "held"


def test_line_is_held_when_no_pack_can_be_read(
    yard: Yard, now: datetime, settings: SettingsWrapper
) -> None:
    line = yard.open_line()
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(
        config, approvals=replace(config.approvals, packs=("/nowhere.toml",))
    )

    tasks.run(now)

    assert last_permit(line).state == "held"


def test_new_shop_address_reaches_gateways_in_a_new_permit(
    yard: Yard, now: datetime, settings: SettingsWrapper
) -> None:
    line = yard.open_line()
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(config, site=replace(config.site, shop_addresses=("192.0.2.9",)))

    tasks.run(now)

    permit = last_permit(line)
    assert (permit.state, permit.shop.addresses) == ("open", ("192.0.2.9",))


@pytest.mark.parametrize("place", ["", "XX-", "Sweden"])
def test_line_with_an_unreadable_place_is_refused(yard: Yard, place: str) -> None:
    with pytest.raises(actions.LineWrong):
        yard.plan(place=place)

    assert Line.objects.count() == 0


# --- R9: the last net in the database ---------------------------------------------------------


def _row(line: Line, decision: Decision, open_until: datetime, **changes: Any) -> Permit:
    values = {
        "line": line,
        "serial": 99,
        "state": "open",
        "open_until": open_until,
        "decision": decision,
        "payload": "{}",
        "signature": "",
        "written_at": decision.at,
    }
    return Permit(**{**values, **changes})


def _refused(permit: Permit) -> bool:
    try:
        with transaction.atomic():
            permit.save(force_insert=True)
    except DatabaseError as error:
        return "needs a decision" in str(error)
    return False


def test_open_permit_is_accepted_as_long_as_its_decision(yard: Yard) -> None:
    line = yard.open_line()
    decision = Decision.objects.filter(allowed=True).latest("sequence")

    assert not _refused(_row(line, decision, decision.valid_until))
    assert _refused(_row(line, decision, decision.valid_until + timedelta(seconds=1), serial=100))


def test_open_permit_on_a_denial_is_refused_by_the_database(yard: Yard, now: datetime) -> None:
    line = yard.plan()
    denial = Decision.objects.get(allowed=False)

    assert _refused(_row(line, denial, now - timedelta(days=1)))


def test_open_permit_on_another_lines_decision_is_refused(yard: Yard, now: datetime) -> None:
    yard.open_line()
    other = yard.plan("other")
    decision = Decision.objects.filter(allowed=True).latest("sequence")

    assert _refused(_row(other, decision, now))


@pytest.mark.parametrize(
    ("open_until", "decision"),
    [
        ("'9999-01-01 00:00:00+00:00'", "(SELECT MAX(id) FROM approvals_decision WHERE allowed)"),
        ("'2026-03-02 00:00:00+00:00'", "(SELECT MIN(id) FROM approvals_decision)"),
    ],
)
def test_raw_sql_cannot_open_a_line(yard: Yard, open_until: str, decision: str) -> None:
    yard.open_line()
    statement = (
        "INSERT INTO fleet_permit"  # noqa: S608 -- the attack under test
        " (line_id, serial, state, open_until, decision_id, payload, signature, written_at)"
        f" SELECT id, 99, 'open', {open_until}, {decision}, '', '', created_at FROM fleet_line"
    )

    with pytest.raises(DatabaseError, match="needs a decision"), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL has types")
def test_number_in_place_of_an_instant_cannot_open_a_line(yard: Yard) -> None:
    yard.open_line()
    statement = (
        "INSERT INTO fleet_permit"
        " (line_id, serial, state, open_until, decision_id, payload, signature, written_at)"
        " SELECT id, 99, 'open', 4102444800,"
        " (SELECT MAX(id) FROM approvals_decision WHERE allowed), '', '', created_at"
        " FROM fleet_line"
    )

    with pytest.raises(DatabaseError, match="needs a decision"), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE fleet_permit SET state = 'open'", "DELETE FROM fleet_permit"],
)
def test_permits_cannot_be_rewritten(yard: Yard, statement: str) -> None:
    yard.plan()

    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_permit_instant_is_the_signed_one(yard: Yard) -> None:
    line = yard.open_line()

    row = Permit.objects.filter(line=line).latest("serial")

    assert row.open_until == from_unix(last_permit(line).open_until)
