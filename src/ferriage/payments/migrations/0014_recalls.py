"""Disputes without a provider: what a bank took back."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

from ferriage.core.triggers import rebuilding


class Migration(migrations.Migration):
    dependencies = [("payments", "0013_money_kept")]
    operations = rebuilding(
        "payments_dispute",
        migrations.AlterField(
            "dispute",
            "account",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.provideraccount",
            ),
        ),
        migrations.AlterField(
            "dispute",
            "state",
            models.CharField(
                choices=[
                    ("open", "open"),
                    ("won", "won"),
                    ("lost", "lost"),
                    ("void", "not of this payment"),
                ],
                default="open",
                max_length=4,
            ),
        ),
        migrations.RemoveConstraint("dispute", "payments_dispute_closed_whole"),
        migrations.AddConstraint(
            "dispute",
            models.CheckConstraint(
                condition=Q(state="open", closed_at__isnull=True)
                | Q(state__in=["won", "lost"], closed_at__isnull=False)
                | Q(state="void", closed_at__isnull=False, account=None),
                name="payments_dispute_closed_whole",
            ),
        ),
        migrations.AddConstraint(
            "dispute",
            models.UniqueConstraint(
                fields=["reference"],
                condition=Q(account=None) & ~Q(state="void"),
                name="payments_dispute_recall_once",
            ),
        ),
    )
