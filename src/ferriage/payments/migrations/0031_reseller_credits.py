"""What a reseller is not owed for any more, since a customer did not use up a code of theirs."""

import django.db.models.deletion
from django.db import migrations, models

import ferriage.core.models
from ferriage.core.triggers import append_only


class Migration(migrations.Migration):
    dependencies = [("payments", "0030_passed_on")]
    operations = [
        migrations.CreateModel(
            name="ResellerCredit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", ferriage.core.models.CodeField("rsc")),
                ("amount_minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("unused_bps", models.PositiveIntegerField()),
                ("at", models.DateTimeField()),
                (
                    "refund",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reseller_credit",
                        to="payments.refund",
                    ),
                ),
                (
                    "reseller",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credits",
                        to="payments.reseller",
                    ),
                ),
            ],
            options={
                "db_table": "payments_resellercredit",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount_minor__gt", 0), ("unused_bps__lte", 10000)),
                        name="payments_resellercredit_whole",
                    )
                ],
            },
        ),
        append_only("payments_resellercredit"),
    ]
