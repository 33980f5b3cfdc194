from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("fleet", "0006_labels")]
    operations = [
        migrations.AddField(
            model_name="gateway",
            name="draining_at",
            field=models.DateTimeField(null=True),
        ),
    ]
