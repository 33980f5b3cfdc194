import django.db.models.deletion
from django.db import migrations, models

import ferriage.core.models
from ferriage.core.triggers import append_only

ONCE = """
(source_code = NEW.source_code AND kind = NEW.kind AND (kind = 'purchase'
OR (kind = 'freeze' AND (ends_at IS NULL) = (NEW.ends_at IS NULL))))
"""


def append_only_again(apps, editor):
    """SQLite loses a table's triggers when a constraint changes; PostgreSQL keeps them."""
    if editor.connection.vendor == "sqlite":
        append_only("plans_period", once=ONCE).code(apps, editor)


class Migration(migrations.Migration):
    dependencies = [("plans", "0002_triggers")]
    operations = [
        migrations.AlterField(
            model_name="period",
            name="kind",
            field=models.CharField(
                choices=[
                    ("purchase", "Purchase"),
                    ("gift", "Gift"),
                    ("grant", "Grant"),
                    ("cut", "Cut"),
                    ("freeze", "Freeze"),
                ],
                max_length=8,
            ),
        ),
        migrations.RemoveConstraint(model_name="period", name="plans_period_forward"),
        migrations.AddConstraint(
            model_name="period",
            constraint=models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at"))
                | models.Q(ends_at__isnull=True, kind__in=["grant", "cut", "freeze"]),
                name="plans_period_forward",
            ),
        ),
        migrations.AddConstraint(
            model_name="period",
            constraint=models.UniqueConstraint(
                condition=models.Q(ends_at__isnull=True, kind="freeze"),
                fields=("source_code",),
                name="plans_period_frozen_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="period",
            constraint=models.UniqueConstraint(
                condition=models.Q(ends_at__isnull=False, kind="freeze"),
                fields=("source_code",),
                name="plans_period_thawed_once",
            ),
        ),
        migrations.RunPython(append_only_again),
        migrations.CreateModel(
            name="Lapse",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", ferriage.core.models.CodeField("lps")),
                ("lapsed_at", models.DateTimeField()),
                ("noticed_at", models.DateTimeField()),
                ("due_at", models.DateTimeField(null=True)),
                (
                    "choice",
                    models.CharField(
                        blank=True, choices=[("", "None"), ("wait", "Wait")], max_length=4
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "Open"),
                            ("resumed", "Resumed"),
                            ("moved", "Moved"),
                            ("refunded", "Refunded"),
                            ("ended", "Ended"),
                        ],
                        max_length=8,
                    ),
                ),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="plans.plan",
                    ),
                ),
                (
                    "subscription",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lapses",
                        to="plans.subscription",
                    ),
                ),
            ],
            options={
                "db_table": "plans_lapse",
                "indexes": [
                    models.Index(
                        condition=models.Q(ended_at__isnull=True),
                        fields=["due_at"],
                        name="plans_lapse_due",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(ended_at__isnull=True),
                        fields=("subscription",),
                        name="plans_lapse_one_at_a_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(ended_at__isnull=True, outcome="")
                        | models.Q(ended_at__isnull=False, ended_at__gt=models.F("lapsed_at"))
                & ~models.Q(outcome=""),
                        name="plans_lapse_ended_whole",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(due_at__isnull=True)
                        | models.Q(due_at__gt=models.F("lapsed_at")),
                        name="plans_lapse_due_later",
                    ),
                ],
            },
        ),
    ]
