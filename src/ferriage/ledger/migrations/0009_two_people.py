"""A payout above the limit is queued and noted by two people."""

from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.db.models.lookups import Exact

from ferriage.core.triggers import rebuilding


class Migration(migrations.Migration):
    dependencies = [("ledger", "0008_rowid")]
    operations = rebuilding(
        "ledger_payout",
        migrations.AddField(
            model_name="payout",
            name="needs_second",
            field=models.BooleanField(default=False),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(
                condition=Q(
                    Q(("needs_second", True), ("state", "paid"), _negated=True),
                    Q(Exact(Lower(F("paid_by")), Lower(F("queued_by"))), _negated=True),
                    _connector="OR",
                ),
                name="ledger_payout_two_people",
            ),
        ),
    )
