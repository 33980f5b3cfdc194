"""Corrections are new versions, entered by one person and verified by another."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from register_cases import line
from register_office import ISSUED, SECOND, Register

from ferriage.approvals import actions
from ferriage.approvals.models import Approval
from ferriage.approvals.queries import judge, load_register, party_facts, versions_of
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Callable

LATER = replace(ISSUED, valid_to=date(2026, 8, 31))


def correct(register: Register, former: Approval, **says: object) -> Approval:
    values: dict[str, object] = {
        "kind": former.kind,
        "holder": former.holder,
        "line_codes": ["ln_1"],
        **says,
    }
    return actions.correct(
        approval=former,
        says=actions.Record(**values),  # type: ignore[arg-type]
        reason="The end date was read wrongly.",
        packs=register.law,
        now=register.now,
        actor=register.owner,
    )


def state_of(approval: Approval) -> str:
    return Approval.objects.get(pk=approval.pk).state


def allowed_until(register: Register) -> date | None:
    asked = replace(line("XD", "XD", "XD"), operator=party_facts(register.party))
    verdict = judge(line=asked, at=register.now)
    return verdict.valid_until.date() if verdict.allowed else None


def test_correction_takes_the_place_of_the_version_before_once_verified(
    register: Register,
) -> None:
    former = register.in_force()
    version = correct(register, former)
    found = [(state_of(former), allowed_until(register))]
    register.grant(version, LATER)
    found.append((state_of(former), allowed_until(register)))
    register.verify(version)
    found.append((state_of(former), allowed_until(register)))
    assert found == [
        ("granted", date(2027, 3, 1)),
        ("granted", date(2027, 3, 1)),
        ("superseded", date(2026, 9, 1)),
    ]
    former.refresh_from_db()
    version.refresh_from_db()
    assert (former.valid_to, former.verified_by) == (ISSUED.valid_to, "vera")
    assert (version.number, version.supersedes) == (former.number, former)


def test_correction_is_entered_by_one_and_verified_by_another(register: Register) -> None:
    version = correct(register, register.in_force())
    register.grant(version, LATER, actor=SECOND)
    with pytest.raises(actions.SamePerson):
        register.verify(version, SECOND)
    register.verify(version, register.owner)
    assert allowed_until(register) == date(2026, 9, 1)


@pytest.mark.parametrize(
    "begin", [Register.record, lambda register: register.grant(register.record())]
)
def test_version_that_does_not_count_is_set_aside_at_once(
    register: Register, begin: Callable[[Register], Approval]
) -> None:
    former = begin(register)
    version = correct(register, former)
    assert state_of(former) == "superseded"
    with pytest.raises(actions.NotInThisState):
        register.verify(former)
    register.verify(register.grant(version))
    assert allowed_until(register) == date(2027, 3, 1)


def test_correction_of_a_correction_replaces_both(register: Register) -> None:
    first = register.in_force()
    second = register.grant(correct(register, first))
    third = register.grant(correct(register, second), LATER)
    between = (state_of(first), state_of(second), allowed_until(register))
    register.verify(third)
    assert between == ("granted", "superseded", date(2027, 3, 1))
    assert (state_of(first), state_of(second)) == ("superseded", "superseded")
    assert allowed_until(register) == date(2026, 9, 1)
    for version in (first, second, third):
        assert versions_of(version) == [third, second, first]


def test_scope_is_corrected_too(register: Register) -> None:
    former = register.in_force()
    version = correct(register, former, line_codes=["ln_2"], capacity="100 Mbit/s")
    register.verify(register.grant(version))
    assert allowed_until(register) is None
    assert version.capacity == "100 Mbit/s"


@pytest.mark.parametrize("stop", [actions.suspend, actions.revoke, actions.surrender])
def test_correction_brings_nothing_back_that_was_stopped(
    register: Register, stop: Callable[..., Approval]
) -> None:
    former = register.in_force()
    version = register.grant(correct(register, former))
    stop(approval=former, now=register.now, actor=register.owner)
    with pytest.raises(actions.NotInThisState, match="takes no suspension or revocation away"):
        register.verify(version)
    assert (Approval.objects.get(pk=version.pk).verified_by, allowed_until(register)) == ("", None)


@pytest.mark.parametrize("stop", [actions.suspend, actions.revoke, actions.surrender])
def test_stopped_record_is_not_corrected(register: Register, stop: Callable[..., Approval]) -> None:
    former = stop(approval=register.in_force(), now=register.now, actor=register.owner)
    with pytest.raises(actions.NotInThisState):
        correct(register, former)
    assert Approval.objects.count() == 1


def test_version_is_corrected_once_and_with_a_reason(register: Register) -> None:
    former = register.in_force()
    correct(register, former)
    with pytest.raises(StaleState, match="begun already"):
        correct(register, former)
    with pytest.raises(actions.ReasonMissing):
        actions.correct(
            approval=former,
            says=actions.Record(kind=former.kind, holder=former.holder, line_codes=[]),
            reason=" ",
            packs=register.law,
            now=register.now,
            actor=register.owner,
        )
    assert Approval.objects.count() == 2


def test_correction_is_audited_on_both_versions(register: Register) -> None:
    former = register.in_force()
    version = register.verify(register.grant(correct(register, former)))
    entries = AuditEntry.objects.order_by("sequence").values_list("subject", "action")
    assert [*entries][-6:] == [
        (version.code, "approval.recorded"),
        (former.code, "approval.corrected"),
        (version.code, "evidence.added"),
        (version.code, "approval.granted"),
        (version.code, "approval.verified"),
        (former.code, "approval.superseded"),
    ]


def test_replaced_version_is_not_among_what_is_judged(register: Register) -> None:
    former = register.in_force()
    version = register.verify(register.grant(correct(register, former), LATER))
    judged = {found.code for rows in load_register().approvals.values() for found in rows}
    assert judged == {version.code}


def test_renewal_leaves_the_one_before_as_it_is(register: Register) -> None:
    former = register.in_force()
    renewal = actions.record_approval(
        kind=former.kind,
        holder=register.party,
        line_codes=["ln_1"],
        packs=register.law,
        supersedes=former,
        now=register.now,
        actor=register.owner,
    )
    next_year = replace(ISSUED, valid_from=date(2027, 3, 1), valid_to=date(2028, 2, 29))
    register.verify(register.grant(renewal, next_year))
    assert state_of(former) == "granted"
    asked = replace(line("XD", "XD", "XD"), operator=party_facts(register.party))
    verdict = judge(line=asked, at=register.now + timedelta(days=300))
    assert verdict.valid_until.date() > date(2027, 3, 1)
