from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import IntegrityError, connection, transaction
from register_cases import line

from ferriage.approvals import actions
from ferriage.approvals.models import Decision
from ferriage.approvals.queries import (
    first_broken_decision,
    judge,
    latest_decision,
    party_facts,
)
from ferriage.core import chain

if TYPE_CHECKING:
    from datetime import datetime

    from register_office import Register


def decide(register: Register, *, at: datetime | None = None, subject: str = "ln_1") -> Decision:
    asked = replace(line("XD", "XD", "XD"), operator=party_facts(register.party))
    now = at or register.now
    verdict = judge(line=asked, at=now)
    return actions.write_decision(subject=subject, line=asked, verdict=verdict, now=now)


def test_decision_records_verdict_inputs_and_packs(register: Register) -> None:
    denied = decide(register)
    register.in_force()
    allowed = decide(register, subject="ord_1")
    assert (denied.allowed, allowed.allowed) == (False, True)
    assert [reason["slug"] for reason in denied.reasons] == ["approval-missing"] * 3
    assert (allowed.subject, allowed.line_code, allowed.reasons) == ("ord_1", "ln_1", [])
    assert allowed.packs == register.law.versions
    assert denied.inputs_digest != allowed.inputs_digest
    assert (allowed.sequence, allowed.previous_hash) == (2, denied.hash)
    assert latest_decision() == allowed


def test_same_inputs_have_the_same_digest(register: Register) -> None:
    assert decide(register).inputs_digest == decide(register).inputs_digest


def test_chain_of_decisions_verifies(register: Register) -> None:
    for _ in range(3):
        decide(register)
    assert first_broken_decision() is None
    assert Decision.objects.get(sequence=1).previous_hash == chain.GENESIS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("allowed", True),
        ("subject", "ln_2"),
        ("line_code", "ln_2"),
        ("inputs_digest", "0" * 64),
        ("packs", {}),
        ("reasons", []),
        ("previous_hash", "1" * 64),
        ("hash", "1" * 64),
        ("sequence", 9),
    ],
)
def test_altered_decision_is_found_and_named(register: Register, field: str, value: Any) -> None:
    decide(register)
    altered = decide(register)
    decide(register)
    _without_triggers()
    Decision.objects.filter(pk=altered.pk).update(**{field: value})
    broken = first_broken_decision()
    assert broken is not None
    assert broken.pk == altered.pk if field != "sequence" else broken.sequence == 3


def test_altered_instants_are_found(register: Register) -> None:
    decision = decide(register)
    _without_triggers()
    for field in ("at", "valid_until"):
        later = {field: getattr(decision, field) + timedelta(microseconds=1)}
        Decision.objects.filter(pk=decision.pk).update(**later)
        assert first_broken_decision() == decision
        Decision.objects.filter(pk=decision.pk).update(**{field: getattr(decision, field)})
        assert first_broken_decision() is None


@pytest.mark.parametrize(
    "statement",
    ["UPDATE approvals_decision SET allowed = NOT allowed", "DELETE FROM approvals_decision"],
)
def test_database_refuses_to_rewrite_decisions(register: Register, statement: str) -> None:
    decide(register)
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert first_broken_decision() is None


def test_clock_far_behind_the_newest_decision_stops_everything(register: Register) -> None:
    decide(register)
    behind = register.now - timedelta(seconds=300)
    decide(register, at=behind)
    with pytest.raises(actions.ClockBehind):
        decide(register, at=behind - timedelta(microseconds=1) - timedelta(seconds=300))
    assert Decision.objects.count() == 2


def test_clock_check_alone_writes_nothing(register: Register) -> None:
    actions.check_clock(now=register.now)
    decide(register)
    actions.check_clock(now=register.now - timedelta(seconds=300))
    with pytest.raises(actions.ClockBehind):
        actions.check_clock(now=register.now - timedelta(seconds=301))


def _without_triggers() -> None:
    """Take the triggers away, as somebody with the database file could."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE approvals_decision DISABLE TRIGGER USER")
        else:
            cursor.execute("DROP TRIGGER approvals_decision_no_update")
