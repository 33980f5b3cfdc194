"""Raw SQL against what is recorded: the database refuses what no step of the house does."""

from __future__ import annotations

from datetime import date
from itertools import product
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, connection, transaction
from register_office import Register

from ferriage.approvals import actions, frozen
from ferriage.approvals.facts import Question
from ferriage.approvals.models import Approval, Determination, Evidence
from tampering import tampering

if TYPE_CHECKING:
    from register_office import Register

STATES = tuple(Approval.State.values)


MESSAGES = {message for _table, _event, _when, message in frozen.REFUSED} | {"is append-only"}


def refused(statement: str, *values: object) -> bool:
    """Run a statement; tell whether one of our triggers refused it."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, values)
    except IntegrityError as error:
        return any(message in str(error) for message in MESSAGES)
    return False


def put(approval: Approval, **values: object) -> None:
    with tampering():
        Approval.objects.filter(pk=approval.pk).update(**values)


@pytest.fixture
def verified(register: Register) -> Approval:
    return register.in_force()


@pytest.mark.parametrize(
    "change",
    [
        "number = 'XD-9'",
        "issued_on = '2026-01-01'",
        "valid_from = '2020-01-01'",
        "valid_to = '2099-12-31'",
        "valid_to = NULL",
        "kind = 'CN-INTL-LINE-LEASE'",
        "holder_id = holder_id + 0 + 1000000",
        "conditions = 'none'",
        "capacity = 'all'",
        "customers = 'everybody'",
        "lodged_at = created_at",
        "entered_by = 'nobody'",
        "verified_by = 'walt'",
        "verified_by = ''",
        "verified_at = '2026-02-01 00:00:00+00:00'",
        "created_at = '2020-01-01 00:00:00+00:00'",
        "code = 'apr_OTHER'",
        "supersedes_id = id",
        "correction_reason = 'x'",
        "state = 'draft'",
        "state = 'lodged'",
        "state = 'refused'",
    ],
)
def test_verified_record_takes_no_change_of_what_it_says(verified: Approval, change: str) -> None:
    assert refused("UPDATE approvals_approval SET " + change)  # noqa: S608 -- ours
    before = (verified.number, verified.valid_to, verified.state)
    verified.refresh_from_db()
    assert (verified.number, verified.valid_to, verified.state) == before


def test_number_and_dates_come_with_the_grant_alone(register: Register) -> None:
    approval = register.record()
    assert refused("UPDATE approvals_approval SET number = 'XD-9'")
    register.grant(approval)
    assert refused("UPDATE approvals_approval SET valid_to = '2099-12-31'")
    assert not refused("UPDATE approvals_approval SET state = 'suspended'")


@pytest.mark.parametrize(("before", "after"), list(product(STATES, STATES)))
def test_state_moves_forward_only(register: Register, before: str, after: str) -> None:
    approval = register.grant(register.record())
    put(approval, state=before)
    stays = before == after
    assert refused("UPDATE approvals_approval SET state = %s", after) is not (
        stays or (before, after) in frozen.MOVES
    )


def test_suspension_ends_only_without_the_verification(verified: Approval) -> None:
    assert not refused("UPDATE approvals_approval SET state = 'suspended'")
    assert refused("UPDATE approvals_approval SET state = 'granted'")
    assert not refused(
        "UPDATE approvals_approval SET state = 'granted', verified_by = '', verified_at = NULL"
    )
    assert verified.verified_by == "vera"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM approvals_approval",
        "DELETE FROM approvals_approvalline",
        "UPDATE approvals_approvalline SET line_code = 'ln_2'",
        (
            "INSERT INTO approvals_approvalline (approval_id, line_code)"
            " SELECT id, 'ln_2' FROM approvals_approval"
        ),
    ],
)
def test_scope_of_a_verified_record_stays(verified: Approval, statement: str) -> None:
    assert refused(statement)
    assert [row.line_code for row in verified.lines.all()] == ["ln_1"]


def test_scope_is_written_with_the_draft_only(register: Register) -> None:
    approval = register.record()
    insert = (
        "INSERT INTO approvals_approvalline (approval_id, line_code)"
        " SELECT id, %s FROM approvals_approval"
    )
    as_draft = refused(insert, "ln_2")
    register.lodge(approval)
    assert (as_draft, refused(insert, "ln_3")) == (False, True)


def test_verified_record_takes_no_more_evidence(register: Register, verified: Approval) -> None:
    with pytest.raises(IntegrityError, match="takes no more evidence"), transaction.atomic():
        Evidence.objects.create(
            sha256="0" * 64,
            title="x",
            media_type="text/plain",
            size_bytes=1,
            uploaded_by="x",
            uploaded_at=register.now,
            approval=verified,
        )
    assert verified.evidence.count() == 1


@pytest.mark.parametrize(
    "values",
    [
        {"state": "granted", "number": "1", "valid_from": date(2026, 1, 1)},
        {"state": "lodged"},
        {"verified_by": "vera"},
        {"number": "1"},
    ],
)
def test_record_begins_as_a_draft(register: Register, values: dict[str, object]) -> None:
    with pytest.raises(IntegrityError, match="begins as a draft"), transaction.atomic():
        Approval.objects.create(
            kind="XD-PUBLIC-VPN",
            holder=register.party,
            entered_by="olga",
            created_at=register.now,
            **values,
        )
    assert Approval.objects.count() == 0


@pytest.fixture
def conclusion(register: Register) -> Determination:
    party = actions.create_party(
        name="Ferry AB", place="SE", now=register.now, actor=register.owner
    )
    (row,) = actions.record_determination(
        party=party,
        asked=actions.Asked(
            questions=(Question("sell", "SE"),), customer_class="public", use="resale"
        ),
        conclusion=actions.Conclusion(
            words="The service falls outside what the act asks to be notified.",
            source_clause="chapter 2",
            source_read_on=date(2026, 2, 27),
            author_name="Astrid Lund",
            statement=True,
        ),
        packs=register.law,
        now=register.now,
        actor=register.owner,
    )
    return row


@pytest.mark.parametrize(
    "change",
    [
        "answer = 'required'",
        "kinds = '[1]'",
        "grade = 'counsel'",
        "reasoning = 'x'",
        "source_clause = 'x'",
        "source_read_on = '2026-03-01'",
        "author_name = 'x'",
        "made_at = '2026-03-02 00:00:00+00:00'",
        "made_on = '2026-02-01'",
        "review_by = '2099-01-01'",
        "place = 'DE'",
        "role = 'exit'",
        "line_code = 'ln_1'",
        "entered_by = 'x'",
    ],
)
def test_determination_takes_no_change_but_its_end(conclusion: Determination, change: str) -> None:
    assert refused("UPDATE approvals_determination SET " + change)  # noqa: S608 -- ours
    assert refused("DELETE FROM approvals_determination")
    end = "UPDATE approvals_determination SET ended_at = "
    assert not refused(f"{end}'2026-03-01 13:00:00+00:00'")
    assert refused(f"{end}NULL")
    assert refused(f"{end}'2026-03-05 13:00:00+00:00'")
    assert Determination.objects.get().answer == conclusion.answer


@pytest.mark.parametrize("table", ["approval", "approvalline", "determination"])
def test_sqlite_puts_no_row_in_anothers_place(
    verified: Approval, conclusion: Determination, table: str
) -> None:
    if connection.vendor == "postgresql":  # has no such statement
        connection.check_constraints()  # nothing of the fixtures' waits any more
        assert refused(f"TRUNCATE approvals_{table} CASCADE")
        return
    name = f"approvals_{table}"
    assert refused(f"INSERT OR REPLACE INTO {name} SELECT * FROM {name}")  # noqa: S608 -- ours
    assert (verified.lines.count(), conclusion.code) == (
        1,
        Determination.objects.get().code,
    )
