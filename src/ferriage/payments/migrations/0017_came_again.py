"""Which payment brought the money of a recall again, and stands for the one that it took."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

from ferriage.core.triggers import rebuilding, rows_stay


class Migration(migrations.Migration):
    dependencies = [("payments", "0016_rows_stay")]
    operations = [
        *rebuilding(
            "payments_dispute",
            migrations.AddField(
                "dispute",
                "came_again",
                models.ForeignKey(
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="payments.payment",
                ),
            ),
            migrations.AddConstraint(
                "dispute",
                models.UniqueConstraint(
                    fields=["came_again"],
                    condition=Q(came_again__isnull=False),
                    name="payments_dispute_came_again_once",
                ),
            ),
            migrations.AddConstraint(
                "dispute",
                models.CheckConstraint(
                    condition=Q(came_again__isnull=True) | Q(state="won", account=None),
                    name="payments_dispute_came_again_won",
                ),
            ),
        ),
        # They ask for every column that makes a row unique, and here is one more.
        rows_stay("payments_dispute", why="a dispute stays"),
    ]
