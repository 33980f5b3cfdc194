from django.db import migrations

from ferriage.core.triggers import append_only


class Migration(migrations.Migration):
    dependencies = [("plans", "0001_initial"), ("core", "0002_triggers")]
    operations = [
        append_only(
            "plans_period",
            once="source_code = NEW.source_code AND kind = 'purchase' AND NEW.kind = 'purchase'",
        )
    ]
