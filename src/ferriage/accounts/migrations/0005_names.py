"""Log-in names are told apart by more than capitals: the second person must be another one."""

from django.db import migrations

_INDEX = "CREATE UNIQUE INDEX accounts_staff_name ON auth_user (lower(username))"


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_labels"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]
    operations = [
        migrations.RunSQL(_INDEX, "DROP INDEX accounts_staff_name"),
    ]
