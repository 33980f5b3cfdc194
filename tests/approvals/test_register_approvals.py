from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, connection, transaction
from register_cases import EVERY_ROLE, line, row, write_pack
from register_office import ISSUED, PAPER, SECOND, Register

import lawbook
from ferriage.approvals import actions, packs
from ferriage.approvals.models import Approval, Evidence, Party
from ferriage.approvals.queries import judge, load_register, party_facts
from ferriage.approvals.site import packs_in_force
from ferriage.core.actors import Actor
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_django.fixtures import DjangoAssertNumQueries

    from ferriage.approvals.facts import LineFacts


def demo_line(party: Party, code: str = "ln_1") -> LineFacts:
    return replace(line("XD", "XD", "XD"), code=code, operator=party_facts(party))


def slugs(register: Register) -> set[str]:
    verdict = judge(line=demo_line(register.party), at=register.now)
    return {reason.slug for reason in verdict.reasons}


def test_line_opens_once_a_second_person_verified_the_approval(register: Register) -> None:
    found = [slugs(register)]
    approval = register.record()
    found.append(slugs(register))
    register.lodge(approval)
    found.append(slugs(register))
    register.grant(approval)
    found.append(slugs(register))
    register.verify(approval)
    found.append(slugs(register))
    assert found == [
        {"approval-missing"},
        {"approval-draft"},
        {"approval-lodged"},
        {"approval-unverified"},
        set(),
    ]
    verdict = judge(line=demo_line(register.party), at=register.now, customer_place="XD")
    assert verdict.valid_until == datetime(2027, 3, 1, tzinfo=UTC)


def test_each_step_leaves_an_audit_entry(register: Register) -> None:
    approval = register.record()
    register.lodge(approval)
    register.verify(register.grant(approval))
    actions.suspend(approval=approval, now=register.now, actor=register.owner)
    actions.revoke(approval=approval, now=register.now, actor=register.owner)
    entries = AuditEntry.objects.filter(subject=approval.code).order_by("sequence")
    assert [entry.action for entry in entries] == [
        "approval.recorded",
        "evidence.added",
        "approval.lodged",
        "evidence.added",
        "approval.granted",
        "approval.verified",
        "approval.suspended",
        "approval.revoked",
    ]


@pytest.mark.parametrize(
    "person",
    [
        Actor("staff", "olga"),
        Actor("staff", "OLGA"),
        Actor("command", "init"),
        Actor("system", "worker"),
        Actor("customer", ""),
    ],
)
def test_who_entered_it_or_is_no_person_may_not_verify(register: Register, person: Actor) -> None:
    approval = register.grant(register.record())
    with pytest.raises(actions.SamePerson):
        register.verify(approval, person)
    assert slugs(register) == {"approval-unverified"}


def test_who_enters_the_grant_may_not_verify_it_but_who_began_the_record_may(
    register: Register,
) -> None:
    approval = register.grant(register.record(), actor=SECOND)
    with pytest.raises(actions.SamePerson):
        register.verify(approval, SECOND)
    register.verify(approval, register.owner)
    assert slugs(register) == set()


def test_approval_is_verified_once(register: Register) -> None:
    approval = register.in_force()
    with pytest.raises(StaleState):
        register.verify(approval, Actor("staff", "walt"))
    approval.refresh_from_db()
    assert approval.verified_by == "vera"


def test_database_refuses_one_person_for_both(register: Register) -> None:
    approval = register.grant(register.record())
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(pk=approval.pk).update(verified_by="olga")


def test_database_refuses_a_grant_without_number(register: Register) -> None:
    approval = register.record()
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(pk=approval.pk).update(state="granted")


def test_approval_without_evidence_cannot_be_verified(register: Register) -> None:
    approval = register.record()
    Approval.objects.filter(pk=approval.pk).update(
        state="granted", number="1", valid_from=date(2026, 1, 1)
    )
    with pytest.raises(actions.EvidenceMissing):
        register.verify(approval)


@pytest.mark.parametrize(
    "step",
    [
        lambda register, approval: register.verify(approval),
        lambda register, approval: register.lodge(register.lodge(approval)),
        lambda register, approval: register.grant(register.grant(approval)),
        lambda register, approval: actions.suspend(
            approval=approval, now=register.now, actor=register.owner
        ),
        lambda register, approval: actions.reinstate(
            approval=register.grant(approval), now=register.now, actor=register.owner
        ),
        lambda register, approval: actions.surrender(
            approval=approval, now=register.now, actor=register.owner
        ),
        lambda register, approval: actions.refuse(
            approval=approval, now=register.now, actor=register.owner
        ),
        lambda register, approval: actions.revoke(
            approval=approval, now=register.now, actor=register.owner
        ),
    ],
    ids=[
        "verify a draft",
        "lodge twice",
        "grant twice",
        "suspend a draft",
        "reinstate a granted one",
        "surrender a draft",
        "refuse a draft",
        "revoke a draft",
    ],
)
def test_step_from_a_wrong_state_is_refused(
    register: Register, step: Callable[[Register, Approval], Approval]
) -> None:
    approval = register.record()
    with pytest.raises(actions.NotInThisState):
        step(register, approval)


@pytest.mark.parametrize("end", [actions.suspend, actions.revoke, actions.surrender])
def test_approval_stops_counting_at_once(register: Register, end: Callable[..., Approval]) -> None:
    approval = register.in_force()
    end(approval=approval, now=register.now, actor=register.owner)
    assert slugs(register) == {f"approval-{approval.state}"}


def test_reinstated_approval_counts_only_once_verified_anew(register: Register) -> None:
    approval = register.in_force()
    actions.suspend(approval=approval, now=register.now, actor=register.owner)
    actions.reinstate(approval=approval, now=register.now, actor=register.owner)
    before = slugs(register)
    register.verify(approval)
    assert (before, slugs(register)) == ({"approval-unverified"}, set())


def test_unknown_kind_and_unreadable_place_are_refused(register: Register) -> None:
    with pytest.raises(actions.UnknownKind, match="SE-TEA"):
        register.record(kind="SE-TEA")
    with pytest.raises(actions.PlaceUnreadable, match="Sweden"):
        actions.create_party(name="A", place="Sweden", now=register.now, actor=register.owner)
    assert Approval.objects.count() == 0


@pytest.mark.parametrize(
    "issued",
    [
        replace(ISSUED, number=" "),
        replace(ISSUED, valid_to=date(2026, 2, 28)),
        replace(ISSUED, issued_on=date(2099, 1, 1)),
    ],
    ids=["no number", "ends before it begins", "not issued yet"],
)
def test_grant_that_no_authority_issued_is_refused(
    register: Register, issued: actions.Issued
) -> None:
    approval = register.record()
    with pytest.raises(actions.IssuedWrong):
        register.grant(approval, issued)
    approval.refresh_from_db()
    assert (approval.state, Evidence.objects.count()) == ("draft", 0)


def test_evidence_is_known_by_its_digest(register: Register) -> None:
    register.grant(register.record())
    row = Evidence.objects.get()
    digest = hashlib.sha256(PAPER.data).hexdigest()
    assert (row.sha256, row.size_bytes, row.uploaded_by) == (digest, 14, "staff:olga")


@pytest.mark.parametrize(
    "file",
    [
        replace(PAPER, data=b""),
        replace(PAPER, media_type="text/html"),
        replace(PAPER, data=b"x" * (20 * 1024 * 1024 + 1)),
    ],
    ids=["empty", "page", "too large"],
)
def test_evidence_that_is_no_document_is_refused(
    register: Register, file: actions.EvidenceFile
) -> None:
    approval = register.record()
    with pytest.raises(actions.EvidenceRefused):
        actions.lodge(
            approval=approval,
            file=file,
            store_dir=register.store,
            now=register.now,
            actor=register.owner,
        )
    approval.refresh_from_db()
    assert (approval.state, register.store.exists()) == ("draft", False)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE approvals_evidence SET title = 'x'", "DELETE FROM approvals_evidence"],
)
def test_database_keeps_evidence_as_it_was(register: Register, statement: str) -> None:
    register.grant(register.record())
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_refusal_names_an_approval_of_another_holder_or_line(register: Register) -> None:
    other = actions.create_party(name="Other", place="XD", now=register.now, actor=register.owner)
    replace(register, party=other).in_force()
    assert slugs(register) == {"approval-other-holder"}
    register.in_force("ln_2")
    assert slugs(register) == {"approval-other-line"}


@pytest.mark.parametrize("lines", [1, 3])
def test_judging_many_lines_takes_the_same_four_queries(
    register: Register, lines: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    codes = [f"ln_{number}" for number in range(lines)]
    for code in codes:
        register.in_force(code)
    with django_assert_num_queries(4):
        snapshot = load_register()
        verdicts = [
            snapshot.judge(line=demo_line(register.party, code), at=register.now) for code in codes
        ]
    assert [verdict.allowed for verdict in verdicts] == [True] * lines


def test_snapshot_judges_each_question_once(register: Register) -> None:
    register.in_force("ln_1")
    snapshot, subject = load_register(), demo_line(register.party)

    first = snapshot.judge(line=subject, at=register.now, customer_place="XD")
    others = [
        snapshot.judge(line=subject, at=register.now),
        snapshot.judge(line=subject, at=register.now + timedelta(days=1), customer_place="XD"),
        snapshot.judge(line=subject, at=register.now, customer_place="SE"),
        snapshot.judge(line=replace(subject, exit="SE"), at=register.now, customer_place="XD"),
    ]

    assert snapshot.judge(line=subject, at=register.now, customer_place="XD") is first
    assert [verdict.allowed for verdict in (first, *others)] == [True, True, True, False, False]


def test_judging_one_line_agrees_with_the_snapshot(register: Register) -> None:
    register.in_force("ln_1")
    register.record("ln_2")
    for code in ("ln_1", "ln_2", "ln_3"):
        subject = demo_line(register.party, code)
        assert judge(line=subject, at=register.now) == load_register().judge(
            line=subject, at=register.now
        )


def test_notification_opens_from_its_lodging_and_its_confirmation_changes_nothing(
    register: Register, tmp_path: Path
) -> None:
    rows = row("notify", roles=EVERY_ROLE, kinds='["NZ-NOTICE"]')
    pack = write_pack(tmp_path / "NZ.toml", place="NZ", rows=rows)
    lawbook.accept(packs.load_file(pack))
    notified = replace(register, law=packs_in_force())
    subject = replace(line("NZ", "NZ", "NZ"), operator=party_facts(register.party))
    subject = replace(subject, operator=replace(subject.operator, place="NZ"))
    approval = notified.record(kind="NZ-NOTICE")
    found = [judge(line=subject, at=register.now).allowed]
    notified.lodge(approval)
    found.append(judge(line=subject, at=register.now).allowed)
    notified.grant(approval)
    found.append(judge(line=subject, at=register.now).allowed)
    before = judge(line=subject, at=register.now - timedelta(seconds=1))
    assert (found, before.allowed) == ([False, True, True], False)
