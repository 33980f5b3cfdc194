"""Rows stay where an UPDATE names their id by another word: SQLite calls it `rowid`, too."""

from django.db import migrations

from ferriage.core.triggers import rows_stay


class Migration(migrations.Migration):
    dependencies = [("ledger", "0007_rows_stay")]
    operations = [
        # A posting adds to the sum of its month on conflict.
        rows_stay("ledger_monthflow", why="the sum of a month stays", on_insert="same id"),
        rows_stay(
            "ledger_payout",
            why="a payout that was paid or cancelled stays",
            kept="\"state\" <> 'queued'",
        ),
    ]
