"""A provider's own words about money are added and never changed."""

from django.db import migrations

from ferriage.core.triggers import append_only


class Migration(migrations.Migration):
    dependencies = [("payments", "0007_reconciled")]
    operations = [append_only("payments_settlementline")]
