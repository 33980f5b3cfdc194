from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("fleet", "0010_restored")]
    operations = [
        migrations.AlterField(
            model_name="pool",
            name="line",
            field=models.ForeignKey(
                on_delete=models.deletion.PROTECT, related_name="pools", to="fleet.line"
            ),
        ),
        migrations.AddField(
            model_name="pool",
            name="size_limit",
            field=models.PositiveIntegerField(default=60_000),
        ),
        migrations.AddField(
            model_name="pool",
            name="placed",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddConstraint(
            model_name="pool",
            constraint=models.CheckConstraint(
                condition=models.Q(("placed__lte", models.F("size_limit"))),
                name="fleet_pool_within_limit",
            ),
        ),
    ]
