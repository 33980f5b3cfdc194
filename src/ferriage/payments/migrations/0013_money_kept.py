"""Money that came and money that goes back stays as it was written, whoever writes SQL.

SQLite drops the triggers of a table that Django rebuilds: a migration that adds a constraint to one
of the two writes them again.
"""

from django.db import migrations

from ferriage.core.triggers import per_vendor

_CAME = ("provider", "transaction_id", "received_minor", "currency", "captured_at", "state")
_OWED = ("code", "kind", "payment_id", "amount_minor", "currency", "created_at")
_MESSAGES = {
    "payments_payment": "money that came stays as it came",
    "payments_refund": "what is owed back stays as it was queued",
}
_CHANGED = {
    "payments_payment": "OLD.state = 'captured' AND ("
    + " OR ".join(f"NEW.{name} <> OLD.{name} OR NEW.{name} IS NULL" for name in _CAME)
    + ")",
    "payments_refund": " OR ".join(f"NEW.{name} <> OLD.{name}" for name in _OWED),
}
_KEPT = {"payments_payment": "OLD.state = 'captured'", "payments_refund": "OLD.id IS NOT NULL"}
# INSERT OR REPLACE deletes the row in its way without asking a trigger for DELETE.
_SAME = {
    "payments_payment": """
        old.state = 'captured' AND (
            old.id = NEW.id OR old.code = NEW.code OR old.reference = NEW.reference
            OR (old.provider = NEW.provider AND old.transaction_id = NEW.transaction_id)
            OR (old.account_id = NEW.account_id AND old.provider_ref = NEW.provider_ref
                AND NEW.provider_ref <> '')
            OR (old.order_id = NEW.order_id AND old.outcome = 'settled'
                AND NEW.state = 'captured' AND NEW.outcome = 'settled')
        )
    """,
    "payments_refund": "old.id = NEW.id OR old.code = NEW.code",
}


def sqlite(table):
    refuse = f"BEGIN SELECT RAISE(ABORT, '{_MESSAGES[table]}'); END"
    yield f"CREATE TRIGGER {table}_stays BEFORE UPDATE ON {table} WHEN {_CHANGED[table]} {refuse}"
    yield f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} WHEN {_KEPT[table]} {refuse}"
    yield (
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}"
        f" WHEN EXISTS (SELECT 1 FROM {table} AS old WHERE {_SAME[table]}) {refuse}"
    )


def postgresql(table):
    refuse = f"RAISE EXCEPTION '{_MESSAGES[table]}' USING ERRCODE = 'check_violation';"
    yield f"""
    CREATE FUNCTION {table}_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN {refuse} END IF;
        IF TG_OP = 'DELETE' THEN
            IF {_KEPT[table]} THEN {refuse} END IF;
            RETURN OLD;
        END IF;
        IF {_CHANGED[table]} THEN {refuse} END IF;
        RETURN NEW;
    END $$
    """
    yield (
        f"CREATE TRIGGER {table}_stays BEFORE UPDATE OR DELETE ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION {table}_stays()"
    )
    yield (
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_stays()"
    )


class Migration(migrations.Migration):
    dependencies = [("payments", "0012_receipts")]
    operations = [
        per_vendor(
            sqlite=tuple(statement for table in _MESSAGES for statement in sqlite(table)),
            postgresql=tuple(statement for table in _MESSAGES for statement in postgresql(table)),
        )
    ]
