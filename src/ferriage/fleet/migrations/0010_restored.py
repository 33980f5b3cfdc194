from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("fleet", "0009_alarms")]
    operations = [
        migrations.AddField(
            model_name="poolgateway",
            name="waiting",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="poolgateway",
            name="waiting_rev",
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="poolgateway",
            name="waiting_digest",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.AddField(
            model_name="poolgateway",
            name="since",
            field=models.JSONField(default=list),
        ),
    ]
