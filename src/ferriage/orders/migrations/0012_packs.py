"""What an order's plan gives in a month, and what of a quota pack was used."""

from django.db import migrations, models
from django.db.models import F, Q

from ferriage.core.triggers import per_vendor, rebuilding
from ferriage.orders.rules import POSTGRES_QUOTA, rules_of_orders


class Migration(migrations.Migration):
    dependencies = [("orders", "0011_charged_back"), ("plans", "0008_quota")]
    operations = [
        *rebuilding(
            "orders_order",
            migrations.AddField("order", "quota_bytes", models.PositiveBigIntegerField(null=True)),
            migrations.AddField("order", "used_bytes", models.PositiveBigIntegerField(default=0)),
            migrations.AddConstraint(
                "order",
                models.CheckConstraint(
                    condition=Q(used_bytes=0) | Q(kind="addon", used_bytes__lte=F("quota_bytes")),
                    name="orders_order_pack_used",
                ),
            ),
        ),
        rules_of_orders(),
        per_vendor(sqlite=(), postgresql=POSTGRES_QUOTA),
    ]
