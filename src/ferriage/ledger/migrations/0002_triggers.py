"""Append-only books, and transfers that never cross currencies, kept so by the database."""

from django.db import migrations

from ferriage.core.triggers import append_only, per_vendor

_SQLITE = """
CREATE TRIGGER ledger_transfer_one_currency BEFORE INSERT ON ledger_transfer
WHEN EXISTS (
    SELECT 1 FROM ledger_account
    WHERE id IN (NEW.debit_id, NEW.credit_id) AND currency <> NEW.currency
)
BEGIN SELECT RAISE(ABORT, 'a transfer stays within one currency'); END
"""
_FUNCTION = """
CREATE FUNCTION ledger_transfer_one_currency() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM ledger_account
        WHERE id IN (NEW.debit_id, NEW.credit_id) AND currency <> NEW.currency
    ) THEN
        RAISE EXCEPTION 'a transfer stays within one currency' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""
_TRIGGER = """
CREATE TRIGGER ledger_transfer_one_currency BEFORE INSERT ON ledger_transfer
FOR EACH ROW EXECUTE FUNCTION ledger_transfer_one_currency()
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial"), ("core", "0002_triggers")]
    operations = [
        append_only("ledger_account"),
        append_only("ledger_transaction"),
        append_only("ledger_transfer"),
        per_vendor(sqlite=(_SQLITE,), postgresql=(_FUNCTION, _TRIGGER)),
    ]
