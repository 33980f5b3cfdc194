"""What payers took back of an order that goes on: a loss, and never owed back."""

from django.db import migrations, models
from django.db.models import F, Q

from ferriage.core.triggers import rebuilding


class Migration(migrations.Migration):
    dependencies = [("orders", "0017_used_data")]
    operations = rebuilding(
        "orders_order",
        migrations.RemoveConstraint("order", "orders_order_amounts"),
        migrations.AddField("order", "lost_minor", models.BigIntegerField(default=0)),
        migrations.AddConstraint(
            "order",
            models.CheckConstraint(
                condition=Q(
                    refund_due_minor__gte=0,
                    moved_minor__gte=0,
                    charged_back_minor__gte=0,
                    lost_minor__gte=0,
                    paid_minor__gte=0,
                    refundable_minor__gte=F("refund_due_minor")
                    + F("moved_minor")
                    + F("charged_back_minor")
                    + F("lost_minor"),
                    amount_minor__gte=F("refundable_minor"),
                ),
                name="orders_order_amounts",
            ),
        ),
    )
