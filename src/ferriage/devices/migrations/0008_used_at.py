from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("devices", "0007_spare_time")]
    operations = [
        migrations.AddIndex(
            model_name="usagemonth",
            index=models.Index(fields=["used_at"], name="devices_usagemonth_used"),
        ),
    ]
