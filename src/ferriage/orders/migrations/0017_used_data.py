"""How a term's month of the quota stood when it began, and how far it counts by its data."""

from django.db import migrations, models
from django.db.models import F, Q

from ferriage.core.triggers import rebuilding


class Migration(migrations.Migration):
    dependencies = [("orders", "0016_rowid")]
    operations = rebuilding(
        "orders_order",
        migrations.AddField("order", "data_from_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "order", "data_before_bytes", models.PositiveBigIntegerField(default=0)
        ),
        migrations.AddField("order", "counts_to_at", models.DateTimeField(null=True)),
        migrations.AddConstraint(
            "order",
            models.CheckConstraint(
                condition=Q(data_before_bytes=0)
                | Q(data_from_at__isnull=False, quota_bytes__isnull=False),
                name="orders_order_data_begun",
            ),
        ),
        migrations.AddConstraint(
            "order",
            models.CheckConstraint(
                condition=Q(counts_to_at__isnull=True)
                | Q(
                    data_from_at__isnull=False,
                    cut_at__isnull=False,
                    counts_to_at__gt=F("cut_at"),
                    counts_to_at__lte=F("period_ends_at"),
                ),
                name="orders_order_counts_to",
            ),
        ),
        migrations.AddIndex(
            "order",
            models.Index(
                fields=["period_starts_at"],
                condition=Q(
                    state="fulfilled",
                    kind__in=["term", "change"],
                    quota_bytes__isnull=False,
                    data_from_at__isnull=True,
                ),
                name="orders_order_to_begin",
            ),
        ),
        migrations.AddIndex(
            "order",
            models.Index(
                fields=["data_from_at"],
                condition=Q(data_before_bytes__gt=0),
                name="orders_order_to_forget",
            ),
        ),
    )
