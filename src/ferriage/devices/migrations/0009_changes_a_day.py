from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("devices", "0008_used_at")]
    operations = [
        migrations.AddField(
            model_name="device",
            name="language_due_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="device",
            name="rekeyed_on",
            field=models.DateField(null=True),
        ),
        migrations.AddField(
            model_name="device",
            name="rekeyed",
            field=models.PositiveIntegerField(default=0, db_default=0),
        ),
        migrations.AddIndex(
            model_name="device",
            index=models.Index(
                fields=["language_due_at"],
                condition=Q(language_due_at__isnull=False),
                name="devices_language_due",
            ),
        ),
    ]
