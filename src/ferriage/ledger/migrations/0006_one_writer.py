"""Who adds to the books by SQL waits for whoever writes now, on PostgreSQL.

Two rules ask whether something is there: that a transaction is sealed, and which entry is the last
one. What another connection wrote and has not committed is not seen by them. So they take the
house's one write lock first, which every action has already; a later statement of the same
function then sees what was committed meanwhile, at READ COMMITTED only. SQLite has one writer.
"""

from django.db import migrations

from ferriage.core.triggers import per_vendor

_WRITE_LOCK = 0x46455252  # as core.db.writing takes it
_MESSAGE = "the books are written at READ COMMITTED"
_FUNCTION = f"""
CREATE FUNCTION ledger_one_writer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION '{_MESSAGE}' USING ERRCODE = 'check_violation';
    END IF;
    PERFORM pg_advisory_xact_lock({_WRITE_LOCK});
    RETURN NULL;
END $$
"""
# Before the rules of each row, once for a statement.
_TRIGGER = """
CREATE TRIGGER {table}_one_writer BEFORE INSERT ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION ledger_one_writer()
"""

class Migration(migrations.Migration):
    dependencies = [("ledger", "0005_bill_evidence")]
    operations = [
        per_vendor(
            sqlite=(),
            postgresql=(
                _FUNCTION,
                _TRIGGER.format(table="ledger_transfer"),
                _TRIGGER.format(table="ledger_chainlink"),
            ),
        )
    ]
