"""What of a reseller's payment its bank took back for good."""

import django.db.models.deletion
from django.db import migrations, models

import ferriage.core.models
from ferriage.core.triggers import append_only


class Migration(migrations.Migration):
    dependencies = [("payments", "0022_parted_refunds")]
    operations = [
        migrations.CreateModel(
            name="ResellerReturn",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", ferriage.core.models.CodeField("rsr")),
                ("amount_minor", models.BigIntegerField()),
                ("at", models.DateTimeField()),
                (
                    "dispute",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="payments.dispute",
                    ),
                ),
                (
                    "payment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="returns",
                        to="payments.resellerpayment",
                    ),
                ),
            ],
            options={
                "db_table": "payments_resellerreturn",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount_minor__gt", 0)),
                        name="payments_resellerreturn_positive",
                    )
                ],
            },
        ),
        append_only("payments_resellerreturn"),
    ]
