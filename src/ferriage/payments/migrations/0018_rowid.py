"""Rows stay where an UPDATE names their id by another word: SQLite calls it `rowid`, too."""

from django.db import migrations

from ferriage.core.triggers import rows_stay


class Migration(migrations.Migration):
    dependencies = [("payments", "0017_came_again")]
    operations = [
        rows_stay(
            "payments_payment",
            why="money that came stays as it came",
            kept="\"state\" = 'captured'",
        ),
        rows_stay("payments_refund", why="what is owed back stays as it was queued"),
        rows_stay("payments_handreceipt", why="what was typed and confirmed does not change"),
        rows_stay("payments_proposal", why="what was proposed and confirmed does not change"),
        # A line that a second file brings again is skipped.
        rows_stay(
            "payments_statementline", why="what the bank said does not change", on_insert="skip"
        ),
    ]
