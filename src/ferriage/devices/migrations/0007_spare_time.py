from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("devices", "0006_set_aside")]
    operations = [
        migrations.AddField(
            model_name="incarnation",
            name="spare_ms",
            field=models.PositiveIntegerField(default=60_000),
        ),
    ]
