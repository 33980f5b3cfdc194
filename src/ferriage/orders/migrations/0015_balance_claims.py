"""What disputes hold of balances as soon as it is free, on more than one balance."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

from ferriage.core.triggers import per_vendor, rebuilding, rows_stay

_TABLE = "orders_balancehold"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial"), ("orders", "0014_rows_stay")]
    operations = [
        migrations.CreateModel(
            name="BalanceClaim",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("source_code", models.CharField(max_length=24, unique=True)),
                ("payment_code", models.CharField(max_length=24)),
                ("most_minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("made_at", models.DateTimeField()),
                ("released_at", models.DateTimeField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
                (
                    "order",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orders.order",
                    ),
                ),
            ],
            options={
                "db_table": "orders_balanceclaim",
                "indexes": [
                    models.Index(
                        fields=["account"],
                        condition=Q(released_at=None),
                        name="orders_balanceclaim_open",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(most_minor__gt=0), name="orders_balanceclaim_positive"
                    )
                ],
            },
        ),
        rows_stay("orders_balanceclaim", why="what was disputed of a balance stays"),
        *rebuilding(
            _TABLE,
            migrations.AlterField("balancehold", "source_code", models.CharField(max_length=24)),
            migrations.AddConstraint(
                "balancehold",
                models.UniqueConstraint(
                    fields=["source_code", "balance"], name="orders_balancehold_once"
                ),
            ),
        ),
        # The triggers of before look for rows of the same `source_code`.
        per_vendor(
            sqlite=(),
            postgresql=tuple(
                f"DROP TRIGGER {_TABLE}_{name} ON {_TABLE}" for name in ("row_stays", "rows_stay")
            ),
        ),
        rows_stay(_TABLE, why="what was held of a balance stays"),
    ]
