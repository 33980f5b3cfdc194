from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core import serializers
from django.db import IntegrityError
from django.db.transaction import atomic

from ferriage.accounts import actions, queries
from ferriage.accounts.models import Account, CustomerSession, StaffLink, StaffProfile
from ferriage.core import codes
from ferriage.core.actors import CUSTOMER, Actor
from ferriage.core.models import AuditEntry

if TYPE_CHECKING:
    from datetime import datetime

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)
PASSWORD = "long ferry over quiet water"
PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


def invite(now: datetime, owner: Actor, role: str = "support") -> str:
    return actions.create_staff_link(purpose="invite", role=role, now=now, actor=owner)


def use(token: str, now: datetime, username: str = "vera", password: str = PASSWORD) -> User:
    return actions.use_staff_link(token=token, username=username, password=password, now=now)


def everything_stored() -> str:
    models = (Account, CustomerSession, StaffLink, AuditEntry)
    return "".join(serializers.serialize("json", model.objects.all()) for model in models)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param(lambda number: number, id="bare"),
        pytest.param(codes.grouped, id="in groups"),
        pytest.param(lambda number: f"  {codes.grouped(number).replace('-', ' ')} ", id="spaces"),
        pytest.param(str.lower, id="lower case"),
        pytest.param(lambda number: number.replace("0", "O"), id="letter O"),
        pytest.param(lambda number: number.replace("1", "l"), id="letter l"),
        pytest.param(lambda number: number.translate(PERSIAN), id="Persian"),
        pytest.param(lambda number: number.translate(ARABIC), id="Arabic"),
        pytest.param(lambda number: number.translate(FULL_WIDTH), id="full width"),
    ],
)
def test_account_is_found_however_its_number_is_typed(typed, now: datetime) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 -- any way of typing
    actions.open_account(now=now, actor=CUSTOMER)
    opened = actions.open_account(now=now, actor=CUSTOMER, place="XD")

    assert queries.account_by_number(typed(opened.number)) == opened.account


@pytest.mark.parametrize("typed", ["", "0000-0000-0000-0000", "0" * 15, "0" * 17, "ü" * 16])
def test_unknown_number_finds_nothing(typed: str, now: datetime) -> None:
    actions.open_account(now=now, actor=CUSTOMER)

    assert queries.account_by_number(typed) is None


def test_no_secret_is_stored(now: datetime, owner: Actor) -> None:
    opened = actions.open_account(now=now, actor=CUSTOMER)
    token = actions.start_session(account=opened.account, now=now)
    link = invite(now, owner)

    stored = everything_stored()

    assert [secret for secret in (opened.number, token, link) if secret in stored] == []


def test_account_keeps_no_more_than_the_day(now: datetime) -> None:
    account = actions.open_account(now=now, actor=CUSTOMER, place="XD", language="fa").account

    account.refresh_from_db()
    assert (account.created_on, account.place, account.language, account.label) == (
        now.date(),
        "XD",
        "fa",
        "",
    )


@pytest.mark.parametrize("account_class", ["own_staff", "enterprise"])
def test_closed_services_take_nobody_by_themselves(
    account_class: str, now: datetime, owner: Actor
) -> None:
    for actor, label in ((CUSTOMER, "Otto"), (owner, "")):
        with pytest.raises(actions.ClosedService):
            actions.open_account(now=now, actor=actor, account_class=account_class, label=label)

    opened = actions.open_account(now=now, actor=owner, account_class=account_class, label="Otto")

    assert list(Account.objects.all()) == [opened.account]


def test_session_runs_thirty_days(now: datetime) -> None:
    account = actions.open_account(now=now, actor=CUSTOMER).account
    token = actions.start_session(account=account, now=now)
    end = now + timedelta(days=30)

    assert queries.account_by_session(token, end - SECOND) == account
    assert queries.account_by_session(token, end) is None
    assert queries.account_by_session("", now) is None


def test_ending_a_session_leaves_the_others(now: datetime) -> None:
    alice = actions.open_account(now=now, actor=CUSTOMER).account
    phone, laptop = (actions.start_session(account=alice, now=now) for _ in range(2))

    actions.end_session(token=phone)

    assert queries.account_by_session(phone, now) is None
    assert queries.account_by_session(laptop, now) == alice


def test_sessions_that_ran_out_are_deleted(now: datetime) -> None:
    account = actions.open_account(now=now, actor=CUSTOMER).account
    actions.start_session(account=account, now=now)

    actions.start_session(account=account, now=now + timedelta(days=31))

    assert CustomerSession.objects.count() == 1


def test_declared_place_is_kept(now: datetime) -> None:
    account = actions.open_account(now=now, actor=CUSTOMER).account

    actions.declare_place(account=account, place="XD", now=now, actor=CUSTOMER)

    assert Account.objects.get().place == "XD"


@pytest.mark.parametrize("role", StaffProfile.Role.values)
def test_invitation_makes_staff_of_the_role_once(role: str, now: datetime, owner: Actor) -> None:
    token = invite(now, owner, role)

    user = use(token, now)

    assert (queries.role_of(user), user.check_password(PASSWORD)) == (role, True)
    assert (user.is_staff, user.is_superuser) == (True, False)
    with pytest.raises(actions.LinkUnusable):
        use(token, now, username="another")
    assert User.objects.count() == 1


def test_invitation_runs_a_day(now: datetime, owner: Actor) -> None:
    token = invite(now, owner)
    end = now + timedelta(hours=24)

    assert queries.staff_link(token, end - SECOND) is not None
    with pytest.raises(actions.LinkUnusable):
        use(token, end)
    assert User.objects.count() == 0


def test_reset_changes_the_password_and_nothing_else(now: datetime, owner: Actor) -> None:
    vera = use(invite(now, owner, "auditor"), now)
    token = actions.create_staff_link(purpose="reset", user=vera, now=now, actor=owner)

    use(token, now, username="mallory", password="another long way over")

    vera = User.objects.get()
    assert (vera.get_username(), queries.role_of(vera)) == ("vera", "auditor")
    assert vera.check_password("another long way over")


@pytest.mark.parametrize(
    ("username", "password"),
    [("vera", "short"), ("", PASSWORD), ("a b", PASSWORD), (" vera", PASSWORD)],
)
def test_refused_name_or_password_leaves_the_link_usable(
    username: str, password: str, now: datetime, owner: Actor
) -> None:
    token = invite(now, owner)

    with pytest.raises(actions.StaffWrong):
        use(token, now, username=username, password=password)

    assert User.objects.count() == 0
    assert use(token, now).get_username() == "vera"


def test_taken_name_is_refused_and_the_link_stays(now: datetime, owner: Actor) -> None:
    use(invite(now, owner), now)
    token = invite(now, owner, "owner")

    with pytest.raises(actions.StaffWrong, match="taken"):
        use(token, now)

    assert queries.staff_link(token, now) is not None
    assert queries.role_of(User.objects.get()) == "support"


def test_link_without_role_or_user_is_refused(now: datetime, owner: Actor) -> None:
    with pytest.raises(actions.StaffWrong, match="owner, partner, support, auditor"):
        actions.create_staff_link(purpose="invite", role="root", now=now, actor=owner)
    with pytest.raises(actions.StaffWrong):
        actions.create_staff_link(purpose="reset", now=now, actor=owner)

    assert StaffLink.objects.count() == 0


def test_role_is_read_from_the_database_each_time(now: datetime, owner: Actor) -> None:
    vera = use(invite(now, owner, "owner"), now)

    StaffProfile.objects.update(role="auditor")
    demoted = queries.role_of(vera)
    vera.is_active = False

    assert (demoted, queries.role_of(vera)) == ("auditor", "")
    assert queries.role_of(AnonymousUser()) == ""
    assert queries.role_of(User.objects.create(username="nobody")) == ""


def test_name_in_other_letters_is_no_second_person(now: datetime) -> None:
    User.objects.create_user("vera")
    token = actions.create_staff_link(purpose="invite", role="owner", now=now, actor=CUSTOMER)

    for name in ("Vera", "\uff36era"):
        with pytest.raises(actions.StaffWrong, match="taken"):
            use(token, now, name)
    with pytest.raises(IntegrityError), atomic():
        User.objects.create_user("VERA")

    assert use(token, now, "veronica").get_username() == "veronica"
