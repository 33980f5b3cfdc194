from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("plans", "0002_triggers")]
    operations = [
        migrations.AddField("plan", "routes", models.JSONField(default=list)),
    ]
