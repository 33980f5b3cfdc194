"""What is owed for an order that a gift's code paid goes on to whoever gave it."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0029_openings_back")]
    operations = [
        # Words of choices, and a column that may be null: no table is made anew, and every trigger
        # stays.
        migrations.AlterField(
            "refund",
            "kind",
            models.CharField(
                choices=[
                    ("not_settled", "Not Settled"),
                    ("unallocated", "Unallocated"),
                    ("ended", "Ended"),
                    ("topup", "Topup"),
                    ("balance", "Balance"),
                    ("gift", "Gift"),
                ],
                max_length=12,
            ),
        ),
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
                    ("passed", "passed on to whoever paid for the code"),
                ],
                default="queued",
                max_length=8,
            ),
        ),
        migrations.AddField(
            "refund",
            "passed_from",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="passed_to",
                to="payments.refund",
            ),
        ),
    ]
