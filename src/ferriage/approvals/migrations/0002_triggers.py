from django.db import migrations

from ferriage.core.triggers import append_only


class Migration(migrations.Migration):
    dependencies = [("approvals", "0001_initial")]
    operations = [append_only("approvals_decision"), append_only("approvals_evidence")]
