"""A slot or a pack may be taken away alone: a kind of period. No table changes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("plans", "0008_quota")]
    operations = [
        migrations.AlterField(
            "period",
            "kind",
            models.CharField(
                max_length=8,
                choices=[
                    ("purchase", "Purchase"),
                    ("gift", "Gift"),
                    ("grant", "Grant"),
                    ("cut", "Cut"),
                    ("freeze", "Freeze"),
                    ("slot", "Slot"),
                    ("pack", "Pack"),
                    ("revoke", "Revoke"),
                ],
            ),
        ),
    ]
