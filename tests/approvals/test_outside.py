"""Verification by somebody outside: one record, one answer, one week."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.db import IntegrityError, connection, transaction
from register_cases import line
from register_office import SECOND, Register

from ferriage.approvals import actions
from ferriage.approvals.models import Approval, OutsideAnswer, OutsideLink
from ferriage.approvals.queries import judge, outside_link, party_facts
from ferriage.core.errors import StaleState
from ferriage.core.hashing import new_token
from ferriage.core.models import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Callable

YES = actions.Answer(
    name="Karin  Öberg",
    relation="Bookkeeper of the company",
    looked_at="The licence as a file, and the office's register.",
    confirmed=True,
)
NO = replace(YES, confirmed=False, reason="The file names another holder.")


@pytest.fixture
def approval(register: Register) -> Approval:
    return register.grant(register.record())


@pytest.fixture
def token(register: Register, approval: Approval) -> str:
    return invite(register, approval)


def invite(register: Register, approval: Approval) -> str:
    return actions.create_outside_link(subject=approval, now=register.now, actor=register.owner)


def answer(register: Register, token: str, given: actions.Answer = YES) -> OutsideAnswer:
    return actions.answer_outside_link(token=token, answer=given, now=register.now)


def allowed(register: Register) -> bool:
    asked = replace(line("XD", "XD", "XD"), operator=party_facts(register.party))
    return judge(line=asked, at=register.now).allowed


def test_one_person_and_somebody_outside_open_a_line(
    register: Register, approval: Approval, token: str
) -> None:
    before = allowed(register)
    given = answer(register, token)
    approval.refresh_from_db()
    assert (before, allowed(register)) == (False, True)
    assert (approval.verified_by, approval.verified_outside) == ("outside:Karin Öberg", True)
    assert (given.name, given.relation, given.looked_at, given.confirmed, given.at) == (
        "Karin Öberg",
        YES.relation,
        YES.looked_at,
        True,
        register.now,
    )


def test_answer_is_audited_with_who_and_what(
    register: Register, approval: Approval, token: str
) -> None:
    answer(register, token)
    entries = AuditEntry.objects.filter(subject=approval.code).order_by("-sequence")[:3]
    assert [(entry.action, entry.actor_kind, entry.actor_code) for entry in entries] == [
        ("approval.verified", "outside", "Karin Öberg"),
        ("outside_link.confirmed", "outside", "Karin Öberg"),
        ("outside_link.made", "staff", "olga"),
    ]
    assert entries[1].details == {
        "relation": YES.relation,
        "looked_at": YES.looked_at,
        "reason": "",
    }


def test_database_holds_a_hash_of_the_token_only(register: Register, token: str) -> None:
    (row,) = OutsideLink.objects.values()
    assert not any(token in str(value) or token[:20] in str(value) for value in row.values())
    assert not AuditEntry.objects.filter(details__icontains=token[:20]).exists()
    assert register.now + timedelta(days=7) == row["expires_at"]


def test_no_is_recorded_with_its_reason_and_opens_nothing(
    register: Register, approval: Approval, token: str
) -> None:
    answer(register, token, NO)
    approval.refresh_from_db()
    assert (approval.verified_by, allowed(register)) == ("", False)
    assert OutsideAnswer.objects.get().reason == NO.reason
    with pytest.raises(actions.OutsideLinkGone):
        answer(register, token)


def test_link_takes_one_answer(register: Register, token: str) -> None:
    answer(register, token)
    with pytest.raises(actions.OutsideLinkGone):
        answer(register, token)
    assert OutsideAnswer.objects.count() == 1


def test_link_ends_after_a_week(register: Register, token: str) -> None:
    last = register.now + timedelta(days=7) - timedelta(microseconds=1)
    assert outside_link(token, last) is not None
    assert outside_link(token, register.now + timedelta(days=7)) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda register, approval: register.verify(approval),
        lambda register, approval: actions.revoke(
            approval=approval, now=register.now, actor=register.owner
        ),
        invite,
        lambda register, approval: actions.correct(
            approval=approval,
            says=actions.Record(kind=approval.kind, holder=approval.holder, line_codes=["ln_1"]),
            reason="Wrong number.",
            packs=register.law,
            now=register.now,
            actor=register.owner,
        ),
        lambda register, approval: actions.reinstate(
            approval=actions.suspend(approval=approval, now=register.now, actor=register.owner),
            now=register.now,
            actor=register.owner,
        ),
    ],
    ids=["verified by staff", "revoked", "another link", "corrected", "suspended and reinstated"],
)
def test_link_ends_with_what_it_showed(
    register: Register,
    approval: Approval,
    token: str,
    change: Callable[[Register, Approval], object],
) -> None:
    change(register, approval)
    with pytest.raises(actions.OutsideLinkGone):
        answer(register, token)


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: "",
        lambda _: new_token(),
        lambda token: token[:-1],
        lambda token: token.replace(".", ".A", 1),
        lambda token: signing.Signer(key="other", salt="outside-link", sep=".").sign(
            token.partition(".")[0]
        ),
        lambda _: signing.Signer(salt="outside-link", sep=".").sign(new_token()),
    ],
    ids=["empty", "unsigned", "cut", "altered", "other key", "never made"],
)
def test_forged_token_is_none(register: Register, token: str, forge: Callable[[str], str]) -> None:
    with pytest.raises(actions.OutsideLinkGone):
        answer(register, forge(token))
    assert not allowed(register)


@pytest.mark.parametrize(
    "part", [{"name": " "}, {"name": "–"}, {"relation": ""}, {"looked_at": "  "}]
)
def test_incomplete_answer_is_refused_and_the_link_stays(
    register: Register, token: str, part: dict[str, str]
) -> None:
    with pytest.raises(actions.AnswerIncomplete):
        answer(register, token, replace(YES, **part))  # type: ignore[arg-type]
    with pytest.raises(actions.AnswerIncomplete):
        answer(register, token, replace(NO, reason=" "))
    answer(register, token)


@pytest.mark.parametrize(
    "name",
    [
        "olga",
        "Olga",
        " O L G A ",
        "ＯＬＧＡ",
        "vera",
        "Vera Strand",
        "Strand, Vera",
        "demo lines ltd.",
    ],
)
def test_name_of_the_house_is_refused(register: Register, token: str, name: str) -> None:
    User.objects.create_user("vera", first_name="Vera", last_name="Strand")
    with pytest.raises(actions.SamePerson):
        answer(register, token, replace(YES, name=name))
    assert not allowed(register)
    answer(register, token)


@pytest.mark.parametrize(
    "approval_in",
    [
        Register.record,
        Register.in_force,
        lambda register: actions.suspend(
            approval=register.in_force(), now=register.now, actor=register.owner
        ),
    ],
    ids=["draft", "verified", "suspended"],
)
def test_no_link_for_what_cannot_be_verified(
    register: Register, approval_in: Callable[[Register], Approval]
) -> None:
    with pytest.raises((actions.NotInThisState, StaleState)):
        invite(register, approval_in(register))
    assert OutsideLink.objects.count() == 0


def test_second_member_of_staff_still_verifies_after_a_no(
    register: Register, approval: Approval, token: str
) -> None:
    answer(register, token, NO)
    register.verify(approval, SECOND)
    assert allowed(register)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approvals_outsideanswer SET confirmed = NOT confirmed",
        "DELETE FROM approvals_outsideanswer",
    ],
)
def test_database_keeps_the_answer_as_it_was(
    register: Register, token: str, statement: str
) -> None:
    answer(register, token, NO)
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_database_refuses_a_second_answer_to_a_link(register: Register, token: str) -> None:
    given = answer(register, token, NO)
    with pytest.raises(IntegrityError), transaction.atomic():
        OutsideAnswer.objects.create(
            link=given.link,
            approval=given.approval,
            name="x",
            relation="x",
            looked_at="x",
            confirmed=True,
            at=register.now,
        )


def test_backup_from_before_the_answer_opens_nothing_and_its_link_ends_with_its_week(
    register: Register, approval: Approval, token: str
) -> None:
    backup = transaction.savepoint_create()
    answer(register, token)
    before = allowed(register)

    transaction.savepoint_rollback(backup)  # the database as the backup holds it

    approval.refresh_from_db()
    later = register.now + timedelta(days=8)
    assert (before, allowed(register), approval.verified_by) == (True, False, "")
    assert outside_link(token, later) is None
    assert not OutsideAnswer.objects.exists()
