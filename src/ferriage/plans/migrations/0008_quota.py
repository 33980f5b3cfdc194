"""A plan's quota, where its months are counted from, and packs of data among the periods."""

from django.db import migrations, models
from django.db.models import F, Q

from ferriage.core.triggers import append_only, rebuilding

ONCE = """
(source_code = NEW.source_code AND kind = NEW.kind AND (kind IN ('purchase', 'slot', 'pack')
OR (kind = 'freeze' AND (ends_at IS NULL) = (NEW.ends_at IS NULL))))
"""


def append_only_again(apps, editor):
    """SQLite's rule against replacing a row names what is unique; PostgreSQL needs none."""
    if editor.connection.vendor == "sqlite":
        for what in ("update", "delete", "replace"):
            editor.execute(f"DROP TRIGGER IF EXISTS plans_period_no_{what}", params=None)
        append_only("plans_period", once=ONCE).code(apps, editor)


def count_from_anchor(apps, _editor):
    """Whoever has a subscription has the months of a quota counted as those of its terms are."""
    apps.get_model("plans", "Subscription").objects.update(quota_anchor_at=F("anchor_at"))


class Migration(migrations.Migration):
    dependencies = [("plans", "0007_addons_and_changes")]
    operations = [
        *rebuilding(
            "plans_plan",
            migrations.AddField("plan", "quota_bytes", models.PositiveBigIntegerField(null=True)),
            migrations.AddConstraint(
                "plan",
                models.CheckConstraint(
                    condition=Q(quota_bytes__isnull=True) | Q(quota_bytes__gte=1_000_000),
                    name="plans_plan_quota",
                ),
            ),
        ),
        *rebuilding(
            "plans_subscription",
            migrations.AddField("subscription", "quota_anchor_at", models.DateTimeField(null=True)),
            migrations.RunPython(count_from_anchor),
            migrations.AlterField("subscription", "quota_anchor_at", models.DateTimeField()),
        ),
        migrations.AlterField(
            "addonprice",
            "kind",
            models.CharField(
                max_length=12,
                choices=[
                    ("device_slot", "place for one more device"),
                    ("quota_pack", "more data for a month"),
                ],
            ),
        ),
        migrations.AddField("addonprice", "quota_bytes", models.PositiveBigIntegerField(null=True)),
        migrations.AddConstraint(
            "addonprice",
            models.CheckConstraint(
                condition=Q(kind="quota_pack", quota_bytes__gte=1_000_000)
                | (~Q(kind="quota_pack") & Q(quota_bytes__isnull=True)),
                name="plans_addonprice_bytes",
            ),
        ),
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
                ],
            ),
        ),
        migrations.AddField("period", "quota_bytes", models.PositiveBigIntegerField(null=True)),
        migrations.AddConstraint(
            "period",
            models.UniqueConstraint(
                condition=Q(kind="pack"), fields=("source_code",), name="plans_period_pack_once"
            ),
        ),
        migrations.AddConstraint(
            "period",
            models.CheckConstraint(
                condition=Q(kind="pack", quota_bytes__gt=0)
                | (~Q(kind="pack") & Q(quota_bytes__isnull=True)),
                name="plans_period_pack_bytes",
            ),
        ),
        migrations.RunPython(append_only_again),
    ]
