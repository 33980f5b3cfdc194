"""Several subscriptions of a service for one account, told apart by a number."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("plans", "0005_hold")]
    operations = [
        migrations.RemoveConstraint("subscription", "plans_subscription_one_per_service"),
        migrations.AddField(
            "subscription", "number", models.PositiveSmallIntegerField(default=1)
        ),
        migrations.AddField(
            "subscription", "label", models.CharField(blank=True, db_default="", max_length=30)
        ),
        migrations.AddConstraint(
            "subscription",
            models.UniqueConstraint(
                fields=["account", "service", "number"], name="plans_subscription_numbered"
            ),
        ),
    ]
