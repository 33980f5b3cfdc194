"""A refund of which a dispute pays a part is replaced by two."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0021_openings")]
    operations = [
        # Words of a choice alone: no table is made anew, and every trigger stays.
        migrations.AlterField(
            "refund",
            "state",
            models.CharField(
                choices=[
                    ("queued", "to be paid"),
                    ("sent", "asked of the provider"),
                    ("by_hand", "to be paid by hand"),
                    ("paid", "paid"),
                    ("replaced", "in two parts"),
                ],
                default="queued",
                max_length=8,
            ),
        ),
    ]
