"""Indexes for the history of a line and the counts of a month. No table is rebuilt."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0005_records")]

    operations = [
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(fields=["line_code", "sequence"], name="approvals_decision_line"),
        ),
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(
                fields=["at", "allowed", "line_code"], name="approvals_decision_month"
            ),
        ),
    ]
