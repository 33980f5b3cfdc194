import django.db.models.deletion
from django.db import migrations, models

from ferriage.core.triggers import append_only, per_vendor

# The law in force never goes back to an older version, whatever writes the row.
NEWER_ACCEPTED = """
SELECT 1 FROM approvals_packacceptance AS accepted
JOIN approvals_packversion AS older ON older.id = accepted.pack_id
JOIN approvals_packversion AS wanted ON wanted.id = NEW.pack_id
WHERE older.place = wanted.place AND older.id >= wanted.id
"""

SQLITE = f"""
CREATE TRIGGER approvals_packacceptance_forwards BEFORE INSERT ON approvals_packacceptance
WHEN EXISTS ({NEWER_ACCEPTED})
BEGIN SELECT RAISE(ABORT, 'a newer version of this pack was accepted already'); END
"""

POSTGRES_FUNCTION = f"""
CREATE FUNCTION ferriage_packs_go_forwards() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS ({NEWER_ACCEPTED}) THEN
        RAISE EXCEPTION 'a newer version of this pack was accepted already'
        USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""

POSTGRES = """
CREATE TRIGGER approvals_packacceptance_forwards BEFORE INSERT ON approvals_packacceptance
FOR EACH ROW EXECUTE FUNCTION ferriage_packs_go_forwards()
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0002_triggers")]

    operations = [
        migrations.CreateModel(
            name="PackVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("place", models.CharField(max_length=6)),
                ("version", models.CharField(max_length=40)),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("text", models.TextField()),
                ("came_at", models.DateTimeField()),
            ],
            options={
                "db_table": "approvals_packversion",
                "constraints": [
                    models.UniqueConstraint(fields=("place", "version"), name="approvals_packversion_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="PackAcceptance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("accepted_at", models.DateTimeField()),
                ("accepted_by", models.CharField(max_length=150)),
                (
                    "pack",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="acceptance",
                        to="approvals.packversion",
                    ),
                ),
            ],
            options={"db_table": "approvals_packacceptance"},
        ),
        append_only("approvals_packversion"),
        append_only("approvals_packacceptance"),
        per_vendor(sqlite=(SQLITE,), postgresql=(POSTGRES_FUNCTION, POSTGRES)),
    ]
