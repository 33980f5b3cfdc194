from datetime import timedelta

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0002_place_evidence"), ("plans", "0003_lapse")]
    operations = [
        migrations.AddField(
            model_name="order",
            name="frozen",
            field=models.DurationField(default=timedelta(0)),
        ),
        migrations.AddField(
            model_name="order", name="frozen_from", field=models.DateTimeField(null=True)
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(frozen__gte=timedelta(0)), name="orders_order_frozen_forward"
            ),
        ),
    ]
