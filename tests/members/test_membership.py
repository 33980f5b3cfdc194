"""A person's way through a closed service: entered, invited, active, left, back again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, transaction

from ferriage import wire
from ferriage.accounts import actions as accounts
from ferriage.accounts import queries as account_queries
from ferriage.accounts.models import Account
from ferriage.cli import machines
from ferriage.cli.words import CommandError
from ferriage.core.actors import CUSTOMER
from ferriage.core.models import AuditEntry
from ferriage.devices.actions import NothingBought
from ferriage.fleet import actions as fleet
from ferriage.fleet import tasks as fleet_tasks
from ferriage.fleet.models import PoolCurrent
from ferriage.ledger.models import Transfer
from ferriage.members import actions, queries
from ferriage.members.models import Invitation, Member
from ferriage.orders import actions as orders
from ferriage.orders import tasks as order_tasks
from ferriage.orders.models import Order
from ferriage.plans.models import Period
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pytest_django import DjangoAssertNumQueries

    from closed_office import Office
    from ferriage.devices.models import Device

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def told(device: Device) -> wire.Device:
    row = PoolCurrent.objects.get(subject=device.code)
    return wire.decode(row.payload, wire.Put).device


def test_invited_person_accepts_and_holds_the_plan_at_no_price(
    office: Office, now: datetime
) -> None:
    member = office.listed()
    token = actions.invite(member=member, now=now, actor=OWNER)
    assert queries.invitation(token, now) is not None

    accepted = actions.accept(token=token, place="XD", now=now + DAY, actor=CUSTOMER)

    account = account_queries.account_by_number(accepted.number)
    assert account is not None
    assert (account.account_class, account.label, account.place) == ("own_staff", "Lin Mei", "XD")
    assert accepted.member.state == Member.State.ACTIVE
    assert accepted.member.active_at == now + DAY
    period = Period.objects.get()
    assert (period.kind, period.starts_at, period.ends_at) == ("grant", now + DAY, None)
    assert not Order.objects.exists()
    assert not Transfer.objects.exists()


def test_device_of_a_member_is_told_to_the_gateway(office: Office) -> None:
    device = office.device(office.active())

    assert told(device).hold_at > int(office.now.timestamp())


@pytest.mark.parametrize("later", [timedelta(days=7), timedelta(days=30)])
def test_invitation_runs_out_after_seven_days(
    office: Office, now: datetime, later: timedelta
) -> None:
    token = actions.invite(member=office.listed(), now=now, actor=OWNER)

    with pytest.raises(actions.InvitationUnusable):
        actions.accept(token=token, place="XD", now=now + later, actor=CUSTOMER)

    assert Account.objects.count() == 0


def test_invitation_works_once_and_a_newer_one_ends_it(office: Office, now: datetime) -> None:
    member = office.listed()
    first = actions.invite(member=member, now=now, actor=OWNER)
    second = actions.invite(member=member, now=now, actor=OWNER)

    with pytest.raises(actions.InvitationUnusable):
        actions.accept(token=first, place="XD", now=now, actor=CUSTOMER)
    actions.accept(token=second, place="XD", now=now, actor=CUSTOMER)
    with pytest.raises(actions.InvitationUnusable):
        actions.accept(token=second, place="XD", now=now, actor=CUSTOMER)

    assert Account.objects.count() == 1


def test_token_is_nowhere_in_the_database(office: Office, now: datetime) -> None:
    token = actions.invite(member=office.listed(), now=now, actor=OWNER)

    held = [
        *Invitation.objects.values_list("token_hash"),
        *AuditEntry.objects.values_list("details"),
    ]
    assert token not in str(held)


def test_leaver_is_held_and_logged_out_in_one_transaction(office: Office, now: datetime) -> None:
    accepted = office.active()
    device = office.device(accepted)
    session = accounts.start_session(account=accepted.account, now=now)
    later = now + DAY

    member = actions.leave(member=accepted.member, now=later, actor=OWNER)

    assert (member.state, member.left_at) == (Member.State.LEFT, later)
    assert (told(device).hold_at, told(device).hold_reason) == (int(later.timestamp()), "staff")
    assert account_queries.account_by_session(session, later) is None
    assert account_queries.account_by_number(accepted.number) is None
    with pytest.raises(NothingBought):
        office.device(accepted, at=later)


def test_leaving_is_whole_or_not_at_all(
    office: Office, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = office.active()
    device = office.device(accepted)

    def broken(**_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("ferriage.devices.actions.refresh_all", broken)
    with pytest.raises(RuntimeError):
        actions.leave(member=accepted.member, now=now, actor=OWNER)

    accepted.member.refresh_from_db()
    assert accepted.member.state == Member.State.ACTIVE
    assert account_queries.account_by_number(accepted.number) is not None
    assert told(device).hold_at > int(now.timestamp())


def test_nobody_leaves_twice(office: Office, now: datetime) -> None:
    accepted = office.active()
    actions.leave(member=accepted.member, now=now, actor=OWNER)

    with pytest.raises(actions.NotMember):
        actions.leave(member=accepted.member, now=now + DAY, actor=OWNER)

    accepted.member.refresh_from_db()
    assert accepted.member.left_at == now


def test_person_who_comes_back_has_their_device_again_under_a_new_number(
    office: Office, now: datetime
) -> None:
    accepted = office.active()
    device = office.device(accepted)
    actions.leave(member=accepted.member, now=now + DAY, actor=OWNER)

    token = actions.invite(member=accepted.member, now=now + 2 * DAY, actor=OWNER)
    assert account_queries.account_by_number(accepted.number) is None
    back = actions.accept(token=token, place="XD", now=now + 3 * DAY, actor=CUSTOMER)

    assert back.account.pk == accepted.account.pk
    assert back.number != accepted.number
    assert account_queries.account_by_number(accepted.number) is None
    assert account_queries.account_by_number(back.number) == back.account
    assert told(device).hold_at > int((now + 3 * DAY).timestamp())


def test_active_person_who_lost_their_number_gets_a_new_one_and_keeps_the_rest(
    office: Office, now: datetime
) -> None:
    accepted = office.active()
    device = office.device(accepted)
    session = accounts.start_session(account=accepted.account, now=now)
    before = told(device)

    token = actions.invite(member=accepted.member, now=now, actor=OWNER)
    assert account_queries.account_by_number(accepted.number) is not None
    renewed = actions.accept(token=token, place="XD", now=now + DAY, actor=CUSTOMER)

    assert account_queries.account_by_number(accepted.number) is None
    assert account_queries.account_by_number(renewed.number) == accepted.account
    assert account_queries.account_by_session(session, now) is None
    assert (renewed.member.active_at, told(device)) == (now, before)
    assert Period.objects.count() == 1


def test_place_that_is_named_anew_is_judged_at_once(office: Office, now: datetime) -> None:
    accepted = office.active()
    device = office.device(accepted)

    token = actions.invite(member=accepted.member, now=now, actor=OWNER)
    actions.accept(token=token, place="CN", now=now + DAY, actor=CUSTOMER)

    assert told(device).hold_at == int((now + DAY).timestamp())


def test_leaver_cannot_accept_what_they_were_sent_before(office: Office, now: datetime) -> None:
    accepted = office.active()
    token = actions.invite(member=accepted.member, now=now, actor=OWNER)
    actions.leave(member=accepted.member, now=now, actor=OWNER)

    with pytest.raises(actions.InvitationUnusable):
        actions.accept(token=token, place="XD", now=now, actor=CUSTOMER)


def test_invited_person_can_be_taken_off_the_list(office: Office, now: datetime) -> None:
    member = office.listed()
    token = actions.invite(member=member, now=now, actor=OWNER)

    actions.leave(member=member, now=now, actor=OWNER)

    with pytest.raises(actions.InvitationUnusable):
        actions.accept(token=token, place="XD", now=now, actor=CUSTOMER)


@pytest.mark.parametrize(
    ("reference", "name"), [("", "Lin"), ("  ", "Lin"), ("P-1", ""), ("P" * 61, "Lin")]
)
def test_person_needs_a_name_and_a_reference(office: Office, reference: str, name: str) -> None:
    with pytest.raises(actions.MemberWrong):
        office.listed(reference, name)


def test_reference_is_one_persons_only(office: Office, now: datetime) -> None:
    office.listed()

    with pytest.raises(actions.MemberWrong, match="P-17"):
        office.listed(name="Somebody else")
    with pytest.raises(IntegrityError), transaction.atomic():
        Member.objects.create(
            closed=office.closed, reference="P-17", name="Past every page", entered_at=now
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "active"},
        {"state": "left"},
        {"state": "invited", "left_at": "now"},
        {"state": "gone"},
        {"name": ""},
        {"reference": ""},
    ],
)
def test_database_refuses_a_person_who_is_neither_listed_active_nor_gone(
    office: Office, now: datetime, changes: dict[str, object]
) -> None:
    member = office.listed()
    values = {name: now if value == "now" else value for name, value in changes.items()}

    with pytest.raises(IntegrityError), transaction.atomic():
        Member.objects.filter(pk=member.pk).update(**values)


@pytest.mark.parametrize("account_class", ["own_staff", "enterprise"])
def test_database_refuses_an_account_of_a_closed_service_without_a_name(
    db: None, now: datetime, account_class: str
) -> None:
    del db
    with pytest.raises(IntegrityError), transaction.atomic():
        Account.objects.create(number_hash="x", account_class=account_class, created_on=now.date())


def test_corrected_name_stands_on_list_and_account(office: Office, now: datetime) -> None:
    accepted = office.active()

    member = actions.rename(member=accepted.member, name="Lin Mei-Hua", now=now, actor=OWNER)

    accepted.account.refresh_from_db()
    assert (member.name, accepted.account.label) == ("Lin Mei-Hua", "Lin Mei-Hua")


def test_user_file_counts_devices_with_one_query_more(
    office: Office, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    accepted = office.active()
    office.device(accepted)
    office.device(accepted)
    office.active("P-18", "Ada")
    members = list(Member.objects.order_by("reference"))

    with django_assert_num_queries(1):
        found = queries.entries(members)

    assert [(entry.member.reference, entry.devices) for entry in found] == [
        ("P-17", 2),
        ("P-18", 0),
    ]


def test_many_leave_at_once(office: Office, now: datetime) -> None:
    people = [office.active(f"P-{number}") for number in range(3)]
    held = [office.device(accepted) for accepted in people]

    count = actions.leave_all(
        members=[accepted.member for accepted in people[:2]], now=now + DAY, actor=OWNER
    )

    assert count == 2
    ended = [told(device).hold_at == int((now + DAY).timestamp()) for device in held]
    assert ended == [True, True, False]


def test_public_plan_closes_no_service(
    make_shop: Callable[..., object], now: datetime, db: None
) -> None:
    del db
    shop = make_shop(now)

    with pytest.raises(actions.ServiceWrong):
        actions.close_service(plan=shop.plan, now=now, actor=OWNER)  # type: ignore[attr-defined]


def test_operators_own_device_stands_on_the_list_too(office: Office, now: datetime) -> None:
    first = machines._own_subscription(office.plan, "XD", now)
    again = machines._own_subscription(office.plan, "XD", now)

    member = Member.objects.get()
    assert first == again
    assert (member.reference, member.state) == ("operator", "active")
    assert first.account_id == member.account_id
    actions.leave(member=member, now=now, actor=OWNER)
    with pytest.raises(CommandError, match="has left"):
        machines._own_subscription(office.plan, "XD", now)


def test_who_waits_for_a_held_line_can_be_made_to_leave(office: Office) -> None:
    active = office.active()
    subscription, now = office.subscription(active), office.now
    orders.end_subscription(
        subscription=subscription, at=now + 30 * DAY, reason="Contract", now=now, actor=OWNER
    )
    fleet.hold_line(line=office.line, reason="x", now=now + DAY, actor=OWNER)
    fleet_tasks.run(now + DAY)
    order_tasks.run(now + DAY)
    orders.wait(subscription=subscription, now=now + DAY, actor=CUSTOMER)
    member = Member.objects.get(pk=active.member.pk)

    actions.leave(member=member, now=now + 2 * DAY, actor=OWNER)

    member.refresh_from_db()
    assert member.state == Member.State.LEFT
