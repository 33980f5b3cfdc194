"""Taking an opening balance back waits for a second person, too."""

from django.db import migrations, models
from django.db.models import Q

from ferriage.core.triggers import rebuilding


class Migration(migrations.Migration):
    dependencies = [("payments", "0028_made_good")]
    operations = [
        *rebuilding(
            "payments_proposal",
            migrations.AlterField(
                "proposal",
                "kind",
                models.CharField(
                    choices=[
                        ("correction", "undo a posting"),
                        ("credit", "credit money to a balance"),
                        ("refund", "send money back"),
                        ("opening", "opening balance of a customer"),
                        ("take-back", "take an opening balance back"),
                        ("payback", "pay money on a balance back"),
                    ],
                    max_length=10,
                ),
            ),
            migrations.RemoveConstraint("proposal", "payments_proposal_whole"),
            migrations.AddConstraint(
                "proposal",
                models.CheckConstraint(
                    condition=Q(amount_minor__gt=0)
                    & ~Q(entered_by="")
                    & (Q(kind="credit", order__isnull=False) | ~Q(kind="credit"))
                    & (
                        (
                            Q(kind__in=["opening", "take-back", "payback"], balance__isnull=False)
                            & ~Q(reason="")
                        )
                        | Q(~Q(kind__in=["opening", "take-back", "payback"]), balance__isnull=True)
                    ),
                    name="payments_proposal_whole",
                ),
            ),
        ),
    ]
