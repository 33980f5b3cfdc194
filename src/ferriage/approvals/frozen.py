"""What the database itself refuses of the records: SQL for SQLite and PostgreSQL alike.

An approval's row is written in steps, and each step may write only what is its own: the number
and dates come with the grant, the second person's name after it, and the state moves forward.
Lines of its scope come with the draft, evidence before the verification. So a record that counts
says for ever what two people saw. Nothing recorded is deleted.

SQLite loses the triggers of a table that Django rebuilds, and refuses to rebuild one that another
table's trigger names: a later migration that does so stands between `frozen.lift()` and
`frozen.install()`.

Source: docs/decisions/0013-records-by-versions.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import migrations

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

MOVES: Final = (
    ("draft", "lodged"),
    ("draft", "granted"),
    ("draft", "superseded"),
    ("lodged", "granted"),
    ("lodged", "refused"),
    ("lodged", "revoked"),
    ("lodged", "superseded"),
    ("granted", "suspended"),
    ("granted", "revoked"),
    ("granted", "surrendered"),
    ("granted", "superseded"),
    ("suspended", "granted"),
    ("suspended", "revoked"),
    ("suspended", "surrendered"),
)
"""Every way from one state of an approval to another. The last states of a record have none."""

_WRITTEN_ONCE: Final = (
    "id",
    "code",
    "kind",
    "holder_id",
    "conditions",
    "capacity",
    "customers",
    "supersedes_id",
    "is_correction",
    "correction_reason",
    "created_at",
)
_OF_THE_GRANT: Final = ("number", "issued_on", "valid_from", "valid_to")
_OF_A_DETERMINATION: Final = (
    "id",
    "code",
    "party_id",
    "place",
    "role",
    "customer_class",
    "use",
    "line_code",
    "answer",
    "kinds",
    "grade",
    "reasoning",
    "source_title",
    "source_clause",
    "source_read_on",
    "author_name",
    "statement",
    "made_at",
    "made_on",
    "review_by",
    "entered_by",
)

_OF_A_REPAIR: Final = (
    "id",
    "code",
    "first_sequence",
    "last_sequence",
    "last_hash",
    "reason",
    "proposed_by",
    "proposed_at",
)


def _changed(*columns: str) -> str:
    """Return SQL that is true when one of the columns changes; `IS_NOT` is each engine's own."""
    return "(" + " OR ".join(f"NEW.{name} IS_NOT OLD.{name}" for name in columns) + ")"


_MOVES_SQL: Final = ", ".join(f"'{before}>{after}'" for before, after in MOVES)

APPROVAL_UPDATE: Final = f"""
{_changed(*_WRITTEN_ONCE)}
OR ({_changed("state")} AND OLD.state || '>' || NEW.state NOT IN ({_MOVES_SQL}))
OR ({_changed(*_OF_THE_GRANT)} AND NOT (OLD.state IN ('draft', 'lodged') AND NEW.state = 'granted'))
OR ({_changed("lodged_at")} AND NOT (OLD.state = 'draft' AND NEW.state = 'lodged'))
OR ({_changed("entered_by")} AND NOT (OLD.state <> 'granted' AND NEW.state = 'granted'))
OR ({_changed("verified_by", "verified_at")} AND NOT (
    (OLD.state = 'granted' AND NEW.state = 'granted' AND OLD.verified_by = ''
     AND NEW.verified_by <> '' AND NEW.verified_at IS NOT NULL)
    OR (OLD.state = 'suspended' AND NEW.state = 'granted')
))
OR (OLD.state = 'suspended' AND NEW.state = 'granted'
    AND (NEW.verified_by <> '' OR NEW.verified_at IS NOT NULL))
"""
"""True of a change that no step makes."""

APPROVAL_INSERT: Final = """
EXISTS (SELECT 1 FROM approvals_approval AS other WHERE other.id = NEW.id OR other.code = NEW.code
        OR (other.is_correction AND NEW.is_correction AND other.supersedes_id = NEW.supersedes_id))
OR NEW.state <> 'draft' OR NEW.verified_by <> '' OR NEW.verified_at IS NOT NULL OR NEW.number <> ''
"""
"""True of a row that does not begin as a draft, or that SQLite would put in another's place."""

SCOPE_INSERT: Final = """
EXISTS (SELECT 1 FROM approvals_approvalline AS other WHERE other.id = NEW.id
        OR (other.approval_id = NEW.approval_id AND other.line_code = NEW.line_code))
OR NOT EXISTS (SELECT 1 FROM approvals_approval WHERE id = NEW.approval_id AND state = 'draft')
"""
"""True of a line that is added to the scope of what was lodged or granted already."""

EVIDENCE_INSERT: Final = """
EXISTS (SELECT 1 FROM approvals_approval WHERE id = NEW.approval_id AND verified_by <> '')
"""
"""True of a file that the person who verified cannot have seen."""

DETERMINATION_INSERT: Final = """
EXISTS (SELECT 1 FROM approvals_determination AS other
        WHERE other.id = NEW.id OR other.code = NEW.code)
"""
"""True of a row that SQLite would put in another's place."""

DETERMINATION_UPDATE: Final = f"""
{_changed(*_OF_A_DETERMINATION)} OR ({_changed("ended_at")} AND OLD.ended_at IS NOT NULL)
"""
"""True of a change that is not its end, or that moves an end."""


REPAIR_INSERT: Final = """
EXISTS (SELECT 1 FROM approvals_clockrepair AS other
        WHERE other.id = NEW.id OR other.code = NEW.code)
OR NEW.confirmed_by <> '' OR NEW.dropped_at IS NOT NULL
"""
"""True of a clock repair that does not begin as one person's proposal."""

REPAIR_UPDATE: Final = f"""
{_changed(*_OF_A_REPAIR)} OR OLD.confirmed_by <> '' OR OLD.dropped_at IS NOT NULL
"""
"""True of a change of a clock repair that is not its confirmation or its end."""

ALWAYS: Final = "1 = 1"
_CORRECTED: Final = "a recorded approval is corrected by a new version only"
_SCOPE: Final = "the scope of an approval is written with its draft"
_ENDED: Final = "a determination can only be ended"
_REPAIR: Final = "a clock repair is proposed by one person and confirmed by another, once"

REFUSED: Final = (
    ("approvals_approval", "INSERT", APPROVAL_INSERT, "an approval begins as a draft of its own"),
    ("approvals_approval", "UPDATE", APPROVAL_UPDATE, _CORRECTED),
    ("approvals_approval", "DELETE", ALWAYS, _CORRECTED),
    ("approvals_approvalline", "INSERT", SCOPE_INSERT, _SCOPE),
    ("approvals_approvalline", "UPDATE", ALWAYS, _SCOPE),
    ("approvals_approvalline", "DELETE", ALWAYS, _SCOPE),
    (
        "approvals_evidence",
        "INSERT",
        EVIDENCE_INSERT,
        "a verified approval takes no more evidence",
    ),
    ("approvals_determination", "INSERT", DETERMINATION_INSERT, _ENDED),
    ("approvals_determination", "UPDATE", DETERMINATION_UPDATE, _ENDED),
    ("approvals_determination", "DELETE", ALWAYS, _ENDED),
    ("approvals_clockrepair", "INSERT", REPAIR_INSERT, _REPAIR),
    ("approvals_clockrepair", "UPDATE", REPAIR_UPDATE, _REPAIR),
    ("approvals_clockrepair", "DELETE", ALWAYS, _REPAIR),
)
"""Table, event, when it is refused, and what the database says then."""

_SQLITE: Final = """
CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {when}
BEGIN SELECT RAISE(ABORT, '{message}'); END
"""
_POSTGRES_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION ferriage_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {when} THEN RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation'; END IF;
    RETURN NEW;
END $$
"""
_POSTGRES: Final = """
CREATE OR REPLACE TRIGGER {name} BEFORE {event} ON {table}
FOR EACH ROW EXECUTE FUNCTION ferriage_{name}()
"""
_POSTGRES_TRUNCATE: Final = """
CREATE OR REPLACE TRIGGER {table}_refuses_truncate BEFORE TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION ferriage_append_only()
"""


def install() -> migrations.RunPython:
    """Return an operation after which the database refuses all this; it may be repeated."""

    def forwards(_apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        statements = {"sqlite": _sqlite, "postgresql": _postgres}[editor.connection.vendor]
        for statement in statements():
            editor.execute(statement, params=None)

    return migrations.RunPython(forwards)


def lift() -> migrations.RunPython:
    """Return an operation after which SQLite can rebuild the tables; `install` must follow."""

    def forwards(_apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        if editor.connection.vendor == "sqlite":
            for table, event, _when, _message in REFUSED:
                editor.execute(f"DROP TRIGGER IF EXISTS {table}_refuses_{event.lower()}", None)

    return migrations.RunPython(forwards)


def _sqlite() -> list[str]:
    statements = []
    for table, event, when, message in REFUSED:
        name = f"{table}_refuses_{event.lower()}"
        condition = when.replace("IS_NOT", "IS NOT")
        statements += [
            f"DROP TRIGGER IF EXISTS {name}",
            _SQLITE.format(name=name, event=event, table=table, when=condition, message=message),
        ]
    return statements


def _postgres() -> list[str]:
    statements = []
    for table, event, when, message in REFUSED:
        name = f"{table}_refuses_{event.lower()}"
        condition = when.replace("IS_NOT", "IS DISTINCT FROM")
        statements += [
            _POSTGRES_FUNCTION.format(name=name, when=condition, message=message),
            _POSTGRES.format(name=name, event=event, table=table),
        ]
    tables = sorted({table for table, event, _when, _message in REFUSED if event == "DELETE"})
    return statements + [_POSTGRES_TRUNCATE.format(table=table) for table in tables]
