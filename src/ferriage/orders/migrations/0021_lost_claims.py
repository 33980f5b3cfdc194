"""What a lost dispute did not find stays a claim, until it comes to a balance."""

from django.db import migrations, models
from django.db.models import F, Q

from ferriage.core.triggers import rebuilding


class Migration(migrations.Migration):
    dependencies = [("orders", "0020_gift")]
    operations = rebuilding(
        "orders_balanceclaim",
        migrations.AddField("balanceclaim", "lost_minor", models.BigIntegerField(default=0)),
        migrations.AddField("balanceclaim", "found_minor", models.BigIntegerField(default=0)),
        migrations.AddConstraint(
            "balanceclaim",
            models.CheckConstraint(
                condition=Q(
                    found_minor__gte=0,
                    lost_minor__gte=F("found_minor"),
                    most_minor__gte=F("lost_minor"),
                ),
                name="orders_balanceclaim_found_of_lost",
            ),
        ),
    )
