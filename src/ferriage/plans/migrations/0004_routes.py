from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("plans", "0003_lapse")]
    operations = [
        migrations.AddField("plan", "routes", models.JSONField(default=list)),
    ]
