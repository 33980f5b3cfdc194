"""What disputes hold of a balance."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("orders", "0012_packs")]
    operations = [
        migrations.CreateModel(
            name="BalanceHold",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("amount_minor", models.BigIntegerField()),
                ("source_code", models.CharField(max_length=24, unique=True)),
                ("made_at", models.DateTimeField()),
                ("released_at", models.DateTimeField(null=True)),
                (
                    "balance",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="holds",
                        to="orders.balance",
                    ),
                ),
            ],
            options={
                "db_table": "orders_balancehold",
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(amount_minor__gt=0), name="orders_balancehold_positive"
                    )
                ],
            },
        ),
    ]
