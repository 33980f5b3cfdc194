"""Disputes that are told before their money came await it."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("payments", "0019_found_by_ref")]
    operations = [
        migrations.AddField("inboxevent", "awaits", models.CharField(max_length=200, null=True)),
        migrations.AddIndex(
            "inboxevent",
            models.Index(
                condition=Q(awaits__isnull=False),
                fields=["awaits"],
                name="payments_inboxevent_awaits",
            ),
        ),
    ]
