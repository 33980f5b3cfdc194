from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("fleet", "0011_sibling_pools")]
    operations = [
        migrations.AddField(
            model_name="gateway",
            name="checked_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="gateway",
            name="checks",
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name="gateway",
            name="outward_address",
            field=models.CharField(blank=True, db_default="", max_length=45),
        ),
        migrations.AddField(
            model_name="gateway",
            name="probe",
            field=models.CharField(
                blank=True,
                choices=[
                    ("answered", "answered"),
                    ("silent", "silent"),
                    ("unsent", "could not be sent"),
                ],
                db_default="",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="gateway",
            name="probed_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="gateway",
            name="spoken",
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="poolcurrent",
            name="needs",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddIndex(
            model_name="poolcurrent",
            index=models.Index(
                condition=models.Q(("needs__gt", 0)),
                fields=["pool", "needs"],
                name="fleet_poolcurrent_needs",
            ),
        ),
        migrations.AddConstraint(
            model_name="gateway",
            constraint=models.CheckConstraint(
                condition=models.Q(("probe__in", ["", "answered", "silent", "unsent"])),
                name="fleet_gateway_probe",
            ),
        ),
    ]
