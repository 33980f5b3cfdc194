from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, connection

from ferriage.core import audit
from ferriage.core.models import AuditEntry

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor

pytestmark = pytest.mark.django_db


def test_entries_form_a_chain_that_verifies(now: datetime, owner: Actor) -> None:
    first = audit.record(now=now, actor=owner, action="order.placed", subject="ord_1", amount=10)
    second = audit.record(now=now, actor=owner, action="order.settled", subject="ord_1")

    assert (first.sequence, second.sequence) == (1, 2)
    assert second.previous_hash == first.hash
    assert audit.first_broken() is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE core_auditentry SET actor_code = 'eve'",
        "DELETE FROM core_auditentry",
    ],
)
def test_database_refuses_to_rewrite_history(now: datetime, owner: Actor, statement: str) -> None:
    audit.record(now=now, actor=owner, action="order.placed", subject="ord_1")

    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite can replace a row")
@pytest.mark.parametrize("same", ["id", "sequence", "hash"])
def test_database_refuses_to_replace_a_row(now: datetime, owner: Actor, same: str) -> None:
    audit.record(now=now, actor=owner, action="order.placed", subject="ord_1")
    columns = {"id": "id + 1", "sequence": "sequence + 1", "hash": "'other'"} | {same: same}

    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(
            "INSERT OR REPLACE INTO core_auditentry (id, sequence, hash, at, actor_kind,"  # noqa: S608 -- the test's own words
            " actor_code, action, subject, details, previous_hash)"
            f" SELECT {columns['id']}, {columns['sequence']}, {columns['hash']}, at, actor_kind,"
            " 'eve', action, subject, details, previous_hash FROM core_auditentry"
        )

    assert AuditEntry.objects.get().actor_code == "olga"


def test_changed_entry_is_found_and_named(now: datetime, owner: Actor) -> None:
    entry = audit.record(now=now, actor=owner, action="order.placed", subject="ord_1", amount=10)
    forged = AuditEntry(
        sequence=2,
        at=now,
        actor_kind="staff",
        action="order.settled",
        previous_hash=entry.hash,
        hash="f" * 64,
    )
    forged.save(force_insert=True)

    assert audit.first_broken() == forged
