"""What became of money that went out twice."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

import ferriage.core.models
from ferriage.core.triggers import append_only


class Migration(migrations.Migration):
    dependencies = [("payments", "0027_payback")]
    operations = [
        migrations.CreateModel(
            name="MadeGood",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", ferriage.core.models.CodeField("mgd")),
                ("amount_minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("reason", models.CharField(blank=True, max_length=200)),
                ("by", models.CharField(max_length=150)),
                ("at", models.DateTimeField()),
                (
                    "payment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="made_good",
                        to="payments.payment",
                    ),
                ),
                (
                    "receipt",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="payments.payment",
                    ),
                ),
            ],
            options={
                "db_table": "payments_madegood",
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(amount_minor__gt=0)
                        & (
                            Q(receipt__isnull=False, reason="")
                            | Q(Q(receipt__isnull=True), ~Q(reason=""))
                        ),
                        name="payments_madegood_whole",
                    )
                ],
            },
        ),
        append_only("payments_madegood"),
    ]
