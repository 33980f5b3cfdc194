from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("fleet", "0007_draining")]
    operations = [
        migrations.AddField(
            model_name="poolgateway",
            name="deferred",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="poolgateway",
            name="deferred_rev",
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="poolgateway",
            name="deferred_digest",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
    ]
